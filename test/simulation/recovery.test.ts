// Single faults with an exact outcome: what is recovered, what is declared lost, and with which
// bounds.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReceiverEvent, ResumePoint } from '#multicast/core/mod.ts';
import { checkEvents, type SimulatedReceiver, World } from '#sim/mod.ts';
import { eventText } from '#test/support/session-packets.ts';
import {
  CALM,
  type Ledger,
  loseBy,
  publishEach,
  publishOne,
  resumePointOf,
} from '#test/support/simulated-traffic.ts';

/** A publisher that holds 16 packets. */
const SMALL_WINDOW = { windowPackets: 16, messageBytesMax: 1_000 };
const TRANSPORT = { gsiHigh: 1, gsiLow: 2, tsiSport: 3, dataDport: 7_501 };

const texts = ({ events }: SimulatedReceiver): string[] => events.map((event) => eventText(event));
const losses = (receiver: SimulatedReceiver): string[] =>
  texts(receiver).filter((text) => text.startsWith('lost'));

test('the lost last packet of a burst is recovered within a second, heartbeats lost or not', () => {
  for (const lostSpms of [0, 1, 3]) {
    const world = new World(1, CALM);
    const ledger: Ledger = new Map();
    const receiver = world.addReceiver();
    const publisher = world.addPublisher();
    publishEach(world, publisher, ledger, { count: 9 });
    const burstEndMs = world.nowMs;
    let spmsToLose = lostSpms;
    loseBy(world, ({ kind }) => {
      if (kind === 'spm' && world.nowMs > burstEndMs + 40 && spmsToLose-- > 0) return 1;
      return kind === 'odata' ? 1 : 0;
    });
    publishEach(world, publisher, ledger, { count: 1 });
    const isComplete = (): boolean => receiver.machine.counters.messagesDelivered === 10;
    world.run(burstEndMs + 1_000, isComplete);
    assert.ok(isComplete(), `${lostSpms} heartbeats lost`);
    assert.equal(checkEvents(receiver.events, ledger).get(publisher.session)?.delivered, 10);
  }
});

test("a late join 'window' gets all the publisher still holds and declares the rest", () => {
  const world = new World(2, CALM);
  const ledger: Ledger = new Map();
  const publisher = world.addPublisher(SMALL_WINDOW);
  publishEach(world, publisher, ledger, { count: 100 });
  const receiver = world.addReceiver({ join: 'window' });
  world.run(world.nowMs + 3_000);
  assert.deepEqual(losses(receiver), ['lost 1-84 late_join']);
  const verdict = checkEvents(receiver.events, ledger).get(publisher.session);
  assert.deepEqual([verdict?.firstSequence, verdict?.delivered], [1, 16]);
});

test("a late join 'window' in the middle of traffic misses nothing that is still held", () => {
  const world = new World(3, CALM);
  const ledger: Ledger = new Map();
  const publisher = world.addPublisher();
  publishEach(world, publisher, ledger, { count: 300 });
  const receiver = world.addReceiver({ join: 'window' });
  publishEach(world, publisher, ledger, { count: 300 });
  world.run(world.nowMs + 1_000);
  assert.equal(checkEvents(receiver.events, ledger).get(publisher.session)?.delivered, 600);
});

test("a late join 'live' starts with the next message and asks for nothing older", () => {
  const world = new World(4, CALM);
  const ledger: Ledger = new Map();
  const publisher = world.addPublisher();
  publishEach(world, publisher, ledger, { count: 100 });
  const receiver = world.addReceiver({ join: 'live' });
  publishEach(world, publisher, ledger, { count: 5 });
  world.run(world.nowMs + 1_000);
  const verdict = checkEvents(receiver.events, ledger).get(publisher.session);
  assert.deepEqual([verdict?.firstSequence, verdict?.delivered, verdict?.lost], [101, 5, 0]);
  assert.equal(receiver.machine.counters.nakSqnsSent, 0);
});

test('a receiver that resumes asks for exactly what it missed', () => {
  const world = new World(5, CALM);
  const ledger: Ledger = new Map();
  const before = world.addReceiver();
  const publisher = world.addPublisher();
  publishEach(world, publisher, ledger, { count: 100 });
  world.stop(before.node);
  publishEach(world, publisher, ledger, { count: 40 });
  const after = world.addReceiver({}, [resumePointOf(before, publisher.session)]);
  publishEach(world, publisher, ledger, { count: 10 });
  world.run(world.nowMs + 1_000);
  assert.equal(after.machine.counters.packetsMissed, 40);
  assert.equal(after.machine.counters.nakSqnsSent, 40);
  const verdict = checkEvents([...before.events, ...after.events], ledger).get(publisher.session);
  assert.deepEqual([verdict?.delivered, verdict?.lost], [150, 0]);
});

