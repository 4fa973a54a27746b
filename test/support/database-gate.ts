// A gate between an archiver and its PostgreSQL, which tests shut, open and make slow while the
// server itself goes on for those who ask it directly. What has come in when a connection ends is
// still passed on, as a network does. Cuts at a chosen message: cutting-proxy.ts.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** What a gate does and has seen. */
interface GateState {
  isShut: boolean;
  /** How long each COMMIT is held up on its way to the server. */
  commitDelayMs: number;
  /** Connections asked for so far, refused ones among them. */
  connectionCount: number;
  /** COMMITs that are held up now. */
  heldCommits: number;
  /** The most COMMITs that were ever held up at once. */
  heldCommitsMost: number;
}

/** A gate on a port of its own, open at first. Disposing ends every connection. */
export interface DatabaseGate extends AsyncDisposable {
  /** The URL of the database through the gate. */
  readonly url: string;
  readonly state: Readonly<Omit<GateState, 'commitDelayMs'>> & Pick<GateState, 'commitDelayMs'>;
  /** Cuts every connection and refuses all others until it is opened. */
  shut(): void;
  open(): void;
}

const COMMIT = 'COMMIT';

/** Starts a gate before the server of `url`. */
export async function startDatabaseGate(url: string): Promise<DatabaseGate> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  const state: GateState = {
    isShut: false,
    commitDelayMs: 0,
    connectionCount: 0,
    heldCommits: 0,
    heldCommitsMost: 0,
  };
  const server = createServer({ noDelay: true }, (near) => {
    state.connectionCount += 1;
    near.on('error', () => undefined);
    if (state.isShut) {
      near.destroy();
      return;
    }
    const far = connect({ port: Number(target.port), host: target.hostname, noDelay: true });
    far.on('error', () => undefined);
    endTogether(sockets, near, far);
    far.pipe(near);
    near.on('data', (chunk) => takeIn(state, chunk, near, far));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const through = new URL(url);
  through.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const shut = (): void => {
    state.isShut = true;
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: through.href,
    state,
    shut,
    open: () => {
      state.isShut = false;
    },
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      shut();
      await closed;
    },
  };
}

function endTogether(sockets: Set<Socket>, near: Socket, far: Socket): void {
  const follow = (ended: Socket, other: Socket): void => {
    sockets.add(ended);
    ended.on('close', () => {
      sockets.delete(ended);
      other.destroySoon();
    });
  };
  follow(near, far);
  follow(far, near);
}

function takeIn(state: GateState, chunk: Buffer, near: Socket, far: Socket): void {
  if (state.commitDelayMs === 0 || !chunk.includes(COMMIT)) {
    passOn(chunk, near, far);
    return;
  }
  near.pause();
  state.heldCommits += 1;
  state.heldCommitsMost = Math.max(state.heldCommitsMost, state.heldCommits);
  setTimeout(() => {
    state.heldCommits -= 1;
    near.resume();
    passOn(chunk, near, far);
  }, state.commitDelayMs);
}

function passOn(chunk: Buffer, near: Socket, far: Socket): void {
  if (far.destroyed || far.write(chunk)) return;
  near.pause();
  far.once('drain', () => near.resume());
}
