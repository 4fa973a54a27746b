// Collects messages into a segment, already in the form in which PostgreSQL takes it: payloads and
// publish times are written straight into the binary fields, so that an append only has to send
// them. Hot path: append runs for every message of the archiver. It allocates nothing but, now and
// then, a larger buffer, and a view when the bytes come from another buffer than the last time.
// Measured by bench/append.ts.

import {
  assert,
  POSTGRES_EPOCH_US,
  SEGMENT_BYTES_TARGET,
  SEGMENT_MESSAGES_MAX,
} from '#base/mod.ts';
import type { SessionId } from '#base/mod.ts';
import {
  ARRAY_HEADER_BYTES,
  BYTEA_TYPE,
  ELEMENT_HEADER_BYTES,
  TIMESTAMPTZ_TYPE,
  viewOf,
  WIDE_ELEMENT_BYTES,
  writeArrayHeader,
} from './binary-fields.ts';
import type { Segment, SegmentRun } from './types.ts';

const WORD = 0x1_0000_0000;
const NO_SOURCE = new DataView(new ArrayBuffer(0));
/** A full segment of messages of a few hundred bytes fits without growing. */
const PAYLOAD_FIELD_BYTES_FIRST = 1_572_864;
/** What two bursts of larger messages leave behind; a builder that has grown beyond is not kept. */
const PAYLOAD_FIELD_BYTES_KEPT = 2 * PAYLOAD_FIELD_BYTES_FIRST;
/** PostgreSQL refuses a value of 1 GB; a row has other columns too. */
const PAYLOAD_FIELD_BYTES_MAX = 1_000_000_000;
/** Below this, copying by 8-byte words beats the call into native code; measured on Node 24. */
const WORD_COPY_BYTES_MAX = 160;

/**
 * One segment at a time. The buffers are used again: a finished segment is valid until `reset`, so
 * keep a builder aside until its segment is committed.
 */
export class SegmentBuilder {
  #payload: Uint8Array = new Uint8Array(PAYLOAD_FIELD_BYTES_FIRST);
  #payloadView: DataView = viewOf(this.#payload);
  #payloadEnd = ARRAY_HEADER_BYTES;
  readonly #published: Uint8Array = publishedAtBuffer();
  readonly #publishedView: DataView = viewOf(this.#published);
  #messageCount = 0;
  #minPublishedAtUs = Infinity;
  #maxPublishedAtUs = -Infinity;

  readonly #runSessions: SessionId[] = [];
  readonly #runFirsts: Float64Array = new Float64Array(SEGMENT_MESSAGES_MAX);
  readonly #runLengths: Uint32Array = new Uint32Array(SEGMENT_MESSAGES_MAX);
  /** Behind the last message of a run, the numbers through here name no message; else 0. */
  readonly #runLasts: Float64Array = new Float64Array(SEGMENT_MESSAGES_MAX);
  #isDense = true;
  #runCount = 0;
  #runSession: SessionId | undefined;
  #sequenceNext = 0;

  /** A view of all of the buffer that bytes came from last. */
  #sourceView: DataView = NO_SOURCE;

  /** Messages so far. */
  get messageCount(): number {
    return this.#messageCount;
  }

  /** Sum of their lengths. */
  get payloadBytes(): number {
    return this.#payloadEnd - ARRAY_HEADER_BYTES - this.#messageCount * ELEMENT_HEADER_BYTES;
  }

  /** Whether it holds so much memory that it is better not used again. */
  get hasGrown(): boolean {
    return this.#payload.length > PAYLOAD_FIELD_BYTES_KEPT;
  }

  /** Whether the segment should be finished before another message is appended. */
  get isFull(): boolean {
    return this.#messageCount === SEGMENT_MESSAGES_MAX || this.#payloadEnd >= SEGMENT_BYTES_TARGET;
  }

