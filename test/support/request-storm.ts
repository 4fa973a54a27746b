// Many connections to an API that all come at once, each with one request; and what became of each.

import { connect } from 'node:net';

/** How a connection ended. */
export interface StormEnd {
  /** The status of the answer; undefined if the connection ended without one. */
  readonly status: number | undefined;
  readonly code: string | undefined;
  readonly hasRetryAfter: boolean;
  readonly afterMs: number;
}

/** Of an answer, as much is kept as a problem has. */
const HEAD_BYTES = 2_048;

/** A request for `path`, after whose answer the connection is closed. */
export function requestOf(path: string, accept: string): string {
  const lines = [`GET ${path} HTTP/1.1`, 'Host: x', `Accept: ${accept}`, 'Connection: close'];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** Opens a connection for each of `requests`, all at once, and reads each to its end. */
export function storm(url: string, requests: readonly string[]): Promise<StormEnd[]> {
  const { port, hostname } = new URL(url);
  return Promise.all(requests.map((text) => one(Number(port), hostname, text)));
}

function one(port: number, host: string, text: string): Promise<StormEnd> {
  const { promise, resolve } = Promise.withResolvers<StormEnd>();
  const startMs = performance.now();
  let head = '';
  const socket = connect({ port, host });
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => {
    if (head.length < HEAD_BYTES) head += chunk.toString('latin1');
  });
  socket.once('close', () => {
    const status = /^HTTP\/1\.1 (\d{3})/.exec(head)?.[1];
    resolve({
      status: status === undefined ? undefined : Number(status),
      code: /"code":"(BACKCAST_\w+)"/.exec(head)?.[1],
      hasRetryAfter: /^retry-after: \d+\r$/im.test(head),
      afterMs: performance.now() - startMs,
    });
  });
  socket.write(text);
  return promise;
}

/** How many ended how. */
export function tallyOf(ends: readonly StormEnd[]): Readonly<Record<string, number>> {
  const ways = ends.map(({ status, code }) => [status ?? 'closed', code].join(' ').trim());
  const counts = Map.groupBy(ways, (way) => way);
  return Object.fromEntries([...counts].map(([way, all]) => [way, all.length]));
}
