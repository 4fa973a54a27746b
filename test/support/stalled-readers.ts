// Readers over HTTP that ask for history and take nothing of it.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** Connections that stall. Disposing ends them. */
export interface StalledReaders extends Disposable {
  /** Those that the server has not cut off. */
  readonly openCount: number;
}

/** Asks `url` for the paths, each on a connection of its own, and reads none of the answers. */
export async function stallReaders(
  url: string,
  paths: readonly string[],
  accept = 'application/x-ndjson',
): Promise<StalledReaders> {
  const { port, hostname } = new URL(url);
  let openCount = 0;
  const stall = async (path: string): Promise<Socket> => {
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined);
    socket.once('close', () => (openCount -= 1));
    socket.pause();
    await once(socket, 'connect');
    openCount += 1;
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nAccept: ${accept}\r\n\r\n`);
    return socket;
  };
  const sockets = await Promise.all(paths.map(stall));
  return {
    get openCount() {
      return openCount;
    },
    [Symbol.dispose]: () => {
      for (const socket of sockets) socket.destroy();
    },
  };
}
