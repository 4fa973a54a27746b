// Stands between a PostgreSQL connection and its server and harms one connection at a chosen
// message of the client, counted from 1 (the startup message). Later connections pass unharmed. The
// traffic is real; only the network fails.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/**
 * `lost`: close both sides without forwarding the message. `cut`: forward the message, then close
 * both sides at once. `deaf`: forward it, let the server answer, and close both sides instead of
 * passing the answer on. `stall`: forward nothing more in either direction, and keep the
 * connection.
 */
export type Harm = 'lost' | 'cut' | 'deaf' | 'stall';

/** A proxy on a port of its own. Disposing ends every connection. */
export interface CuttingProxy extends AsyncDisposable {
  /** The URL of the database through the proxy. */
  readonly url: string;
  /** Client messages that the first connection has sent so far. */
  readonly messageCount: () => number;
}

/** What goes wrong. */
export interface CuttingProxyOptions {
  readonly harm: Harm;
  /** The message of the first connection at which it goes wrong. */
  readonly at: number;
  /** Connections after the first that are refused. */
  readonly refusals?: number;
}

/** Starts a proxy for the server of `url`. */
export async function startCuttingProxy(
  url: string,
  { harm, at, refusals = 0 }: CuttingProxyOptions,
): Promise<CuttingProxy> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  const counter = new MessageCounter();
  let connections = 0;
  const server = createServer((near) => {
    connections += 1;
    if (connections > 1 && connections <= 1 + refusals) {
      near.destroy();
      return;
    }
    const far = connect(Number(target.port), target.hostname);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        near.destroy();
        far.destroy();
      });
    }
    if (connections === 1) harmConnection(near, far, counter, harm, at);
    else near.pipe(far).pipe(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const through = new URL(url);
  through.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: through.href,
    messageCount: () => counter.count,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function harmConnection(
  near: Socket,
  far: Socket,
  counter: MessageCounter,
  harm: Harm,
  at: number,
): void {
  let isHarmed = false;
  near.on('data', (chunk) => {
    if (isHarmed) {
      if (harm === 'deaf') near.destroy();
      return;
    }
    const forwarded = harm === 'lost' ? at - 1 : at;
    const end = counter.take(chunk, forwarded);
    if (end > 0) far.write(chunk.subarray(0, end));
    isHarmed = harm === 'lost' ? end < chunk.length : counter.count >= at;
    if (!isHarmed) return;
    if (harm === 'cut' || harm === 'lost') far.end(() => near.destroy());
    if (end < chunk.length && harm === 'deaf') near.destroy();
  });
  far.on('data', (chunk) => {
    if (!isHarmed) near.write(chunk);
    else if (harm !== 'stall') near.destroy();
  });
}

/**
 * Finds the ends of client messages: length, then body; with a type byte in front but for the
 * first.
 */
class MessageCounter {
  count = 0;
  #header: number[] = [];
  #bodyBytes = 0;

  /** The bytes of `chunk` up to the end of message `last`; all of them if it ends later. */
  take(chunk: Uint8Array, last: number): number {
    let index = 0;
    while (index < chunk.length && this.count < last) {
      if (this.#bodyBytes > 0) {
        const taken = Math.min(this.#bodyBytes, chunk.length - index);
        index += taken;
        this.#bodyBytes -= taken;
      } else {
        this.#header.push(chunk[index]);
        index += 1;
        this.#readHeader();
      }
      if (this.#header.length === 0 && this.#bodyBytes === 0) this.count += 1;
    }
    return index;
  }

  #readHeader(): void {
    const typeBytes = this.count === 0 ? 0 : 1;
    if (this.#header.length < typeBytes + 4) return;
    const length = Buffer.from(this.#header).readUInt32BE(typeBytes);
    this.#bodyBytes = length - 4;
    this.#header = [];
  }
}
