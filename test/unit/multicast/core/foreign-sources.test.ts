// Sources of other implementations at a receiver: known by their TSI alone, numbered by their
// packets.

import assert from 'node:assert/strict';
import test from 'node:test';
import { isSessionId, RECEIVE_SESSIONS_MAX } from '#base/mod.ts';
import { writeNak, zmqMessage } from '#multicast/wire/mod.ts';
import {
  eventsOf,
  foreignData,
  foreignSpm,
  PLACES,
  rawData,
  rawReceiver,
  ROUND,
  TSI,
} from '#test/support/foreign-packets.ts';
import { withoutPrivateOptions } from '#sim/mod.ts';
import { packetOf, readPacket, SOURCE_NLA, TRANSPORT } from '#test/support/packets.ts';
import {
  CHANNEL,
  dataPacket,
  hear,
  newReceiver,
  PUBLISHER,
  sent,
  SESSION_ID,
  spmPacket,
  told,
  waitUntil,
} from '#test/support/session-packets.ts';

const ZMQ = { ...CHANNEL, framing: 'zmq' } as const;

function text(payload: string): Uint8Array {
  return new TextEncoder().encode(payload);
}

/** A data packet of whole one-part messages. */
function zmq(sqn: number, parts: readonly string[], trail = 0): Uint8Array {
  const messages = parts.map((part) => zmqMessage([text(part)]));
  return foreignData({ sqn, trail, tsdu: Buffer.concat([Uint8Array.of(0, 0), ...messages]) });
}

/** A third of the message of three packets that begins in packet 7. */
function piece(sqn: number, startBytes: number): Uint8Array {
  return foreignData({
    sqn,
    tsdu: text('abc'),
    fragment: { firstSqn: 7, startBytes, apduBytes: 9 },
  });
}

test('a source without our option gets a session of the receiver, and says so', () => {
  const receiver = rawReceiver();
  hear(receiver, 0, rawData(5, { trail: 5 }));
  const [opened, messages] = eventsOf(receiver);
  assert.ok(opened?.kind === 'opened' && messages?.kind === 'messages');
  assert.ok(isSessionId(opened.session));
  assert.deepEqual([opened.tsi, opened.isForeign], [TSI, true]);
  assert.deepEqual([messages.session, messages.firstSequence], [opened.session, ROUND + 5]);
  assert.equal(Buffer.from(messages.bytes.subarray(messages.start, messages.end)).toString(), '5');
});

test('a native channel follows no such source, and counts its packets', () => {
  const receiver = newReceiver();
  hear(receiver, 0, rawData(5), foreignSpm({ lead: 5 }));
  assert.deepEqual(told(receiver), []);
  assert.equal(receiver.counters.foreign, 2);
});

test('publishers of ours on such a channel keep their session and their sequences', () => {
  const receiver = rawReceiver();
  hear(receiver, 0, dataPacket({ sqn: 0, sequence: 1, tsdu: text('ours') }));
  const [opened, messages] = eventsOf(receiver);
  assert.ok(opened?.kind === 'opened' && messages?.kind === 'messages');
  assert.deepEqual([opened.session, opened.isForeign], [SESSION_ID, false]);
  assert.deepEqual([messages.firstSequence, messages.lastSequence], [1, 1]);
});

test('a packet without our option under the TSI of one of ours is nobody', () => {
  const receiver = rawReceiver();
  hear(receiver, 0, dataPacket({ sqn: 0, sequence: 1, tsdu: text('ours') }), rawData(1));
  assert.deepEqual(told(receiver), ['opened', 'messages 1-1']);
  assert.equal(receiver.counters.foreign, 1);
});

test('a message of raw is numbered by its first packet, and its block by its last', () => {
  const receiver = rawReceiver({ join: 'live' });
  hear(receiver, 0, rawData(6), piece(7, 0), piece(8, 3), piece(9, 6), rawData(10));
  const numbers = eventsOf(receiver).flatMap((event) =>
    event.kind === 'messages' ? [[event.firstSequence - ROUND, event.lastSequence - ROUND]] : [],
  );
  assert.deepEqual(numbers.slice(-3), [
    [6, 6],
    [7, 9],
    [10, 10],
  ]);
});

