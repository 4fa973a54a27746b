// Real multicast for tests, on this machine only: groups of 239.255.0.0/16 on the loopback address.

import dgram from 'node:dgram';
import { once } from 'node:events';
import type { Remote } from '#multicast/core/mod.ts';
import type { DatagramSocket } from '#multicast/udp/mod.ts';

/** The interface of every test. */
export const LOOPBACK = '127.0.0.1';

/** A group and port that no other test uses while it is not disposed. */
export interface ReservedGroup extends AsyncDisposable {
  readonly group: string;
  readonly port: number;
}

/**
 * Reserves a group and port. A port bound at the loopback address is handed out by the kernel to
 * nobody else, and does not stand in the way of sockets that are bound to a group.
 */
export async function reserveGroup(): Promise<ReservedGroup> {
  const holder = dgram.createSocket('udp4');
  holder.bind({ address: LOOPBACK, port: 0, exclusive: true });
  await once(holder, 'listening');
  const { port } = holder.address();
  return {
    group: `239.255.${port >> 8}.${port & 0xff}`,
    port,
    async [Symbol.asyncDispose]() {
      const closed = once(holder, 'close');
      holder.close();
      await closed;
    },
  };
}

/** UDP sockets of this process that are open, or not yet done closing. */
export function openSocketCount(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind.startsWith('UDP')).length;
}

/** A datagram that was heard. */
export interface Heard {
  readonly text: string;
  readonly remote: Remote;
}

/** The next `count` datagrams that `socket` hears. To be called before they are sent. */
export async function hear(socket: DatagramSocket, count: number): Promise<Heard[]> {
  const heard: Heard[] = [];
  return new Promise((resolve) => {
    socket.onDatagram = (bytes, { address, port }) => {
      heard.push({ text: Buffer.from(bytes).toString(), remote: { address, port } });
      if (heard.length === count) resolve(heard);
    };
  });
}
