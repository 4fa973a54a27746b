// A hostile neighbour on real sockets: ten thousand NAKs a second, each for 63 packets, at a
// publisher that sends at its full rate to a subscriber with losses of its own.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { ChannelAddress } from '#base/mod.ts';
import { ChannelPublisher, ChannelSubscriber } from '#client/mod.ts';
import { type DatagramSocket, openGroupSocket, openSendSocket } from '#multicast/udp/mod.ts';
import { ipv4ToWord, PacketReader, type TransportSession, writeNak } from '#multicast/wire/mod.ts';
import { LOOPBACK, reserveGroup } from '#test/support/multicast.ts';
import { packetOf } from '#test/support/packets.ts';

const RATE_BYTES_PER_SEC = 5_000_000;
const MESSAGES = 5_000;
const MESSAGE_BYTES = 1_300;
const NAKS_PER_MS = 10;
const BURST_MAX = 200;
const NOBODY: TransportSession = { gsiHigh: 0, gsiLow: 0, tsiSport: 0, dataDport: 0 };
const PUBLISHER = {
  interfaceAddress: LOOPBACK,
  packetBytesMax: 1_472,
  messageBytesMax: 1_400,
  windowPackets: 16_384,
  windowBytes: 33_554_432,
  rateBytesPerSec: RATE_BYTES_PER_SEC,
  flushMs: 1,
  lingerMs: 500,
};
const SUBSCRIBER = {
  interfaceAddress: LOOPBACK,
  receiveBufferBytes: 8 * 1_048_576,
  messageBytesMax: 10_000,
  repairTimeoutMs: 20_000,
  sourceExpiryMs: 30_000,
  faults: 'receive-loss=0.01,kinds=odata,seed=3',
};

/** What the neighbour has overheard. */
interface Overheard {
  transport: TransportSession | undefined;
  nakPort: number;
  lead: number;
}

async function overhear(address: ChannelAddress): Promise<[DatagramSocket, Overheard]> {
  const { group, port } = address;
  const options = { group, port, interfaceAddress: LOOPBACK, receiveBufferBytes: 1_048_576 };
  const socket = await openGroupSocket(options);
  const overheard: Overheard = { transport: undefined, nakPort: 0, lead: 0 };
  const reader = new PacketReader();
  socket.onDatagram = (bytes) => {
    if (reader.read(bytes) !== undefined) return;
    if (reader.kind === 'odata') overheard.lead = reader.sqn;
    if (reader.kind !== 'spm') return;
    const { gsiHigh, gsiLow, tsiSport, dataDport, nakPort } = reader;
    overheard.transport = { gsiHigh, gsiLow, tsiSport, dataDport };
    overheard.nakPort = nakPort;
  };
  return [socket, overheard];
}

/** What the `nth` NAK asks for: packets of the last two thousand. */
function askedBy(nth: number, lead: number): number[] {
  return Array.from({ length: 63 }, (_, n) => Math.max(0, lead - ((nth * 7 + n) % 2_000)));
}

/** Sends ten NAKs for each millisecond that passes, for packets of the window, until aborted. */
async function flood(from: DatagramSocket, overheard: Overheard, end: AbortSignal): Promise<void> {
  const startedAtMs = performance.now();
  for (let sent = 0; !end.aborted; ) {
    const { transport, nakPort, lead } = overheard;
    const due = Math.floor((performance.now() - startedAtMs) * NAKS_PER_MS);
    const burst = transport === undefined ? 0 : Math.min(due - sent, BURST_MAX);
    for (let n = 0; n < burst; n += 1) {
      const sqns = askedBy(sent, lead);
      const fields = {
        ...(transport ?? NOBODY),
        nla: ipv4ToWord(LOOPBACK),
        groupNla: 0,
        sqns,
        count: 63,
      };
      from.send(
        packetOf((into) => writeNak(into, fields)),
        LOOPBACK,
        nakPort,
      );
      sent += 1;
    }
    await pause(1);
  }
}

/** Reads all messages; they must come in order, each once. */
async function readAll(subscriber: ChannelSubscriber): Promise<number> {
  let count = 0;
  let next: number | undefined;
  for await (const live of subscriber) {
    assert.notEqual(live.kind, 'lost');
    if (live.kind !== 'message') continue;
    assert.equal(live.sequence, next ?? live.sequence);
    next = live.sequence + 1;
    count += 1;
    if (live.sequence === MESSAGES) break;
  }
  return count;
}

test('ten thousand NAKs a second cost a quarter of the rate, and the stream goes on', async (t) => {
  await using resources = new AsyncDisposableStack();
  const { group, port } = resources.use(await reserveGroup());
  const address: ChannelAddress = { group, port, dport: 7_500, framing: 'native' };
  const subscriber = resources.use(await ChannelSubscriber.open({ ...SUBSCRIBER, address }));
  const [ear, overheard] = await overhear(address);
  resources.use(ear);
  const options = { interfaceAddress: LOOPBACK, ttl: 1, sendBufferBytes: 1_048_576 };
  const mouth = resources.use(await openSendSocket(options));
  const publisher = resources.use(await ChannelPublisher.open({ ...PUBLISHER, address }));
  const end = new AbortController();
  const startedAtMs = performance.now();
  const flooding = flood(mouth, overheard, end.signal);
  const reading = readAll(subscriber).finally(() => end.abort());
  for (let n = 0; n < MESSAGES; n += 1) await publisher.publish(Buffer.alloc(MESSAGE_BYTES));
  const delivered = await reading;
  const elapsedSec = (performance.now() - startedAtMs) / 1_000;
  const { packetsSent, repairsSent, naksReceived, ncfsSent } = publisher.counters;
  await flooding;
  t.diagnostic(
    `${elapsedSec.toFixed(2)} s: ${naksReceived} NAKs, ${packetsSent} packets, ` +
      `${repairsSent} repairs, ${ncfsSent} NCFs; ${delivered} messages in order`,
  );
  const packetBytes = MESSAGE_BYTES + 100;
  assert.ok(naksReceived > 3_000, 'the flood was one');
  assert.ok(repairsSent * packetBytes <= (RATE_BYTES_PER_SEC / 4) * (elapsedSec + 1));
  assert.ok(ncfsSent <= 600 * (elapsedSec + 1));
  assert.ok(delivered > MESSAGES / 2 && subscriber.counters.messagesLost === 0);
});
