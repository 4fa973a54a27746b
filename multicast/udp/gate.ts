// A socket that lets datagrams in only while its owner has room for them. The rest is dropped here,
// before anything is made of it, and counted: what the owner could not take is its own overrun, and
// it must be able to say so rather than blame the network.

import { monotonicMs } from './clock.ts';
import type { DatagramHandler, DatagramSocket, SocketCounters } from './socket.ts';

/** Stands before `socket`, which it owns from here on. */
export class GatedSocket implements DatagramSocket {
  readonly #socket: DatagramSocket;
  readonly #hasRoom: () => boolean;
  #overrunDatagrams = 0;
  #overranAtMs = Number.NEGATIVE_INFINITY;

  /** `hasRoom` is asked for every datagram. */
  constructor(socket: DatagramSocket, hasRoom: () => boolean) {
    this.#socket = socket;
    this.#hasRoom = hasRoom;
  }

  get localAddress(): string {
    return this.#socket.localAddress;
  }

  get localPort(): number {
    return this.#socket.localPort;
  }

  get counters(): Readonly<SocketCounters> {
    return this.#socket.counters;
  }

  /** Datagrams dropped for want of room. */
  get overrunDatagrams(): number {
    return this.#overrunDatagrams;
  }

  /** When the last one was dropped; −Infinity if none ever was. */
  get overranAtMs(): number {
    return this.#overranAtMs;
  }

  get onDatagram(): DatagramHandler {
    return this.#socket.onDatagram;
  }

  set onDatagram(handler: DatagramHandler) {
    this.#socket.onDatagram = (bytes, remote) => {
      if (this.#hasRoom()) return handler(bytes, remote);
      this.#overrunDatagrams += 1;
      this.#overranAtMs = monotonicMs();
    };
  }

  send(bytes: Uint8Array, address: string, port: number): void {
    this.#socket.send(bytes, address, port);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.#socket[Symbol.asyncDispose]());
  }
}
