// A socket that turns a datagram for the group into one for each member of the channel, for
// networks that carry no multicast. The machine above sends to the group as ever and knows nothing
// of it; a member that is gone costs its copies and holds up nobody. Who the members are is not
// decided here.

import type { MemberSource } from '#base/mod.ts';
import type { DatagramHandler, DatagramSocket, SocketCounters } from './socket.ts';

/** Stands before `socket`, which it owns from here on. */
export class FanOutSocket implements DatagramSocket {
  readonly #socket: DatagramSocket;
  readonly #group: string;
  readonly #port: number;
  readonly #members: MemberSource;
  #copiesSent = 0;

  /** What is sent to `place` goes to the members that `members` has at that moment. */
  constructor(
    socket: DatagramSocket,
    place: { readonly group: string; readonly port: number },
    members: MemberSource,
  ) {
    this.#socket = socket;
    this.#group = place.group;
    this.#port = place.port;
    this.#members = members;
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

  /** Datagrams sent to members so far. */
  get copiesSent(): number {
    return this.#copiesSent;
  }

  get onDatagram(): DatagramHandler {
    return this.#socket.onDatagram;
  }

  set onDatagram(handler: DatagramHandler) {
    this.#socket.onDatagram = handler;
  }

  // Hot: every packet of a publisher goes through here.
  send(bytes: Uint8Array, address: string, port: number): void {
    if (address !== this.#group || port !== this.#port)
      return this.#socket.send(bytes, address, port);
    for (const member of this.#members.current) {
      this.#socket.send(bytes, member.address, member.port);
      this.#copiesSent += 1;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.#socket[Symbol.asyncDispose]());
  }
}
