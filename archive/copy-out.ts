// Reads the answer to a COPY … TO STDOUT straight off the connection: every row into memory of its
// own, copied once, which the segments made of it then share. Takes the place of the driver's
// parser while the answer comes, as PostgreSQL manual, "COPY Operations" and "Message Formats" say
// it does: CopyOutResponse, a CopyData for each row, CopyDone. Hot: for most of a replay the server
// does nothing else.

import type { Duplex } from 'node:stream';
import type { Connection, Submittable } from 'pg';
import { PLAIN_BYTES } from './plain-socket.ts';

const MESSAGE_HEADER_BYTES = 5;
const COPY_DATA = 0x64;
const COPY_DONE = 0x63;
const ERROR_RESPONSE = 0x45;

type Listener = (bytes: Uint8Array) => void;

/** One COPY, to be handed to `query` of a connection. */
export class CopyOut implements Submittable {
  readonly #statement: string;
  readonly #answer = Promise.withResolvers<Buffer[]>();
  readonly #rows: Buffer[] = [];
  readonly #header: Buffer = Buffer.alloc(MESSAGE_HEADER_BYTES);
  #headerFill = 0;
  /** What is still to come of the message whose header is there. */
  #bodyRest = 0;
  /** Where it goes; undefined if it is passed over. */
  #row: Buffer | undefined;
  #detach: (() => Listener) | undefined;
  readonly #roomFor: (bytes: number) => ArrayBuffer;

  /** `statement` is the whole COPY; `roomFor` gives memory of that size, or larger, for a row. */
  constructor(statement: string, roomFor: (bytes: number) => ArrayBuffer) {
    this.#statement = statement;
    this.#roomFor = roomFor;
  }

  /** The bytes of the file, a buffer for each row. Rejects as the statement or the connection. */
  get rows(): Promise<Buffer[]> {
    return this.#answer.promise;
  }

  /** For the driver, as all that follows. */
  submit(connection: Connection): void {
    const { stream } = connection as Connection & { readonly stream: Duplex };
    const [parse] = stream.listeners('data') as Listener[];
    const take = (bytes: Uint8Array): void => this.#take(bytes);
    stream.off('data', parse).on('data', take).on(PLAIN_BYTES, take);
    this.#detach = () => {
      this.#detach = undefined;
      stream.off(PLAIN_BYTES, take).off('data', take).on('data', parse);
      return parse;
    };
    connection.query(this.#statement);
  }

  handleError(error: Error): void {
    this.#detach?.();
    this.#answer.reject(error);
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.#answer.resolve(this.#rows);
  }

  #take(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      at = this.#bodyRest > 0 ? this.#takeBody(bytes, at) : this.#takeHeader(bytes, at);
      if (this.#headerFill < MESSAGE_HEADER_BYTES || this.#bodyRest > 0) continue;
      const kind = this.#header[0];
      if (kind !== COPY_DONE && kind !== ERROR_RESPONSE) {
        this.#endMessage();
        continue;
      }
      // From here on the driver takes over, with a message that it has not seen yet.
      this.#handBack(bytes.subarray(at));
      return;
    }
  }

  #takeHeader(bytes: Uint8Array, at: number): number {
    const part = bytes.subarray(at, at + MESSAGE_HEADER_BYTES - this.#headerFill);
    this.#header.set(part, this.#headerFill);
    this.#headerFill += part.length;
    if (this.#headerFill === MESSAGE_HEADER_BYTES) this.#beginBody();
    return at + part.length;
  }

  #beginBody(): void {
    const kind = this.#header[0];
    if (kind === COPY_DONE || kind === ERROR_RESPONSE) return;
    this.#bodyRest = this.#header.readUInt32BE(1) - 4;
    if (kind !== COPY_DATA) return;
    this.#row = Buffer.from(this.#roomFor(this.#bodyRest), 0, this.#bodyRest);
  }

  #takeBody(bytes: Uint8Array, at: number): number {
    const part = bytes.subarray(at, at + this.#bodyRest);
    this.#row?.set(part, this.#row.length - this.#bodyRest);
    this.#bodyRest -= part.length;
    return at + part.length;
  }

  #endMessage(): void {
    if (this.#row !== undefined) this.#rows.push(this.#row);
    this.#row = undefined;
    this.#headerFill = 0;
  }

  #handBack(rest: Uint8Array): void {
    const parse = this.#detach?.();
    parse?.(Buffer.concat([this.#header, rest]));
  }
}
