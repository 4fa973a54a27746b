// A receiver that hears what OpenPGM and ZeroMQ said when they were captured: it must tell exactly
// the messages that were sent, with nothing to ask for where nothing was missing.

import assert from 'node:assert/strict';
import test from 'node:test';
import { type Framing, seededRandom } from '#base/mod.ts';
import { Receiver } from '#multicast/core/mod.ts';
import { newBlockReader, zmqParts } from '#multicast/wire/mod.ts';
import { readPacket } from '#test/support/packets.ts';
import { readCapture } from '#test/support/pcap.ts';

interface Heard {
  readonly payloads: Uint8Array[];
  readonly lossCount: number;
  readonly closings: string[];
  readonly receiver: Receiver;
}

/** Everything the capture holds, heard by one receiver, a millisecond apart. */
function hear(name: string, framing: Framing, join: 'live' | 'window' = 'window'): Heard {
  const capture = readCapture(name);
  const first = capture[0];
  const receiver = new Receiver({
    address: {
      group: first.destinationAddress,
      port: first.destinationPort,
      dport: readPacket(first.payload).dataDport,
      framing,
    },
    join,
    random: seededRandom(1),
    messageBytesMax: 1_048_576,
    repairTimeoutMs: 5_000,
    sourceExpiryMs: 30_000,
  });
  for (const [ms, { payload, sourceAddress, sourcePort }] of capture.entries()) {
    receiver.handleDatagram(payload, { address: sourceAddress, port: sourcePort }, ms);
  }
  return { ...collected(receiver, framing), receiver };
}

function collected(receiver: Receiver, framing: Framing): Omit<Heard, 'receiver'> {
  const payloads: Uint8Array[] = [];
  const closings: string[] = [];
  let lossCount = 0;
  const reader = newBlockReader(framing);
  for (let event = receiver.pollEvent(); event !== undefined; event = receiver.pollEvent()) {
    if (event.kind === 'lost') lossCount += 1;
    if (event.kind === 'closed') closings.push(event.cause);
    if (event.kind !== 'messages') continue;
    reader.open(event.bytes, event.start, event.end);
    while (reader.next()) {
      payloads.push(event.bytes.subarray(reader.payloadStart, reader.payloadEnd));
    }
  }
  return { payloads, lossCount, closings };
}

/** What the programs under capture sent: a word and a number, then a dot and one letter over. */
function numbered(word: string, count: number): string[] {
  return Array.from({ length: count }, (_, n) => `${word} ${n}`);
}

function headOf(payload: Uint8Array): string {
  return Buffer.from(payload).toString('latin1').split(' .')[0] ?? '';
}

const RAW: readonly [string, number, number][] = [
  ['01-plain.pcap', 10, 100],
  ['02-fragment.pcap', 3, 10_000],
  ['06-unrecoverable.pcap', 200, 100],
];

for (const [name, count, bytes] of RAW) {
  test(`the messages of ${name} are those that OpenPGM sent`, () => {
    for (const join of ['live', 'window'] as const) {
      const { payloads, lossCount, closings } = hear(name, 'raw', join);
      assert.deepEqual(payloads.map(headOf), numbered('msg', count));
      assert.ok(payloads.every(({ length }) => length === bytes));
      assert.deepEqual([lossCount, closings], [0, ['fin']]);
    }
  });
}

test('repairs of packets that are there already are duplicates', () => {
  const { payloads, receiver } = hear('03-loss-nak-repair.pcap', 'raw', 'live');
  assert.deepEqual(payloads.map(headOf), ['msg 0', ...numbered('msg', 200)]);
  assert.equal(receiver.counters.sessionsOpened, 2);
  assert.equal(receiver.counters.duplicates, 19);
});

test('the messages of 09-zmq-epgm-small.pcap are those that ZeroMQ sent', () => {
  const { payloads, lossCount, closings } = hear('09-zmq-epgm-small.pcap', 'zmq');
  const parts = payloads.map((payload) => zmqParts(payload));
  assert.ok(parts.every(({ length }) => length === 1));
  assert.deepEqual(parts.flat().map(headOf), numbered('zmsg', 20));
  assert.deepEqual([lossCount, closings], [0, ['fin']]);
});

test('the parts of messages that lie across packets are kept', () => {
  const { payloads, receiver } = hear('10-zmq-epgm-multipart-large.pcap', 'zmq');
  const parts = payloads.map((payload) => zmqParts(payload));
  assert.deepEqual(
    parts.map(([topic, body]) => [headOf(topic ?? body), body?.length]),
    Array.from({ length: 5 }, () => ['topic', 5_000]),
  );
  assert.deepEqual(
    parts.map(([, body]) => headOf(body ?? new Uint8Array(0))),
    numbered('zmsg', 5),
  );
  assert.equal(receiver.counters.corruptBlocks, 0);
});

test('the 5,000 messages that ZeroMQ sent in batches are told once each', () => {
  const { payloads, lossCount } = hear('12-zmq-epgm-batched-with-loss.pcap', 'zmq');
  assert.deepEqual(
    payloads.flatMap((payload) => zmqParts(payload).map(headOf)),
    [...numbered('zmsg', 5_000)],
  );
  assert.equal(lossCount, 0);
});

test('a publisher of ours knows the NAKs and SPM requests of OpenPGM and ZeroMQ', () => {
  const names = ['03-loss-nak-repair', '04-loss-of-ncf-and-rdata', '05-late-join-spmr'];
  for (const name of [...names, '12-zmq-epgm-batched-with-loss']) {
    const capture = readCapture(`${name}.pcap`);
    const sources = new Set<string>();
    for (const { payload } of capture) {
      const { kind, gsiHigh, gsiLow, tsiSport, dataDport } = readPacket(payload);
      const transport = [gsiHigh, gsiLow, tsiSport, dataDport].join(' ');
      if (kind === 'odata') sources.add(transport);
      if (kind === 'nak' || kind === 'spmr') assert.ok(sources.has(transport), name);
    }
  }
});
