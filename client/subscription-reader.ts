// Between what is told in runs and the reader who takes messages one by one: unpacks, and keeps
// where the reader is after each of them. No socket, no waiting.

import type { Framing, SessionId } from '#base/mod.ts';
import { wallClockUs } from '#multicast/udp/mod.ts';
import { type BlockReader, newBlockReader, NO_PUBLISH_TIME } from '#multicast/wire/mod.ts';
import { newReaderCounters, type ReaderCounters } from './catch-up-counters.ts';
import type { CursorPlace } from './cursor.ts';
import type { Told, ToldLive, ToldLost, ToldReplayed, ToldSession } from './merge-told.ts';
import type { SubscribedItem, SubscribedMessage } from './subscription-items.ts';

/** Sessions that a cursor names, some 30 kilobytes; those that are over are forgotten first. */
const CURSOR_SESSIONS_MAX = 1_024;

/** The reader of one subscription. */
export class SubscriptionReader {
  readonly counters: ReaderCounters = newReaderCounters();
  readonly #sources = new Map<SessionId, string>();
  readonly #blocks: BlockReader;
  readonly #nexts: Map<SessionId, number>;
  readonly #ended: Set<SessionId>;
  #begin: CursorPlace['begin'];
  #position: number | undefined;

  /** `place` is where an earlier reader was. */
  constructor(framing: Framing, place: CursorPlace) {
    this.#blocks = newBlockReader(framing);
    this.#nexts = new Map(place.nexts);
    this.#ended = new Set(place.ended);
    this.#begin = place.begin;
    this.#position = place.position;
  }

  /** Where the reader is: behind the last thing that was taken from `items`. */
  get place(): CursorPlace {
    const [position, begin] = [this.#position, this.#begin];
    return { position, begin, nexts: this.#nexts, ended: this.#ended };
  }

  /** The name of a session's publisher has become known. */
  nameSource(session: SessionId, source: string): void {
    this.#sources.set(session, source);
  }

  /** What `told` says, one by one; each counts as read once it is taken. */
  *items(told: Told): Generator<SubscribedItem, void, void> {
    switch (told.kind) {
      case 'live_run':
        yield* this.#liveItems(told);
        break;
      case 'replayed_run':
        yield* this.#replayedItems(told);
        break;
      case 'lost':
        yield this.#lossOf(told);
        break;
      case 'session':
        this.#noteState(told);
        yield { ...told, source: this.#sources.get(told.session) };
        break;
      case 'replaying':
      case 'live':
        yield told;
        break;
      case 'place':
        this.#position = told.position;
        break;
      default:
        told satisfies never;
    }
  }

  #lossOf({ session, first, last, cause }: ToldLost): SubscribedItem {
    this.#advance(session, last + 1);
    this.counters.messagesLost += last - first + 1;
    const source = this.#sources.get(session);
    return { kind: 'lost', session, source, firstSequence: first, lastSequence: last, cause };
  }

  *#liveItems({ run, skippedCount }: ToldLive): Generator<SubscribedMessage, void, void> {
    const { session, bytes, arrivedAtUs } = run;
    const blocks = this.#blocks;
    const source = this.#sources.get(session);
    const via = run.isRepaired ? 'repaired' : 'live';
    blocks.open(bytes, run.start, run.end);
    const { messageCount } = blocks;
    for (let index = 0; blocks.next(); index += 1) {
      if (index < skippedCount) continue;
      const sequence = run.first + index;
      const isTimed = blocks.publishedAtUs !== NO_PUBLISH_TIME;
      const publishedAtUs = isTimed ? blocks.publishedAtUs : arrivedAtUs;
      this.#advance(session, index + 1 === messageCount ? run.last + 1 : sequence + 1);
      if (run.isRepaired) this.counters.messagesRepaired += 1;
      else this.counters.messagesLive += 1;
      yield {
        kind: 'message',
        session,
        source,
        sequence,
        position: undefined,
        publishedAtUs,
        payload: bytes.subarray(blocks.payloadStart, blocks.payloadEnd),
        via,
        lateUs: arrivedAtUs - publishedAtUs,
      };
    }
  }

  *#replayedItems(told: ToldReplayed): Generator<SubscribedMessage, void, void> {
    const { run, skippedCount, isInPlace } = told;
    const { session, messageCount, payloads, payloadStarts, payloadEnds, publishedAtUs } = run;
    if (run.source !== null) this.#sources.set(session, run.source);
    const source = run.source ?? undefined;
    const arrivedAtUs = wallClockUs();
    let start = skippedCount === 0 ? 0 : (payloadEnds[skippedCount - 1] ?? 0);
    for (let index = skippedCount; index < messageCount; index += 1) {
      const end = payloadEnds[index] ?? start;
      const sequence = run.firstSequence + index;
      const position = run.firstPosition + index;
      const publishedUs = publishedAtUs[index] ?? run.archivedAtUs;
      this.#advance(session, index + 1 === messageCount ? run.throughSequence + 1 : sequence + 1);
      if (isInPlace) this.#position = position;
      this.counters.messagesReplayed += 1;
      yield {
        kind: 'message',
        session,
        source,
        sequence,
        position,
        publishedAtUs: publishedUs,
        payload: payloads.subarray(payloadStarts?.[index] ?? start, end),
        via: 'replayed',
        lateUs: arrivedAtUs - publishedUs,
      };
      start = end;
    }
  }

  #advance(session: SessionId, next: number): void {
    this.#nexts.set(session, next);
  }

  /** A session that is forgotten is not begun anew: it would be told twice. */
  #noteState({ session, state }: ToldSession): void {
    this.#ended.delete(session);
    if (state === 'open') return;
    this.#ended.add(session);
    if (this.#nexts.size <= CURSOR_SESSIONS_MAX) return;
    const [oldest = session] = this.#ended;
    this.#ended.delete(oldest);
    this.#nexts.delete(oldest);
    this.#sources.delete(oldest);
    this.#begin = 'archive';
  }
}