test('a message of zmq is numbered by its packet and its place in it', () => {
  const receiver = newReceiver({ address: ZMQ, join: 'live' });
  hear(receiver, 0, zmq(3, ['a', 'b']), zmq(4, ['c']));
  const numbers = eventsOf(receiver).flatMap((event) =>
    event.kind === 'messages' ? [[event.firstSequence, event.lastSequence]] : [],
  );
  const first = (ROUND + 3) * PLACES;
  assert.deepEqual(numbers, [
    [first, first + PLACES - 1],
    [first + PLACES, first + 2 * PLACES - 1],
  ]);
});

test('who joins later numbers the same message alike', () => {
  const sequences = [0, 2].map((joinedAt) => {
    const receiver = rawReceiver({ join: 'live' });
    for (let sqn = joinedAt; sqn < 5; sqn += 1) hear(receiver, 0, rawData(sqn));
    return eventsOf(receiver).flatMap((event) =>
      event.kind === 'messages' ? [event.firstSequence] : [],
    );
  });
  assert.deepEqual(sequences[0]?.slice(2), sequences[1]);
});

test('the packet number wraps and the sequence goes on', () => {
  const receiver = rawReceiver({ join: 'live' });
  for (const sqn of [ROUND - 2, ROUND - 1, 0, 1])
    hear(receiver, 0, rawData(sqn, { trail: ROUND - 2 }));
  const last = eventsOf(receiver).findLast((event) => event.kind === 'messages');
  assert.equal(last?.kind === 'messages' && last.firstSequence, 2 * ROUND + 1);
});

test('what lies before the first packet is no loss, whether asked for or not', () => {
  for (const join of ['live', 'window'] as const) {
    const receiver = rawReceiver({ join });
    hear(receiver, 0, rawData(10, { trail: 10 }), rawData(11, { trail: 10 }));
    const first = ROUND + 10;
    assert.deepEqual(told(receiver).slice(1), [
      `messages ${first}-${first}`,
      `messages ${first + 1}-${first + 1}`,
    ]);
  }
});

test('an archiver asks for everything from the trail on, and what never comes is lost', () => {
  const receiver = rawReceiver({ repairTimeoutMs: 1_000 });
  hear(receiver, 0, rawData(10, { trail: 8 }), foreignSpm({ trail: 8, lead: 10 }));
  assert.deepEqual(waitUntil(receiver, 50)[0], 'nak 8 9 to 192.168.1.7:7500');
  hear(receiver, 60, rawData(8, { trail: 8, isRepair: true }));
  waitUntil(receiver, 2_000, 60);
  const first = ROUND + 8;
  assert.deepEqual(told(receiver).slice(1), [
    `messages ${first}-${first}`,
    `lost ${first + 1}-${first + 1} repair_expired`,
    `messages ${first + 2}-${first + 2}`,
  ]);
  assert.equal(receiver.counters.messagesLost, 1);
});

test('a lost packet of zmq counts once, since nobody knows what it held', () => {
  const receiver = newReceiver({ address: ZMQ, repairTimeoutMs: 1_000 });
  hear(receiver, 0, zmq(0, ['a']), foreignSpm({ lead: 3 }), zmq(3, ['d']));
  waitUntil(receiver, 2_000);
  const last = (ROUND + 3) * PLACES;
  assert.equal(told(receiver)[2], `lost ${last - 2 * PLACES}-${last - 1} repair_expired`);
  assert.equal(receiver.counters.messagesLost, 2);
});

test('a source that ends in the middle of a message loses it', () => {
  const receiver = newReceiver({ address: ZMQ });
  const started = foreignData({ sqn: 1, tsdu: Uint8Array.of(0, 0, 9, 0, 1, 2) });
  hear(receiver, 0, zmq(0, ['a']), started, foreignSpm({ lead: 1, isFin: true }));
  const first = (ROUND + 1) * PLACES;
  assert.deepEqual(told(receiver).slice(-2), [
    `lost ${first}-${first + PLACES - 1} source_gone`,
    'closed fin',
  ]);
});

