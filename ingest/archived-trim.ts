// Lets go of what a standby has heard and somebody else has archived. Part of it may have been
// declared lost there: then it is offered, for the loss to be healed.

import type { Framing, SessionId } from '#base/mod.ts';
import type { SessionProgress } from '#archive/mod.ts';
import type { MessagesDelivered, ReceiverEvent } from '#multicast/core/mod.ts';
import type { ArchivedLoss, ArchivedState } from './backlog-options.ts';
import type { HeardQueue } from './heard-queue.ts';
import type { KeptEvent } from './kept-events.ts';
import type { SessionLedger } from './session-ledger.ts';
import type { SpoolDrain } from './spool-drain.ts';

/** What it is made of. */
export interface ArchivedTrimOptions {
  readonly framing: Framing;
  readonly head: number;
  readonly onHealing: (messages: MessagesDelivered, heardAtUs: number) => void;
}

/** The trimming of one channel's backlog. */
export class ArchivedTrim {
  /** The last position that the archive is known to have. */
  head: number;
  readonly #queue: HeardQueue;
  readonly #drain: SpoolDrain | undefined;
  readonly #options: ArchivedTrimOptions;
  #archived = new Map<SessionId, SessionProgress>();
  /** Not compared yet with what lies on the disk. */
  #losses: readonly ArchivedLoss[] = [];

  constructor(queue: HeardQueue, drain: SpoolDrain | undefined, options: ArchivedTrimOptions) {
    this.#queue = queue;
    this.#drain = drain;
    this.#options = options;
    this.head = options.head;
  }

  /**
   * Takes what somebody else has archived; gives what of the memory is let go of. Sessions that are
   * over and have nothing left here need not be remembered in `heard`.
   */
  handleArchived(state: ArchivedState, heard: SessionLedger): KeptEvent[] {
    this.head = state.head;
    this.#archived = new Map(state.sessions.map((progress) => [progress.session, progress]));
    this.#losses = [...this.#losses, ...state.losses];
    const taken = this.#queue.kept.take((event) => this.#isArchived(event));
    for (const { event, heardAtUs } of taken) this.#offer(state.losses, event, heardAtUs);
    const settled = state.sessions.filter((progress) => isSettled(progress, heard));
    heard.committed(settled, 0);
    return taken;
  }

  /**
   * Compares what lies on the disk with the losses told since the last time; gives the entry
   * through which nothing there is needed any more.
   */
  async work(): Promise<number> {
    const losses = this.#losses;
    this.#losses = [];
    const spooled = this.#queue.spans.sessions();
    if (this.#drain !== undefined && losses.some(({ session }) => spooled.has(session))) {
      const offer = (event: ReceiverEvent, heardAtUs: number): void => {
        if (this.#isArchived(event)) this.#offer(losses, event, heardAtUs);
      };
      await this.#drain
        .readAll(({ spooled: { event, heardAtUs } }) => offer(event, heardAtUs))
        .catch(() => undefined);
    }
    return this.#queue.spans.archivedThrough(
      (session, last) => last <= (this.#archived.get(session)?.watermark ?? 0),
    );
  }

  /** What is not a range comes back by itself, from what is known of its session at last. */
  #isArchived(event: ReceiverEvent): boolean {
    const progress = this.#archived.get(event.session);
    if (progress === undefined) return false;
    const isRange = event.kind === 'messages' || event.kind === 'lost';
    return !isRange || event.lastSequence <= progress.watermark;
  }

  #offer(losses: readonly ArchivedLoss[], event: ReceiverEvent, heardAtUs: number): void {
    if (event.kind !== 'messages') return;
    const isWanted = losses.some(
      ({ session, firstSequence, lastSequence }) =>
        session === event.session &&
        firstSequence <= event.lastSequence &&
        lastSequence >= event.firstSequence,
    );
    if (isWanted) this.#options.onHealing(event, heardAtUs);
  }
}

/** Over in the archive, to the last thing that was heard of it. */
function isSettled(archived: SessionProgress, heard: SessionLedger): boolean {
  const known = heard.find(archived.session);
  if (known === undefined || known.state === 'open' || archived.state === 'open') return false;
  return known.watermark <= archived.watermark;
}
