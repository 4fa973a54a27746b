// Requests of receivers that know only a publisher's address and the group's port, as OpenPGM's and
// ZeroMQ's do. Where several publishers of a host share that port, the kernel gives each request to
// one of them, mostly the wrong one; so whoever gets one that is meant for another passes it on to
// all of them, as a broadcast on the host's loopback network that never leaves the host. What came
// by broadcast is not passed on again.

import { PacketReader, type TransportSession } from '#multicast/wire/mod.ts';
import type { DatagramHandler, DatagramSocket, SocketCounters } from './socket.ts';

/** The broadcast address of 127.0.0.0/8: heard by every socket of this host that is bound to it. */
export const LOOPBACK_BROADCAST = '127.255.255.255';

/**
 * Stands before `asked`, which hears the group's port at a publisher's address, and hands on what
 * it hears. Requests meant for others than `transport` leave through `relay` as well.
 */
export class RelayingSocket implements DatagramSocket {
  readonly #asked: DatagramSocket;
  readonly #relay: DatagramSocket;
  readonly #transport: TransportSession;
  readonly #reader = new PacketReader();

  constructor(asked: DatagramSocket, relay: DatagramSocket, transport: TransportSession) {
    this.#asked = asked;
    this.#relay = relay;
    this.#transport = transport;
  }

  get localAddress(): string {
    return this.#asked.localAddress;
  }

  get localPort(): number {
    return this.#asked.localPort;
  }

  get counters(): Readonly<SocketCounters> {
    return this.#asked.counters;
  }

  get onDatagram(): DatagramHandler {
    return this.#asked.onDatagram;
  }

  set onDatagram(handler: DatagramHandler) {
    this.#asked.onDatagram = (bytes, remote) => {
      if (this.#isForAnother(bytes)) {
        this.#relay.send(bytes, LOOPBACK_BROADCAST, this.#relay.localPort);
      }
      handler(bytes, remote);
    };
  }

  send(bytes: Uint8Array, address: string, port: number): void {
    this.#asked.send(bytes, address, port);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.#asked[Symbol.asyncDispose]());
  }

  #isForAnother(bytes: Uint8Array): boolean {
    const reader = this.#reader;
    if (reader.read(bytes) !== undefined) return false;
    if (reader.kind !== 'nak' && reader.kind !== 'spmr') return false;
    const { gsiHigh, gsiLow, tsiSport } = this.#transport;
    const isGsi = reader.gsiHigh === gsiHigh && reader.gsiLow === gsiLow;
    return !isGsi || reader.tsiSport !== tsiSport;
  }
}
