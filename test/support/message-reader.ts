// Reads a segment back message by message, straight along its fields: the plain opposite of the
// builder, for tests to compare with. The product reads by index instead.

import { assert } from '#base/mod.ts';
import type { SessionId } from '#base/mod.ts';
import {
  ARRAY_HEADER_BYTES,
  BYTEA_TYPE,
  ELEMENT_HEADER_BYTES,
  readArrayHeader,
  readInstant,
  TIMESTAMPTZ_TYPE,
  viewOf,
  WIDE_ELEMENT_BYTES,
} from '#archive/segment/mod.ts';
import type { Segment, SegmentRun } from '#archive/segment/mod.ts';

const EMPTY = new Uint8Array(0);

/**
 * Steps through the messages of one segment after another. Before the first `next` nothing is
 * valid.
 */
export class MessageReader {
  #runs: readonly SegmentRun[] = [];
  #runIndex = -1;
  #runLeft = 0;
  #remaining = 0;
  #payloadField: Uint8Array = EMPTY;
  #payloadView: DataView = viewOf(EMPTY);
  #publishedView: DataView = viewOf(EMPTY);
  #publishedAt = 0;
  #session: SessionId | undefined;
  #position = 0;
  #sequence = 0;
  #payloadStart = 0;
  #payloadEnd = 0;

  /** Starts before the first message of `segment`. */
  open(segment: Segment): void {
    this.#runs = segment.runs;
    this.#runIndex = -1;
    this.#runLeft = 0;
    this.#remaining = segment.messageCount;
    this.#payloadField = segment.payloadField;
    this.#payloadView = viewOf(segment.payloadField);
    this.#publishedView = viewOf(segment.publishedAtField);
    const payloads = readArrayHeader(this.#payloadView, BYTEA_TYPE);
    const instants = readArrayHeader(this.#publishedView, TIMESTAMPTZ_TYPE);
    assert(payloads === segment.messageCount, 'a segment has as many payloads as messages');
    assert(instants === segment.messageCount, 'a segment has as many publish times as messages');
    this.#position = segment.firstPosition - 1;
    this.#publishedAt = ARRAY_HEADER_BYTES + ELEMENT_HEADER_BYTES - WIDE_ELEMENT_BYTES;
    this.#payloadEnd = ARRAY_HEADER_BYTES;
  }

  /** Goes to the next message; false behind the last. */
  next(): boolean {
    if (this.#remaining === 0) return false;
    this.#remaining -= 1;
    this.#position += 1;
    this.#sequence += 1;
    if (this.#runLeft === 0) this.#nextRun();
    this.#runLeft -= 1;
    this.#publishedAt += WIDE_ELEMENT_BYTES;
    this.#payloadStart = this.#payloadEnd + ELEMENT_HEADER_BYTES;
    this.#payloadEnd = this.#payloadStart + this.#payloadView.getInt32(this.#payloadEnd);
    return true;
  }

  get position(): number {
    return this.#position;
  }

  get session(): SessionId {
    assert(this.#session !== undefined, 'a message is read after next() has found it');
    return this.#session;
  }

  get sequence(): number {
    return this.#sequence;
  }

  /** Microseconds since 1970. */
  get publishedAtUs(): number {
    return readInstant(this.#publishedView, this.#publishedAt);
  }

  /** The bytes that payloadStart and payloadEnd are indexes of. */
  get bytes(): Uint8Array {
    return this.#payloadField;
  }

  get payloadStart(): number {
    return this.#payloadStart;
  }

  get payloadEnd(): number {
    return this.#payloadEnd;
  }

  #nextRun(): void {
    this.#runIndex += 1;
    const run = this.#runs[this.#runIndex];
    assert(run !== undefined, 'the runs of a segment cover all its messages');
    this.#session = run.session;
    this.#sequence = run.firstSequence;
    this.#runLeft = run.length;
  }
}
