// Sockets to PostgreSQL. What arrives is read into one piece of memory that all of them share, as
// it is used up at once: memory of its own for every read costs more time to collect than to fill.

import { Socket } from 'node:net';

/**
 * Emitted with the bytes that have arrived, which are valid only until the listener returns; while
 * nobody listens, the stream gets a copy. Where TLS is spoken there is only that.
 */
export const PLAIN_BYTES = 'plainBytes';

/** What the kernel hands over at once. */
const READ_BYTES = 65_536;

const arrived = Buffer.alloc(READ_BYTES);

/** A socket that is not connected yet. */
export function plainSocket(): Socket {
  const socket = new Socket({
    onread: {
      buffer: arrived,
      callback: (byteCount) => {
        const bytes = arrived.subarray(0, byteCount);
        return socket.emit(PLAIN_BYTES, bytes) || socket.push(Buffer.from(bytes));
      },
    },
  });
  return socket;
}
