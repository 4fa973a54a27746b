// The machines on real sockets: what three publishers of one host publish over real multicast
// reaches two receivers completely and in order, although one datagram in twenty is dropped on
// every way in and out.

import assert from 'node:assert/strict';
import test from 'node:test';
import {
  type ChannelAddress,
  randomBelow,
  randomSessionId,
  seededRandom,
  type Random,
  type SessionId,
} from '#base/mod.ts';
import { Publisher, Receiver, type ReceiverEvent } from '#multicast/core/mod.ts';
import {
  Driver,
  injectFaults,
  monotonicMs,
  NO_FAULTS,
  openGroupSocket,
  openSendSocket,
  wallClockUs,
  type DatagramSocket,
  type FaultySocket,
} from '#multicast/udp/mod.ts';
import { checkEvents } from '#sim/mod.ts';
import { LOOPBACK, reserveGroup } from '#test/support/multicast.ts';

const PUBLISHERS = 3;
const MESSAGES_PER_PUBLISHER = 5_000;
const LOSS = 0.05;

/** Sockets of one node, with faults before them, and what closes them. */
interface Node {
  readonly group: FaultySocket;
  readonly own: FaultySocket;
}

async function openNode(
  address: ChannelAddress,
  seed: number,
  resources: AsyncDisposableStack,
): Promise<Node> {
  const interfaceAddress = LOOPBACK;
  const { group, port } = address;
  const withFaults = (socket: DatagramSocket): FaultySocket =>
    injectFaults(socket, { ...NO_FAULTS, sendLoss: LOSS, receiveLoss: LOSS, seed });
  const options = { group, port, interfaceAddress, receiveBufferBytes: 4_194_304 };
  const sending = { interfaceAddress, ttl: 1, sendBufferBytes: 4_194_304 };
  return {
    group: resources.use(withFaults(await openGroupSocket(options))),
    own: resources.use(withFaults(await openSendSocket(sending))),
  };
}

/**
 * Publishes `payloads` as fast as the publisher takes them, then closes; resolves when it has
 * lingered.
 */
async function publishAll(
  address: ChannelAddress,
  node: Node,
  session: SessionId,
  payloads: readonly Uint8Array[],
): Promise<void> {
  const machine = new Publisher(
    {
      address,
      session,
      source: 'test',
      transport: {
        gsiHigh: 1,
        gsiLow: node.own.localPort,
        tsiSport: node.own.localPort,
        dataDport: address.dport,
      },
      nla: node.own.localAddress,
      nakPort: node.own.localPort,
      packetBytesMax: 1_472,
      messageBytesMax: 1_048_576,
      windowPackets: 16_384,
      windowBytes: 33_554_432,
      rateBytesPerSec: 10_000_000,
      flushMs: 1,
      lingerMs: 1_000,
    },
    monotonicMs(),
  );
  const closed = Promise.withResolvers<void>();
  let published = 0;
  const publishMore = (): void => {
    while (published < payloads.length) {
      const outcome = machine.publish(payloads[published], wallClockUs(), monotonicMs());
      if (outcome !== 'accepted') break;
      published += 1;
    }
    if (published === payloads.length) machine.close(monotonicMs());
    driver.schedule();
  };
  const onEvents = (): void => {
    for (let event = machine.pollEvent(); event !== undefined; event = machine.pollEvent()) {
      if (event.kind === 'closed') closed.resolve();
    }
    if (machine.state === 'open') publishMore();
  };
  const { own, group } = node;
  const driver = new Driver({ machine, receiveFrom: [own, group], sendThrough: own, onEvents });
  await closed.promise;
  driver[Symbol.dispose]();
}

/** Receives until every session is over; gives all that the receiver told. */
async function receiveAll(
  address: ChannelAddress,
  node: Node,
  random: Random,
): Promise<{ readonly events: ReceiverEvent[]; readonly machine: Receiver }> {
  const machine = new Receiver({
    address,
    join: 'window',
    random,
    messageBytesMax: 1_048_576,
    repairTimeoutMs: 10_000,
    sourceExpiryMs: 10_000,
  });
  const events: ReceiverEvent[] = [];
  const done = Promise.withResolvers<void>();
  let sessionsOver = 0;
  const onEvents = (): void => {
    for (let event = machine.pollEvent(); event !== undefined; event = machine.pollEvent()) {
      events.push(event);
      if (event.kind === 'closed') sessionsOver += 1;
    }
    if (sessionsOver === PUBLISHERS) done.resolve();
  };
  const { own, group } = node;
  const driver = new Driver({ machine, receiveFrom: [group], sendThrough: own, onEvents });
  await done.promise;
  driver[Symbol.dispose]();
  return { events, machine };
}

function randomPayloads(random: Random): Uint8Array[] {
  return Array.from({ length: MESSAGES_PER_PUBLISHER }, (_, i) => {
    const payload = new Uint8Array(i % 1_000 === 999 ? 20_000 : randomBelow(random, 400));
    for (let at = 0; at < payload.length; at += 1) payload[at] = randomBelow(random, 256);
    return payload;
  });
}

test('all that is published arrives in order over a lossy multicast', {
  timeout: 60_000,
}, async () => {
  const random = seededRandom(20_261_122);
  await using reserved = await reserveGroup();
  await using resources = new AsyncDisposableStack();
  const { group, port } = reserved;
  const address: ChannelAddress = { group, port, dport: 7_500, framing: 'native' };
  const published = new Map<SessionId, Uint8Array[]>();
  for (let i = 0; i < PUBLISHERS; i += 1) {
    published.set(randomSessionId(random), randomPayloads(random));
  }
  const receivers = await Promise.all(
    [101, 102].map(async (seed) => openNode(address, seed, resources)),
  );
  const publishers = await Promise.all(
    [201, 202, 203].map(async (seed) => openNode(address, seed, resources)),
  );
  const received = receivers.map(async (node) => receiveAll(address, node, random));
  const sent = [...published].map(async ([session, payloads], i) =>
    publishAll(address, publishers[i], session, payloads),
  );
  const results = await Promise.all(received);
  await Promise.all(sent);
  for (const [i, { events, machine }] of results.entries()) {
    const verdicts = checkEvents(events, published);
    assert.deepEqual(new Set(verdicts.keys()), new Set(published.keys()));
    for (const verdict of verdicts.values()) {
      assert.deepEqual([verdict.firstSequence, verdict.lost], [1, 0]);
      assert.equal(verdict.delivered, MESSAGES_PER_PUBLISHER);
    }
    assert.ok(receivers[i].group.faults.dropped.receive.odata > 50, 'faults were real');
    assert.ok(machine.counters.naksSent <= 2 * machine.counters.packetsMissed);
  }
});
