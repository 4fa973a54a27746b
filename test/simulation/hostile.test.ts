// Forged and damaged traffic beside real traffic: what it costs, and that the real one goes on.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkEvents, type SimulatedPublisher, type SimulatedReceiver, World } from '#sim/mod.ts';
import { sessionToWords } from '#base/mod.ts';
import { REPAIR_LINGER_MS } from '#multicast/core/repair-scheduler.ts';
import { ipv4ToWord, writeNak, writeSpm } from '#multicast/wire/mod.ts';
import { packetOf, writeData } from '#test/support/packets.ts';
import { blockOf } from '#test/support/session-packets.ts';
import { CALM, type Ledger, publishEach, publishOne } from '#test/support/simulated-traffic.ts';

const TRANSPORT = { gsiHigh: 1, gsiLow: 2, tsiSport: 3, dataDport: 7_501 };

interface Scene {
  readonly world: World;
  readonly ledger: Ledger;
  readonly receiver: SimulatedReceiver;
  readonly publisher: SimulatedPublisher;
}

/** A world with 50 messages published and heard. */
function newScene(seed: number): Scene {
  const world = new World(seed, CALM);
  const ledger: Ledger = new Map();
  const receiver = world.addReceiver();
  const publisher = world.addPublisher({ transport: TRANSPORT });
  publishEach(world, publisher, ledger, { count: 50 });
  return { world, ledger, receiver, publisher };
}

function sessionOf(publisher: SimulatedPublisher, sequence: number) {
  const { high, low } = sessionToWords(publisher.session);
  return { sessionHigh: high, sessionLow: low, sequence };
}

function forgedSpm(
  publisher: SimulatedPublisher,
  window: { readonly sqn: number; readonly trail: number; readonly lead: number },
): Uint8Array {
  const session = sessionOf(publisher, 1_000_000);
  return packetOf((into) => writeSpm(into, { ...TRANSPORT, ...window, nla: 0, session }));
}

test('a forged lead far ahead is not believed, and the session goes on', () => {
  const { world, ledger, receiver, publisher } = newScene(1);
  const spm = forgedSpm(publisher, { sqn: 1_000, trail: 0, lead: 2 ** 30 });
  world.inject(receiver.node, spm);
  world.network.faults = { ...CALM, loss: 0.2 };
  publishEach(world, publisher, ledger, { count: 100 });
  world.network.faults = CALM;
  world.run(world.nowMs + 2_000);
  const verdict = checkEvents(receiver.events, ledger).get(publisher.session);
  assert.deepEqual([verdict?.delivered, verdict?.lost], [150, 0]);
  assert.equal(receiver.machine.counters.beyondWindow, 1);
});

test('a forged lead within the window costs a bounded number of NAKs', () => {
  const { world, receiver, publisher } = newScene(2);
  world.inject(receiver.node, forgedSpm(publisher, { sqn: 1_000, trail: 0, lead: 131_000 }));
  const startedAtMs = world.nowMs;
  world.run(world.nowMs + 10_000);
  assert.equal(receiver.machine.counters.packetsMissed, 131_000 - 49);
  const naksPerSec = receiver.machine.counters.naksSent / ((world.nowMs - startedAtMs) / 1_000);
  assert.ok(naksPerSec <= 320, `${naksPerSec} NAKs per second`);
  assert.equal(publisher.machine.counters.repairsSent, 0);
});

test('a forged trail far ahead, said once or twice between real packets, is not believed', () => {
  const { world, ledger, receiver, publisher } = newScene(7);
  const window = { trail: 2 ** 30, lead: 2 ** 30 };
  for (let n = 0; n < 20; n += 1) {
    const spms = [0, 1].map((twin) =>
      forgedSpm(publisher, { sqn: 1_000 + 2 * n + twin, ...window }),
    );
    for (const spm of spms) world.inject(receiver.node, spm);
    publishEach(world, publisher, ledger, { count: 1 });
  }
  world.run(world.nowMs + 1_000);
  const verdict = checkEvents(receiver.events, ledger).get(publisher.session);
  assert.deepEqual([verdict?.delivered, verdict?.lost], [70, 0]);
  assert.equal(receiver.machine.counters.beyondWindow, 40);
});