  /**
   * Copies the message in `bytes` from `start` to `end`; an empty one is a message. Its position is
   * the next one. `publishedAtUs` is a whole number. At most SEGMENT_MESSAGES_MAX times.
   */
  append(
    session: SessionId,
    sequence: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    publishedAtUs: number,
  ): void {
    assert(this.#messageCount < SEGMENT_MESSAGES_MAX, 'a full segment takes no more messages');
    if (session !== this.#runSession || sequence !== this.#sequenceNext) {
      this.#startRun(session, sequence);
    }
    this.#runLengths[this.#runCount - 1] += 1;
    this.#sequenceNext = sequence + 1;
    this.#writePayload(bytes, start, end);
    this.#writePublishedAt(publishedAtUs);
    this.#messageCount += 1;
  }

  /**
   * The numbers behind the last message through `lastSequence` name no message: they are accounted
   * for with it. To be called before the next message.
   */
  coverThrough(lastSequence: number): void {
    assert(this.#runCount > 0, 'unused numbers follow a message');
    assert(lastSequence >= this.#sequenceNext, 'unused numbers lie behind the message');
    this.#runLasts[this.#runCount - 1] = lastSequence;
    this.#isDense = false;
    this.#runSession = undefined;
  }

  /**
   * The segment at `firstPosition`, of at least one message; its fields are views that end at
   * `reset`.
   */
  finish(firstPosition: number): Segment {
    const count = this.#messageCount;
    assert(count > 0, 'a segment has at least one message');
    // The segment may wait long, and what it was made of is often much larger than it.
    this.#sourceView = NO_SOURCE;
    writeArrayHeader(this.#payloadView, 0, BYTEA_TYPE, count);
    writeArrayHeader(this.#publishedView, 0, TIMESTAMPTZ_TYPE, count);
    const publishedEnd = ARRAY_HEADER_BYTES + count * WIDE_ELEMENT_BYTES;
    return {
      firstPosition,
      messageCount: count,
      payloadBytes: this.payloadBytes,
      runs: this.#runs(),
      isDense: this.#isDense,
      minPublishedAtUs: this.#minPublishedAtUs,
      maxPublishedAtUs: this.#maxPublishedAtUs,
      payloadField: this.#payload.subarray(0, this.#payloadEnd),
      publishedAtField: this.#published.subarray(0, publishedEnd),
    };
  }

  /** Forgets everything appended: ready for the next segment. */
  reset(): void {
    this.#payloadEnd = ARRAY_HEADER_BYTES;
    this.#messageCount = 0;
    this.#minPublishedAtUs = Infinity;
    this.#maxPublishedAtUs = -Infinity;
    this.#runSessions.length = 0;
    this.#runCount = 0;
    this.#runSession = undefined;
    this.#isDense = true;
  }

  #startRun(session: SessionId, sequence: number): void {
    this.#runSessions.push(session);
    this.#runFirsts[this.#runCount] = sequence;
    this.#runLengths[this.#runCount] = 0;
    this.#runLasts[this.#runCount] = 0;
    this.#runCount += 1;
    this.#runSession = session;
  }

  #writePayload(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    const lengthAt = this.#payloadEnd;
    const valueAt = lengthAt + ELEMENT_HEADER_BYTES;
    if (valueAt + length > this.#payload.byteLength) this.#grow(valueAt + length);
    this.#payloadView.setInt32(lengthAt, length);
    if (length > WORD_COPY_BYTES_MAX) this.#payload.set(bytes.subarray(start, end), valueAt);
    else this.#copyWords(bytes, start, end, valueAt);
    this.#payloadEnd = valueAt + length;
  }

  #copyWords(bytes: Uint8Array, start: number, end: number, to: number): void {
    if (bytes.buffer !== this.#sourceView.buffer) this.#sourceView = new DataView(bytes.buffer);
    const source = this.#sourceView;
    const target = this.#payloadView;
    let from = bytes.byteOffset + start;
    const last = bytes.byteOffset + end;
    let at = to;
    for (; from + 8 <= last; from += 8, at += 8) target.setBigInt64(at, source.getBigInt64(from));
    for (; from < last; from += 1, at += 1) target.setUint8(at, source.getUint8(from));
  }

  #writePublishedAt(publishedAtUs: number): void {
    const us = publishedAtUs - POSTGRES_EPOCH_US;
    const high = Math.floor(us / WORD);
    const at = ARRAY_HEADER_BYTES + this.#messageCount * WIDE_ELEMENT_BYTES + ELEMENT_HEADER_BYTES;
    this.#publishedView.setInt32(at, high);
    this.#publishedView.setUint32(at + 4, us - high * WORD);
    if (publishedAtUs < this.#minPublishedAtUs) this.#minPublishedAtUs = publishedAtUs;
    if (publishedAtUs > this.#maxPublishedAtUs) this.#maxPublishedAtUs = publishedAtUs;
  }

  #grow(bytesNeeded: number): void {
    assert(bytesNeeded <= PAYLOAD_FIELD_BYTES_MAX, 'a segment is finished before it is 1 GB');
    const bytes = Math.min(
      PAYLOAD_FIELD_BYTES_MAX,
      Math.max(bytesNeeded, this.#payload.length * 2),
    );
    const larger = new Uint8Array(bytes);
    larger.set(this.#payload.subarray(0, this.#payloadEnd));
    this.#payload = larger;
    this.#payloadView = viewOf(larger);
  }

  #runs(): SegmentRun[] {
    return this.#runSessions.map((session, index) => {
      const firstSequence = this.#runFirsts[index];
      const length = this.#runLengths[index];
      const lastSequence = Math.max(firstSequence + length - 1, this.#runLasts[index]);
      return { session, firstSequence, length, lastSequence };
    });
  }
}

/** The element lengths are always 8 and written once. */
function publishedAtBuffer(): Uint8Array {
  const buffer = new Uint8Array(ARRAY_HEADER_BYTES + SEGMENT_MESSAGES_MAX * WIDE_ELEMENT_BYTES);
  const view = viewOf(buffer);
  for (let at = ARRAY_HEADER_BYTES; at < buffer.length; at += WIDE_ELEMENT_BYTES) {
    view.setInt32(at, 8);
  }
  return buffer;
}