test('a NAK says what the source requires, and goes where it listens and to the group', () => {
  const receiver = rawReceiver();
  hear(receiver, 0, foreignSpm({ trail: 0, lead: 2 }), rawData(0), rawData(2));
  receiver.handleTimeout(50);
  const [nak, copy] = [receiver.pollTransmit(), receiver.pollTransmit()];
  assert.ok(nak !== undefined && copy !== undefined);
  assert.deepEqual([nak.address, nak.port], [PUBLISHER.address, CHANNEL.port]);
  assert.deepEqual([copy.address, copy.port], [CHANNEL.group, CHANNEL.port]);
  const expected = packetOf((into) =>
    writeNak(into, {
      ...TRANSPORT,
      nla: SOURCE_NLA,
      groupNla: readPacket(nak.bytes).groupNla,
      sqns: [1],
      count: 1,
    }),
  );
  assert.deepEqual(new Uint8Array(nak.bytes), expected);
  assert.equal(readPacket(nak.bytes).groupNlaText(), CHANNEL.group);
});

test('the SPM of a source never heard is asked for in the group and at the source', () => {
  const receiver = rawReceiver();
  hear(receiver, 0, rawData(0));
  assert.deepEqual(waitUntil(receiver, 249), [
    `spmr to ${PUBLISHER.address}:${CHANNEL.port}`,
    `spmr to ${CHANNEL.group}:${CHANNEL.port}`,
  ]);
  hear(receiver, 250, foreignSpm({ lead: 0 }));
  assert.deepEqual(waitUntil(receiver, 1_000, 250), []);
});

test('a source of ours that takes over a TSI ends the session made up for it', () => {
  const receiver = rawReceiver();
  hear(receiver, 0, rawData(0), spmPacket({ lead: 0, sequence: 1 }));
  assert.deepEqual(told(receiver).slice(2), ['closed expired', 'opened', 'source gateway-7']);
});

test('beyond the bound on sessions a source makes room that was hardly heard', () => {
  const receiver = rawReceiver();
  for (let n = 0; n <= RECEIVE_SESSIONS_MAX; n += 1) {
    const packet = rawData(0, { transport: { tsiSport: 1 + n } });
    hear(receiver, 0, packet, packet);
  }
  assert.equal(receiver.sessionCount, RECEIVE_SESSIONS_MAX);
  assert.equal(receiver.counters.sessionsReplaced, 1);
});

test('several sources on one dport are told apart', () => {
  const receiver = rawReceiver({ join: 'live' });
  const other = { transport: { tsiSport: 0x3333 } };
  hear(receiver, 0, rawData(5), rawData(900, other), rawData(6), rawData(901, other));
  const sessions = new Map<string, number[]>();
  for (const event of eventsOf(receiver)) {
    if (event.kind !== 'messages') continue;
    const numbers = sessions.get(event.session) ?? [];
    sessions.set(event.session, [...numbers, event.firstSequence - ROUND]);
  }
  assert.deepEqual(
    [...sessions.values()],
    [
      [5, 6],
      [900, 901],
    ],
  );
});

test('parity packets are counted and mean nothing', () => {
  const receiver = rawReceiver();
  const parity = withoutPrivateOptions(dataPacket({ sqn: 1, sequence: 1, tsdu: text('x') }));
  parity[5] |= 0x80;
  parity.set([0, 0], 6);
  hear(receiver, 0, parity);
  assert.deepEqual(told(receiver), []);
  assert.equal(receiver.counters.unsupported, 1);
});

test('what cannot be read of a zmq stream is lost as corrupt, up to the next start', () => {
  const receiver = newReceiver({ address: ZMQ });
  const fragment = { firstSqn: 2, startBytes: 0, apduBytes: 9 };
  const bad = [
    foreignData({ sqn: 1, tsdu: Uint8Array.of(0) }),
    foreignData({ sqn: 2, tsdu: zmqMessage([text('a')]), fragment }),
    foreignData({ sqn: 3, tsdu: Uint8Array.of(0, 9, 1, 0) }),
    foreignData({ sqn: 4, tsdu: Uint8Array.of(0xff, 0xff, 1, 0) }),
    foreignData({ sqn: 5, tsdu: Uint8Array.of(0, 0, 3, 0x40, 1, 2) }),
  ];
  hear(receiver, 0, zmq(0, ['a']), ...bad, zmq(6, ['b']));
  const [, , lost, messages] = told(receiver);
  const first = (ROUND + 1) * PLACES;
  const next = (ROUND + 6) * PLACES;
  assert.equal(lost, `lost ${first}-${next - 1} corrupt`);
  assert.equal(messages, `messages ${next}-${next}`);
  assert.equal(receiver.counters.corruptBlocks, 4);
  assert.deepEqual(sent(receiver), []);
});