test('a datum 2^31 ahead costs one interval and sixteen NAKs at most', () => {
  for (const leap of [2 ** 31 - 1, 2 ** 31, 2 ** 30, 131_000]) {
    const { world, receiver, publisher } = newScene(8);
    const header = { ...TRANSPORT, ...sessionOf(publisher, 60), sqn: 49 + leap, trail: 0 };
    const datum = packetOf((into) => writeData(into, header, blockOf([new Uint8Array(1)])));
    world.inject(receiver.node, datum);
    const sent = receiver.machine.counters.naksSent;
    world.run(world.nowMs + 15);
    assert.ok(receiver.machine.counters.naksSent - sent <= 16);
    assert.ok(receiver.machine.counters.packetsMissed <= 131_000);
  }
});

test('a trail far ahead that is said again is taken in one step, not counted through', () => {
  const { world, ledger, receiver, publisher } = newScene(3);
  const before = receiver.events.length;
  for (const sqn of [1_000, 1_001, 1_002]) {
    world.inject(receiver.node, forgedSpm(publisher, { sqn, trail: 2 ** 30, lead: 2 ** 30 }));
  }
  world.run(world.nowMs + 5_000);
  const told = receiver.events.slice(before).filter(({ kind }) => kind !== 'lead');
  assert.deepEqual(told, []);
  assert.equal(receiver.machine.counters.packetsMissed, 2 ** 30 - 50 + 1);
  assert.ok(receiver.machine.counters.naksSent <= 5_000 / 50);
  checkEvents(receiver.events, ledger);
});

test('ten thousand NAKs a second cost at most one repair per packet and linger', () => {
  const { world, ledger, receiver, publisher } = newScene(4);
  const sqns = Array.from({ length: 50 }, (_, sqn) => sqn);
  const fields = { ...TRANSPORT, nla: 0, groupNla: ipv4ToWord('239.192.0.1'), sqns, count: 50 };
  const nak = packetOf((into) => writeNak(into, fields));
  for (let ms = 0; ms < 100; ms += 1) {
    for (let n = 0; n < 10; n += 1) world.inject(publisher.node, nak);
    publishOne(world, publisher, ledger, 1_000);
    world.run(world.nowMs + 1);
  }
  world.run(world.nowMs + 10);
  assert.ok(publisher.machine.counters.repairsSent <= 50 * (100 / REPAIR_LINGER_MS + 1));
  const verdict = checkEvents(receiver.events, ledger).get(publisher.session);
  assert.equal(verdict?.delivered, 150);
});

test('ten thousand strangers are counted and leave known sessions alone', () => {
  const { world, ledger, receiver, publisher } = newScene(5);
  const block = blockOf([new Uint8Array(1)]);
  for (let n = 0; n < 10_000; n += 1) {
    const session = { sessionHigh: 9, sessionLow: n + 1, sequence: 1 };
    const header = { ...TRANSPORT, ...session, gsiLow: n, gsiHigh: 9, sqn: 0, trail: 0 };
    world.inject(
      receiver.node,
      packetOf((into) => writeData(into, header, block)),
    );
  }
  assert.ok(receiver.machine.counters.sessionsRefused > 8_000);
  publishEach(world, publisher, ledger, { count: 50 });
  world.run(world.nowMs + 1_000);
  const known = receiver.events.filter(({ session }) => session === publisher.session);
  assert.equal(checkEvents(known, ledger).get(publisher.session)?.delivered, 100);
});

test('random datagrams in the middle of lossy traffic change nothing but a counter', () => {
  const { world, ledger, receiver, publisher } = newScene(6);
  world.network.faults = { ...CALM, loss: 0.1 };
  for (let n = 0; n < 500; n += 1) {
    const noise = Uint8Array.from({ length: n % 90 }, () => Math.floor(world.random() * 256));
    for (const { node } of [receiver, publisher]) world.inject(node, noise);
    publishEach(world, publisher, ledger, { count: 1 });
  }
  world.network.faults = CALM;
  world.run(world.nowMs + 2_000);
  assert.equal(checkEvents(receiver.events, ledger).get(publisher.session)?.delivered, 550);
  assert.equal(receiver.machine.sessionCount, 1);
  assert.ok(receiver.machine.counters.malformed >= 490);
});
