// Channels of the framings raw and zmq on real sockets: between our own ends under loss, and as
// another implementation's receiver would meet our publisher.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChannelAddress, Framing } from '#base/mod.ts';
import { ChannelPublisher, ChannelSubscriber, type OpenPublisherOptions } from '#client/mod.ts';
import { openGroupSocket, openSendSocket } from '#multicast/udp/mod.ts';
import {
  dataHeaderBytes,
  ipv4ToWord,
  PacketReader,
  writeNak,
  zmqMessage,
  zmqParts,
} from '#multicast/wire/mod.ts';
import { LOOPBACK, openSocketCount, reserveGroup } from '#test/support/multicast.ts';
import { packetOf } from '#test/support/packets.ts';
import { until } from '#test/support/until.ts';

/** Where publishers hear NAKs: the port at the other address is what reserves the group. */
const PUBLISHER_ADDRESS = '127.0.0.2';
const FRAMINGS: readonly Framing[] = ['raw', 'zmq'];
const PUBLISHING: Omit<OpenPublisherOptions, 'address'> = {
  interfaceAddress: PUBLISHER_ADDRESS,
  packetBytesMax: 8_972,
  messageBytesMax: 100_000,
  windowPackets: 4_096,
  windowBytes: 8_388_608,
  rateBytesPerSec: 20_000_000,
  flushMs: 1,
  lingerMs: 300,
};

async function channel(
  framing: Framing,
): Promise<{ readonly address: ChannelAddress } & AsyncDisposable> {
  const { group, port, [Symbol.asyncDispose]: dispose } = await reserveGroup();
  const dport = framing === 'zmq' ? port : 7_500;
  return { address: { group, port, dport, framing }, [Symbol.asyncDispose]: dispose };
}

function openSubscriber(address: ChannelAddress, faults?: string): Promise<ChannelSubscriber> {
  return ChannelSubscriber.open({
    address,
    ...(faults === undefined ? {} : { faults }),
    interfaceAddress: LOOPBACK,
    receiveBufferBytes: 4_194_304,
    messageBytesMax: PUBLISHING.messageBytesMax,
    repairTimeoutMs: 5_000,
    sourceExpiryMs: 30_000,
  });
}

/** Small messages, empty ones, and some over several packets. */
function payloadOf(n: number): Buffer {
  const bytes = [0, 20, 140, 1_424, 1_425, 9_000][n % 6] ?? 0;
  return Buffer.alloc(bytes, String(n));
}

for (const framing of FRAMINGS) {
  test(`${framing}: all messages arrive in order, whatever is lost on the way`, async () => {
    const count = 600;
    await using open = await channel(framing);
    await using subscriber = await openSubscriber(open.address, 'receive-loss=0.1,seed=5');
    const publisher = await ChannelPublisher.open({
      ...PUBLISHING,
      ...open,
      lingerMs: 2_000,
      faults: 'send-loss=0.05,seed=7',
    });
    const publishing = (async () => {
      for (let n = 1; n <= count; n += 1) await publisher.publish(payloadOf(n));
      await publisher.close();
    })();
    let n = 0;
    for await (const live of subscriber) {
      assert.notEqual(live.kind, 'lost');
      if (live.kind === 'session' && live.state === 'closed') break;
      if (live.kind !== 'message') continue;
      n = n === 0 ? live.sequence : n + 1;
      assert.equal(live.sequence, n);
      assert.ok(Math.abs(live.publishedAtUs / 1_000 - Date.now()) < 60_000);
      const [part, ...more] = framing === 'zmq' ? zmqParts(live.payload) : [live.payload];
      assert.deepEqual(more, []);
      assert.deepEqual(Buffer.from(part ?? new Uint8Array(1)), payloadOf(n));
    }
    await publishing;
    assert.equal(n, count);
    assert.ok(subscriber.counters.repairsReceived > 0);
  });

  test(`${framing}: packets stay within an Ethernet frame, their first SPM included`, async () => {
    await using open = await channel(framing);
    const { group, port } = open.address;
    await using ear = await openGroupSocket({
      group,
      port,
      interfaceAddress: LOOPBACK,
      receiveBufferBytes: 1_048_576,
    });
    const sizes: number[] = [];
    ear.onDatagram = (bytes) => sizes.push(bytes.length);
    await using publisher = await ChannelPublisher.open({ ...PUBLISHING, ...open });
    await publisher.publish(Buffer.alloc(20_000));
    await until('the message is sent', () => sizes.length >= 15);
    assert.equal(Math.max(...sizes), 1_472);
  });

  test(`${framing}: a NAK to the group's port at the path address is answered`, async () => {
    await using open = await channel(framing);
    const { group, port } = open.address;
    const options = { interfaceAddress: LOOPBACK, ttl: 1 };
    await using ear = await openGroupSocket({
      ...options,
      group,
      port,
      receiveBufferBytes: 65_536,
    });
    await using foreign = await openSendSocket({ ...options, sendBufferBytes: 65_536 });
    const heard: string[] = [];
    const reader = new PacketReader();
    ear.onDatagram = (bytes) => {
      assert.equal(reader.read(bytes), undefined);
      if (reader.kind !== 'spm') heard.push(`${reader.kind} ${reader.sqn}`);
      if (reader.kind !== 'odata') return;
      const { gsiHigh, gsiLow, tsiSport, dataDport } = reader;
      const nlas = { nla: ipv4ToWord(PUBLISHER_ADDRESS), groupNla: ipv4ToWord(group) };
      const nak = { gsiHigh, gsiLow, tsiSport, dataDport, ...nlas, sqns: [0], count: 1 };
      foreign.send(
        packetOf((into) => writeNak(into, nak)),
        PUBLISHER_ADDRESS,
        port,
      );
    };
    await using publisher = await ChannelPublisher.open({ ...PUBLISHING, ...open });
    await publisher.publish(Buffer.from('once'));
    await until('the repair is heard', () => heard.length >= 3);
    assert.deepEqual(heard, ['odata 0', 'ncf 0', 'rdata 0']);
  });
}

