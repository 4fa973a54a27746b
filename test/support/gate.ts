// A gate between a program and the server it needs, which tests shut, open and make slow while the
// server itself goes on for those who ask it directly. What has come in when a connection ends is
// still passed on, as a network does. Cuts at a chosen message: cutting-proxy.ts.

import { once } from 'node:events';
import {
  type AddressInfo,
  connect,
  createServer,
  type NetConnectOpts,
  type Server,
  type Socket,
} from 'node:net';

/** What a gate does and has seen. */
interface GateState {
  isShut: boolean;
  /** How long what goes to the server is held up. */
  delayMs: number;
  /** Only what has this text in it is held up; everything if it is empty. */
  delayed: string;
  /** Connections asked for so far, refused ones among them. */
  connectionCount: number;
  /** Pieces that are held up now. */
  heldCount: number;
  /** The most pieces that were ever held up at once. */
  heldCountMost: number;
}

/** A gate on a port of its own, open at first. Disposing ends every connection. */
export interface Gate extends AsyncDisposable {
  /** The port of 127.0.0.1 at which it stands for the server. */
  readonly port: number;
  readonly state: Pick<GateState, 'delayMs' | 'delayed'> & Readonly<GateState>;
  /** Cuts every connection and refuses all others until it is opened. */
  shut(): void;
  open(): void;
}

/** Starts a gate before the PostgreSQL of `url`, and says the URL through it. */
export async function startDatabaseGate(url: string): Promise<Gate & { readonly url: string }> {
  const target = new URL(url);
  const gate = await startGate({ port: Number(target.port), host: target.hostname });
  target.host = `127.0.0.1:${gate.port}`;
  return Object.assign(gate, { url: target.href });
}

/** Starts a gate before the server at `target`. */
export async function startGate(target: NetConnectOpts): Promise<Gate> {
  const sockets = new Set<Socket>();
  const state: GateState = {
    isShut: false,
    delayMs: 0,
    delayed: '',
    connectionCount: 0,
    heldCount: 0,
    heldCountMost: 0,
  };
  const server = createServer({ noDelay: true }, (near) => {
    state.connectionCount += 1;
    near.on('error', () => undefined);
    if (state.isShut) {
      near.destroy();
      return;
    }
    const far = connect(target);
    far.on('error', () => undefined);
    endTogether(sockets, near, far);
    far.pipe(near);
    near.on('data', (chunk) => takeIn(state, chunk, near, far));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const shut = (): void => {
    state.isShut = true;
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    state,
    shut,
    open: () => {
      state.isShut = false;
    },
    [Symbol.asyncDispose]: async () => {
      shut();
      await close(server);
    },
  };
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  await closed;
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
  if (state.delayMs === 0 || !chunk.includes(state.delayed)) {
    passOn(chunk, near, far);
    return;
  }
  near.pause();
  state.heldCount += 1;
  state.heldCountMost = Math.max(state.heldCountMost, state.heldCount);
  setTimeout(() => {
    state.heldCount -= 1;
    near.resume();
    passOn(chunk, near, far);
  }, state.delayMs);
}

function passOn(chunk: Buffer, near: Socket, far: Socket): void {
  if (far.destroyed || far.write(chunk)) return;
  near.pause();
  far.once('drain', () => near.resume());
}
