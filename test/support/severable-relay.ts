// Stands between a process and its PostgreSQL server, until it is severed: then nothing comes
// through, and no connection is made, until it is mended.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A relay on a port of its own. */
export interface SeverableRelay extends AsyncDisposable {
  /** The URL of the database through the relay. */
  readonly url: string;
  /** Ends all connections and refuses new ones. */
  sever(): void;
  /** Lets connections through again. */
  mend(): void;
}

/** Starts a relay for the server of `url`. */
export async function startSeverableRelay(url: string): Promise<SeverableRelay> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  let isSevered = false;
  const server = createServer((near) => {
    if (isSevered) {
      near.destroy();
      return;
    }
    const far = connect(Number(target.port), target.hostname);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const through = new URL(url);
  through.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: through.href,
    sever: () => {
      isSevered = true;
      cut();
    },
    mend: () => {
      isSevered = false;
    },
    [Symbol.asyncDispose]: async () => {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