test('raw: a message larger than OpenPGM takes is refused with what it may have', async () => {
  await using open = await channel('raw');
  await using publisher = await ChannelPublisher.open({ ...PUBLISHING, ...open });
  const largest = 16 * (1_472 - dataHeaderBytes(true));
  assert.equal(publisher.messageBytesMax, largest);
  assert.equal(await publisher.publish(Buffer.alloc(largest)), 1);
  await assert.rejects(publisher.publish(Buffer.alloc(largest + 1)), {
    code: 'BACKCAST_MESSAGE_TOO_LARGE',
    message: new RegExp(`${largest + 1} bytes; at most ${largest}`),
  });
});

test('zmq: the parts of a message arrive as they were published', async () => {
  await using open = await channel('zmq');
  await using subscriber = await openSubscriber(open.address);
  await using publisher = await ChannelPublisher.open({ ...PUBLISHING, ...open, lingerMs: 10 });
  const parts = ['topic', '', 'x'.repeat(5_000)].map((text) => Buffer.from(text));
  assert.equal(await publisher.publishParts(parts), 1);
  for await (const live of subscriber) {
    if (live.kind !== 'message') continue;
    assert.deepEqual(new Uint8Array(live.payload), zmqMessage(parts));
    break;
  }
});

test('a message of several parts needs the framing zmq, and one part at least', async () => {
  for (const [framing, parts] of [
    ['raw', [Buffer.from('a')]],
    ['zmq', []],
  ] as const) {
    await using open = await channel(framing);
    await using publisher = await ChannelPublisher.open({ ...PUBLISHING, ...open, lingerMs: 1 });
    await assert.rejects(publisher.publishParts(parts), { code: 'BACKCAST_USAGE' });
  }
});

test('zmq: the largest message is taken whole, one byte more is refused', async () => {
  await using open = await channel('zmq');
  await using publisher = await ChannelPublisher.open({ ...PUBLISHING, ...open, lingerMs: 1 });
  assert.equal(await publisher.publish(Buffer.alloc(publisher.messageBytesMax)), 1);
  const refused = { code: 'BACKCAST_MESSAGE_TOO_LARGE' };
  await assert.rejects(publisher.publish(Buffer.alloc(publisher.messageBytesMax + 1)), refused);
});

test('closing lets go of the ports that are shared as well', async () => {
  await using open = await channel('raw');
  const publisher = await ChannelPublisher.open({ ...PUBLISHING, ...open, lingerMs: 1 });
  await until('its own socket, two shared ones and the channel', () => openSocketCount() === 4);
  await publisher.close();
  await until('only the channel is open', () => openSocketCount() === 1);
});
