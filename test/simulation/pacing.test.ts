// A publisher with more to say than its receivers can take: what the pace makes of it, and what
// happens without.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PacePolicy } from '#multicast/core/mod.ts';
import { checkEvents, type SimulatedPublisher, type SimulatedReceiver, World } from '#sim/mod.ts';
import { slowLinks } from '#test/support/bottleneck.ts';
import { CALM, type Ledger, publishOne } from '#test/support/simulated-traffic.ts';

const RATE_BYTES_PER_SEC = 4_000_000;
const MESSAGE_BYTES = 1_300;
const WIRE_BYTES = 1_387;

interface Scene {
  readonly world: World;
  readonly ledger: Ledger;
  readonly receivers: readonly SimulatedReceiver[];
  readonly publisher: SimulatedPublisher;
}

function newScene(seed: number, receiverCount: number, pace: PacePolicy): Scene {
  const world = new World(seed, CALM);
  const receivers = Array.from({ length: receiverCount }, () =>
    world.addReceiver({ repairTimeoutMs: 5_000 }),
  );
  const options = { windowPackets: 16_384, rateBytesPerSec: RATE_BYTES_PER_SEC, pace };
  return { world, ledger: new Map(), receivers, publisher: world.addPublisher(options) };
}

/** Publishes as much as the publisher takes, for `seconds`. */
function publishAll({ world, publisher, ledger }: Scene, seconds: number): void {
  const untilMs = world.nowMs + seconds * 1_000;
  while (world.nowMs < untilMs) {
    while (publishOne(world, publisher, ledger, MESSAGE_BYTES));
    world.run(world.nowMs + 2);
  }
}

/** Share of the configured rate at which data left since `packetsBefore`. */
function sentShare({ publisher }: Scene, packetsBefore: number, seconds: number): number {
  const packets = publisher.machine.counters.packetsSent - packetsBefore;
  return (packets * WIRE_BYTES) / (RATE_BYTES_PER_SEC * seconds);
}

function slowed(seed: number, linkShare: number, pace: PacePolicy): Scene {
  const scene = newScene(seed, 3, pace);
  const nodes = scene.receivers.map(({ node }) => node);
  const bytesPerSec = RATE_BYTES_PER_SEC * linkShare;
  slowLinks(scene.world, nodes, { bytesPerSec, queueBytes: 65_536 });
  return scene;
}

for (const linkShare of [0.9, 0.5, 0.15]) {
  test(`a paced publisher fills links of ${linkShare} of its rate without a loss`, (t) => {
    const scene = slowed(1, linkShare, 'on');
    publishAll(scene, 3);
    const before = { ...scene.publisher.machine.counters };
    publishAll(scene, 6);
    const after = scene.publisher.machine.counters;
    const used = sentShare(scene, before.packetsSent, 6) / linkShare;
    const repaired =
      (after.repairsSent - before.repairsSent) / (after.packetsSent - before.packetsSent);
    t.diagnostic(`${used.toFixed(2)} of the link, ${repaired.toFixed(3)} repairs for each packet`);
    assert.ok(used > 0.75 && used < 1.02, `${used}`);
    assert.ok(repaired < 0.2, `${repaired}`);
    assert.ok(after.heldByPaceMs > 6_000, `${after.heldByPaceMs} ms`);
    scene.publisher.machine.close(scene.world.nowMs);
    scene.world.run(scene.world.nowMs + 60_000);
    const accepted = after.messagesAccepted;
    for (const { events } of scene.receivers) {
      const verdict = checkEvents(events, scene.ledger).get(scene.publisher.session);
      assert.deepEqual([verdict?.delivered, verdict?.lost], [accepted, 0]);
    }
  });
}

test('without the pace the same links cost losses, and more than twice the repairs', (t) => {
  const paced = slowed(2, 0.5, 'on');
  const constant = slowed(2, 0.5, 'off');
  for (const scene of [paced, constant]) publishAll(scene, 8);
  const [with_, without] = [paced, constant].map(({ publisher, receivers }) => ({
    repairs: publisher.machine.counters.repairsSent,
    lost: Math.max(...receivers.map(({ machine }) => machine.counters.messagesLost)),
  }));
  t.diagnostic(`with ${JSON.stringify(with_)}, without ${JSON.stringify(without)}`);
  assert.ok(without !== undefined && with_ !== undefined);
  assert.equal(with_.lost, 0);
  assert.ok(without.lost > 1_000 && without.repairs > 2 * with_.repairs);
});

test('one receiver that hears half slows ten good ones to the floor, and no further', (t) => {
  const scene = newScene(3, 11, 'on');
  const [deaf] = scene.receivers;
  scene.world.network.drops = (_, to) => to === deaf?.node && scene.world.random() < 0.5;
  publishAll(scene, 3);
  const before = scene.publisher.machine.counters.packetsSent;
  publishAll(scene, 5);
  const share = sentShare(scene, before, 5);
  t.diagnostic(`data left at ${share.toFixed(3)} of the rate`);
  assert.ok(share > 0.06, `${share}`);
  for (const receiver of scene.receivers.slice(1)) {
    const { messagesDelivered, messagesLost } = receiver.machine.counters;
    const { packetsSent } = scene.publisher.machine.counters;
    assert.ok(packetsSent - messagesDelivered < 5, `${packetsSent - messagesDelivered} behind`);
    assert.equal(messagesLost, 0);
  }
});

test('when the deaf one is gone, all of the rate comes back', () => {
  const scene = newScene(4, 3, 'on');
  const [deaf] = scene.receivers;
  scene.world.network.drops = (_, to) => to === deaf?.node && scene.world.random() < 0.5;
  publishAll(scene, 2);
  assert.ok(scene.publisher.machine.snapshot().rateBytesPerSec < RATE_BYTES_PER_SEC / 8);
  scene.world.stop(deaf?.node ?? -1);
  publishAll(scene, 14);
  assert.equal(scene.publisher.machine.snapshot().rateBytesPerSec, RATE_BYTES_PER_SEC);
});

test('ten receivers that each lose half a percent slow nobody', () => {
  const scene = newScene(5, 10, 'on');
  scene.world.network.drops = () => scene.world.random() < 0.005;
  publishAll(scene, 5);
  assert.deepEqual(scene.publisher.machine.counters.paceCuts, 0);
  assert.equal(scene.publisher.machine.counters.heldByPaceMs, 0);
  assert.ok(sentShare(scene, 0, 5) > 0.95);
});
