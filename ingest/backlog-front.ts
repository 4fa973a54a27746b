// What a backlog knows of its channel's sessions where the batcher has not been told everything
// yet: the batcher's ledger, gone on with by what waits. While nothing waits it is the batcher's.

import { assert } from '#base/mod.ts';
import type { SessionProgress } from '#archive/mod.ts';
import type { MessagesLost, ReceiverEvent } from '#multicast/core/mod.ts';
import type { Batcher } from './batcher.ts';
import { messagesIn } from './kept-events.ts';
import type { SessionLedger } from './session-ledger.ts';
import type { SpooledEvent } from './spool/mod.ts';
import { follow, newsOf } from './spooled-history.ts';

/** The sessions of one channel, to the last thing heard. */
export class BacklogFront {
  readonly #batcher: Batcher;
  #ledger: SessionLedger | undefined;
  #untoldMessages = 0;
  #heardAtUs = 0;

  constructor(batcher: Batcher) {
    this.#batcher = batcher;
  }

  /** What is known of them. */
  get sessions(): Pick<
    SessionLedger,
    'hasForgotten' | 'recall' | 'recallForeign' | 'openSessions' | 'find'
  > {
    return this.#ledger ?? this.#batcher.sessions;
  }

  /** Messages that the batcher has not been told. */
  get untoldMessages(): number {
    return this.#untoldMessages;
  }

  /** The archive knows this session. */
  learn(progress: SessionProgress): void {
    this.#batcher.sessions.learn(progress);
    this.#ledger?.learn(progress);
  }

  /** `event`, with the source that its session is of. */
  identify(event: ReceiverEvent, heardAtUs: number): SpooledEvent {
    const identity = event.kind === 'opened' ? event : this.sessions.find(event.session);
    assert(identity !== undefined, 'a session is opened before anything else is told of it');
    return { event, heardAtUs, identity };
  }

  /** From here on something may wait. */
  begin(): void {
    this.#ledger ??= this.#batcher.sessions.copy();
  }

  /** Something waits that is not in `ledger`'s archive: begins with what is known of it. */
  beginWith(ledger: SessionLedger, messageCount: number, wallClockUs: number): void {
    this.#ledger = ledger;
    this.#heardAtUs = wallClockUs;
    this.#untoldMessages = messageCount;
  }

  /** `event` waits behind all that waits. */
  hear({ event, heardAtUs }: SpooledEvent): void {
    this.begin();
    if (this.#ledger !== undefined) follow(this.#ledger, event, heardAtUs);
    this.#untoldMessages += messagesIn(event);
    this.#heardAtUs = heardAtUs;
  }

  /** `event` was told, or its messages are lost. */
  letGo(event: ReceiverEvent): void {
    this.#untoldMessages = Math.max(0, this.#untoldMessages - messagesIn(event));
  }

  /** What was heard and is not among what the batcher was told, as losses, when it was told all. */
  missing(): SpooledEvent[] {
    const { sessions } = this.#batcher;
    const heardAtUs = this.#heardAtUs;
    return (this.#ledger?.all() ?? []).flatMap((heard) => {
      const told = sessions.find(heard.session);
      if (told === undefined && sessions.hasForgotten) return [];
      if (heard.watermark <= (told?.watermark ?? 0)) return [];
      const loss = lossBetween(told, heard);
      if (loss === undefined) return [];
      return newsOf(sessions, { event: loss, identity: heard }).map((event) => {
        return { event, identity: heard, heardAtUs };
      });
    });
  }

  /** Nothing waits. */
  end(): void {
    this.#ledger = undefined;
    this.#untoldMessages = 0;
  }
}

function lossBetween(
  told: SessionProgress | undefined,
  { session, firstArchived, watermark, resumeSqn }: SessionProgress,
): MessagesLost | undefined {
  const first = Math.max(firstArchived, (told?.watermark ?? 0) + 1);
  if (first > watermark) return undefined;
  return {
    kind: 'lost',
    session,
    firstSequence: first,
    lastSequence: watermark,
    cause: 'corrupt',
    nextSqn: resumeSqn,
  };
}
