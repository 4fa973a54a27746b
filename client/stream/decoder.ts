// Puts a segment stream together again from the chunks in which it arrives, however it was cut. A
// frame that lies within one chunk is read where it is; of others each byte is copied once. Never
// throws for what it is given: what is no stream of ours comes out as one entry that says so.

import { assert, type SessionId } from '#base/mod.ts';
import { viewOf } from '#archive/segment/mod.ts';
import type { StreamEntry, StreamOrigin } from './entries.ts';
import { decodeJsonFrame } from './json-frames.ts';
import { FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FRAME_KINDS, OPTIONAL_KIND_MIN } from './layout.ts';
import { decodeRuns } from './runs-frame.ts';

/**
 * Chunks in, entries out: after each chunk poll until there is no entry left. The first entry is a
 * `begin`, the last one an `end` or `malformed`; when the chunks end before it, the stream was cut.
 */
export class SegmentStreamDecoder {
  readonly #header: Uint8Array = new Uint8Array(FRAME_HEADER_BYTES);
  readonly #headerView: DataView = viewOf(this.#header);
  #headerFill = 0;
  /** The frame that is being put together; undefined between frames. */
  #body: Uint8Array | undefined;
  #bodyFill = 0;
  readonly #origins = new Map<SessionId, StreamOrigin>();
  #entries: StreamEntry[] = [];
  #polled = 0;
  #hasBegun = false;
  #messageCount = 0;
  #isOver = false;

  /** Whether the stream has ended, or is none from here on; what follows is passed over. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Takes the next bytes. Entries may be views of them: they are not to be used again. */
  handleBytes(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length && !this.#isOver) {
      if (this.#body !== undefined) at = this.#fillBody(this.#body, chunk, at);
      else if (this.#headerFill < FRAME_HEADER_BYTES) at = this.#fillHeader(chunk, at);
      if (this.#body === undefined && this.#headerFill === FRAME_HEADER_BYTES) {
        at = this.#openBody(chunk, at);
      }
    }
  }

  /** The next entry, if there is one. */
  pollEntry(): StreamEntry | undefined {
    const entry = this.#entries[this.#polled];
    if (entry === undefined) return undefined;
    this.#polled += 1;
    if (this.#polled === this.#entries.length) {
      this.#entries = [];
      this.#polled = 0;
    }
    return entry;
  }

  #fillHeader(chunk: Uint8Array, at: number): number {
    const part = chunk.subarray(at, at + FRAME_HEADER_BYTES - this.#headerFill);
    this.#header.set(part, this.#headerFill);
    this.#headerFill += part.length;
    return at + part.length;
  }

  /** Begins the frame whose header is there; one that the chunk holds whole ends at once. */
  #openBody(chunk: Uint8Array, at: number): number {
    const length = this.#headerView.getUint32(0);
    if (length > FRAME_BYTES_MAX) {
      this.#fail('a frame longer than any');
      return at;
    }
    if (chunk.length - at >= length) {
      this.#endFrame(chunk.subarray(at, at + length));
      return at + length;
    }
    this.#body = new Uint8Array(length);
    this.#bodyFill = 0;
    return this.#fillBody(this.#body, chunk, at);
  }

  #fillBody(body: Uint8Array, chunk: Uint8Array, at: number): number {
    const part = chunk.subarray(at, at + body.length - this.#bodyFill);
    body.set(part, this.#bodyFill);
    this.#bodyFill += part.length;
    if (this.#bodyFill === body.length) {
      this.#body = undefined;
      this.#endFrame(body);
    }
    return at + part.length;
  }

  #endFrame(body: Uint8Array): void {
    assert(this.#headerFill === FRAME_HEADER_BYTES, 'a frame has a header');
    this.#headerFill = 0;
    const kind = this.#headerView.getUint8(4);
    if (kind === FRAME_KINDS.messages) return this.#takeRuns(body);
    const entry = decodeJsonFrame(kind, body);
    if (entry === undefined) {
      if (kind < OPTIONAL_KIND_MIN) this.#fail(`a frame of kind ${kind} that cannot be read`);
      return undefined;
    }
    if ((entry.kind === 'begin') === this.#hasBegun) return this.#fail('no begin, or a second one');
    this.#hasBegun = true;
    if (entry.kind === 'session') {
      this.#origins.set(entry.session, entry);
      return undefined;
    }
    if (entry.kind === 'end' && entry.count !== this.#messageCount) {
      return this.#fail(`an end that counts ${entry.count} messages behind ${this.#messageCount}`);
    }
    this.#entries.push(entry);
    this.#isOver = entry.kind === 'end';
    return undefined;
  }

  #takeRuns(body: Uint8Array): void {
    const runs = this.#hasBegun ? decodeRuns(body, this.#origins) : 'no begin';
    if (typeof runs === 'string') return this.#fail(runs);
    for (const run of runs) {
      this.#messageCount += run.messageCount;
      this.#entries.push(run);
    }
    return undefined;
  }

  #fail(reason: string): void {
    this.#entries.push({ kind: 'malformed', reason });
    this.#isOver = true;
  }
}