test('a receiver that crashes again and again misses nothing and gets nothing twice', () => {
  for (let seed = 1; seed <= 10; seed += 1) {
    const world = new World(seed, { ...CALM, loss: 0.1, delayMsMax: 1 });
    const ledger: Ledger = new Map();
    const publisher = world.addPublisher();
    let receiver = world.addReceiver();
    const events: ReceiverEvent[] = [];
    let resume: ResumePoint[] = [];
    for (let life = 0; life < 6; life += 1) {
      for (let burst = 0; burst < 5; burst += 1) {
        for (let n = 0; n < 20; n += 1) publishOne(world, publisher, ledger, (n * 379) % 5_000);
        world.run(world.nowMs + 7);
      }
      world.stop(receiver.node);
      events.push(...receiver.events);
      if (receiver.events.some(({ kind }) => kind === 'messages')) {
        resume = [resumePointOf(receiver, publisher.session)];
      }
      receiver = world.addReceiver({}, resume);
    }
    publisher.machine.close(world.nowMs);
    world.run(world.nowMs + 20_000);
    events.push(...receiver.events);
    const verdict = checkEvents(events, ledger).get(publisher.session);
    assert.deepEqual(
      [verdict?.firstSequence, verdict?.delivered, verdict?.lost, verdict?.closed],
      [1, 600, 0, 'fin'],
      `seed ${seed}`,
    );
  }
});

test('a window too small for an outage leaves one lost range with exact bounds', () => {
  const world = new World(6, CALM);
  const ledger: Ledger = new Map();
  const receiver = world.addReceiver();
  const publisher = world.addPublisher(SMALL_WINDOW);
  publishEach(world, publisher, ledger, { count: 50 });
  loseBy(world, (_, to) => (to === receiver.node ? 1 : 0));
  publishEach(world, publisher, ledger, { count: 200 });
  loseBy(world, () => 0);
  world.run(world.nowMs + 3_000);
  assert.deepEqual(losses(receiver), ['lost 51-234 repair_expired']);
  const verdict = checkEvents(receiver.events, ledger).get(publisher.session);
  assert.deepEqual([verdict?.delivered, verdict?.nextSequence], [66, 251]);
});

test('a receiver that stood still for a minute goes on without declaring anybody gone', () => {
  const world = new World(7, CALM);
  const ledger: Ledger = new Map();
  const receiver = world.addReceiver();
  const publisher = world.addPublisher();
  publishEach(world, publisher, ledger, { count: 50 });
  loseBy(world, ({ kind }) => (kind === 'odata' ? 1 : 0));
  publishEach(world, publisher, ledger, { count: 5 });
  loseBy(world, () => 0);
  world.run(world.nowMs + 60);
  world.stop(receiver.node);
  publishEach(world, publisher, ledger, { count: 50, everyMs: 1_200 });
  world.wake(receiver.node);
  world.run(world.nowMs + 3_000);
  assert.equal(texts(receiver).filter((text) => text.startsWith('closed')).length, 0);
  assert.equal(checkEvents(receiver.events, ledger).get(publisher.session)?.delivered, 105);
});

test('of a publisher that crashes the tail is lost where an SPM had told of it', () => {
  const world = new World(8, CALM);
  const ledger: Ledger = new Map();
  const receiver = world.addReceiver({ sourceExpiryMs: 10_000 });
  const publisher = world.addPublisher();
  publishEach(world, publisher, ledger, { count: 8 });
  loseBy(world, ({ kind }) => (kind === 'odata' || kind === 'nak' ? 1 : 0));
  publishEach(world, publisher, ledger, { count: 2 });
  world.run(world.nowMs + 60);
  world.stop(publisher.node);
  world.run(world.nowMs + 40_000);
  assert.deepEqual(texts(receiver).slice(-2), ['lost 9-10 source_gone', 'closed expired']);
});

test('of a publisher that crashes before anybody heard of the tail nothing is made up', () => {
  const world = new World(9, CALM);
  const ledger: Ledger = new Map();
  const receiver = world.addReceiver();
  const publisher = world.addPublisher();
  publishEach(world, publisher, ledger, { count: 8, everyMs: 200 });
  loseBy(world, () => 1);
  publishEach(world, publisher, ledger, { count: 2 });
  world.stop(publisher.node);
  world.run(world.nowMs + 40_000);
  assert.deepEqual(texts(receiver).slice(-2), ['messages 8-8', 'closed expired']);
});

test('a publisher that restarts is a new session, also on the transport of the old one', () => {
  for (const transport of [TRANSPORT, { ...TRANSPORT, tsiSport: 99 }]) {
    const world = new World(10, { ...CALM, loss: 0.05 });
    const ledger: Ledger = new Map();
    const receiver = world.addReceiver();
    const before = world.addPublisher({ transport: TRANSPORT });
    publishEach(world, before, ledger, { count: 50 });
    world.run(world.nowMs + 1_000);
    world.stop(before.node);
    const after = world.addPublisher({ transport });
    publishEach(world, after, ledger, { count: 70 });
    world.run(world.nowMs + 40_000);
    const verdicts = checkEvents(receiver.events, ledger);
    assert.deepEqual(verdicts.get(before.session)?.delivered, 50);
    assert.deepEqual(verdicts.get(before.session)?.closed, 'expired');
    assert.deepEqual(verdicts.get(after.session)?.delivered, 70);
  }
});

