// Publishers of one host and port, and a receiver that knows nothing but that port.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChannelAddress } from '#base/mod.ts';
import { openPublisherTransport, openSendSocket } from '#multicast/udp/mod.ts';
import { ipv4ToWord, writeNak } from '#multicast/wire/mod.ts';
import { LOOPBACK, reserveGroup } from '#test/support/multicast.ts';
import { packetOf, TRANSPORT } from '#test/support/packets.ts';
import { until } from '#test/support/until.ts';

const SPORTS = [1_001, 1_002, 1_003];

test('a request at the shared port reaches the publisher it is meant for', async () => {
  await using resources = new AsyncDisposableStack();
  const { group, port } = resources.use(await reserveSharedPort());
  const address: ChannelAddress = { group, port, dport: 7_500, framing: 'raw' };
  const heard = SPORTS.map(() => 0);
  for (const [index, tsiSport] of SPORTS.entries()) {
    const { receiveFrom } = await openPublisherTransport(resources, {
      address,
      interfaceAddress: LOOPBACK,
      transport: { ...TRANSPORT, tsiSport },
    });
    for (const socket of receiveFrom) {
      socket.onDatagram = (bytes) => {
        const isMine = new DataView(bytes.buffer, bytes.byteOffset).getUint16(2) === tsiSport;
        if (isMine) heard[index] = (heard[index] ?? 0) + 1;
      };
    }
  }
  const asking = { interfaceAddress: LOOPBACK, ttl: 0, sendBufferBytes: 65_536 };
  const receiver = resources.use(await openSendSocket(asking));
  for (const tsiSport of SPORTS) {
    const nla = ipv4ToWord(LOOPBACK);
    const transport = { ...TRANSPORT, tsiSport };
    const nak = { ...transport, nla, groupNla: ipv4ToWord(group), sqns: [7], count: 1 };
    receiver.send(
      packetOf((into) => writeNak(into, nak)),
      LOOPBACK,
      port,
    );
  }
  await until('each has heard its own', () => heard.every((count) => count > 0));
  assert.deepEqual(heard, [1, 1, 1]);
});

/** A group whose port is free at the loopback address too, which the transports bind. */
async function reserveSharedPort(): Promise<AsyncDisposable & { group: string; port: number }> {
  const { group, port, [Symbol.asyncDispose]: release } = await reserveGroup();
  await release();
  return { group, port, [Symbol.asyncDispose]: () => Promise.resolve() };
}