test('a publisher cut off for longer than its expiry is taken up where it was left', () => {
  const world = new World(11, CALM);
  const ledger: Ledger = new Map();
  const receiver = world.addReceiver();
  const publisher = world.addPublisher();
  publishEach(world, publisher, ledger, { count: 20 });
  loseBy(world, () => 1);
  publishEach(world, publisher, ledger, { count: 20, bytes: 3_000, everyMs: 2_000 });
  loseBy(world, () => 0);
  publishEach(world, publisher, ledger, { count: 20 });
  world.run(world.nowMs + 1_000);
  const verdict = checkEvents(receiver.events, ledger).get(publisher.session);
  assert.deepEqual([verdict?.delivered, verdict?.lost], [60, 0]);
  assert.equal(texts(receiver).filter((text) => text === 'closed expired').length, 1);
});

test('a publisher cut off in the middle of a big message loses nothing in the end', () => {
  const world = new World(12, CALM);
  const ledger: Ledger = new Map();
  const receiver = world.addReceiver();
  const publisher = world.addPublisher({ rateBytesPerSec: 100_000 });
  publishEach(world, publisher, ledger, { count: 5 });
  publishOne(world, publisher, ledger, 100_000);
  world.run(world.nowMs + 300);
  loseBy(world, () => 1);
  world.run(world.nowMs + 40_000);
  loseBy(world, () => 0);
  world.run(world.nowMs + 8_000);
  const verdict = checkEvents(receiver.events, ledger).get(publisher.session);
  assert.deepEqual([verdict?.delivered, verdict?.lost], [6, 0]);
});

test('after its end a publisher still repairs, and both sides end in order', () => {
  for (let seed = 1; seed <= 10; seed += 1) {
    const world = new World(seed, { ...CALM, loss: 0.3 });
    const ledger: Ledger = new Map();
    const receiver = world.addReceiver();
    const publisher = world.addPublisher();
    for (let n = 0; n < 200; n += 1) publishOne(world, publisher, ledger, 500);
    publisher.machine.close(world.nowMs);
    world.run(world.nowMs + 30_000);
    const verdict = checkEvents(receiver.events, ledger).get(publisher.session);
    assert.deepEqual([verdict?.delivered, verdict?.closed], [200, 'fin'], `seed ${seed}`);
    assert.equal(publisher.machine.state, 'closed');
  }
});

test('a publisher with a backlog blocks, says when it is writable, and loses nothing', () => {
  const world = new World(13, { ...CALM, loss: 0.05 });
  const ledger: Ledger = new Map();
  const receiver = world.addReceiver();
  const publisher = world.addPublisher({
    rateBytesPerSec: 300_000,
    ...SMALL_WINDOW,
    windowPackets: 256,
  });
  for (let count = 0; count < 2_000; ) {
    const writable = publisher.events.length;
    while (count < 2_000 && publishOne(world, publisher, ledger, 300)) count += 1;
    if (count === 2_000) break;
    const isWritable = (): boolean => publisher.events.length > writable;
    world.run(world.nowMs + 1_000, isWritable);
    assert.ok(isWritable(), 'a blocked publisher becomes writable');
  }
  publisher.machine.close(world.nowMs);
  world.run(world.nowMs + 20_000);
  assert.ok(publisher.machine.counters.blocked > 0);
  const verdict = checkEvents(receiver.events, ledger).get(publisher.session);
  assert.deepEqual([verdict?.delivered, verdict?.lost], [2_000, 0]);
});

test('messages of one mebibyte arrive whole, also under loss; one byte more is refused', () => {
  const world = new World(14, { ...CALM, loss: 0.02, delayMsMax: 1 });
  const ledger: Ledger = new Map();
  const receiver = world.addReceiver();
  const publisher = world.addPublisher();
  const outcome = publisher.machine.publish(new Uint8Array(1_048_577), world.wallClockUs, 0);
  assert.equal(outcome, 'too_large');
  for (const bytes of [0, 1_048_576, 1, 1_048_576, 0]) publishOne(world, publisher, ledger, bytes);
  publisher.machine.close(world.nowMs);
  world.run(world.nowMs + 10_000);
  assert.equal(checkEvents(receiver.events, ledger).get(publisher.session)?.delivered, 5);
});

test('packet numbers that wrap in the middle of lossy traffic go unnoticed', () => {
  const world = new World(15, { ...CALM, loss: 0.1, delayMsMax: 3 });
  const ledger: Ledger = new Map();
  const early = world.addReceiver();
  const publisher = world.addPublisher({ firstSqn: 2 ** 32 - 500 });
  publishEach(world, publisher, ledger, { count: 490 });
  const late = world.addReceiver();
  publishEach(world, publisher, ledger, { count: 510 });
  publisher.machine.close(world.nowMs);
  world.run(world.nowMs + 20_000);
  for (const receiver of [early, late]) {
    assert.equal(checkEvents(receiver.events, ledger).get(publisher.session)?.delivered, 1_000);
  }
});
