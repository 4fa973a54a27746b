// Forged sessions by the thousand beside real publishers: one that is known already, one that
// begins in the middle of the flood, and one that restarts in it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NAKS_PER_SEC_MAX, RECEIVE_SESSIONS_MAX } from '#base/mod.ts';
import { checkEvents, type SimulatedReceiver, World } from '#sim/mod.ts';
import { writeSpm } from '#multicast/wire/mod.ts';
import { packetOf, writeData } from '#test/support/packets.ts';
import { blockOf } from '#test/support/session-packets.ts';
import { CALM, type Ledger, publishEach, publishOne } from '#test/support/simulated-traffic.ts';

const BLOCK = blockOf([new Uint8Array(1)]);

/** A datum of the forged session `number`. */
function forgedData(number: number, sqn: number): Uint8Array {
  const transport = { gsiHigh: 9, gsiLow: number, tsiSport: 3, dataDport: 7_501 };
  const session = { sessionHigh: 9, sessionLow: number + 1, sequence: sqn + 1 };
  return packetOf((into) => writeData(into, { ...transport, ...session, sqn, trail: 0 }, BLOCK));
}

/** Forges `perMs` sessions in each millisecond of `ms`, each said `times` over. */
function flood(
  world: World,
  receiver: SimulatedReceiver,
  options: { readonly ms: number; readonly perMs: number; readonly times?: number },
  each: (ms: number) => void = () => {},
): void {
  const { ms, perMs, times = 1 } = options;
  let number = Math.floor(world.nowMs) * perMs;
  for (let tick = 0; tick < ms; tick += 1) {
    for (let n = 0; n < perMs; n += 1, number += 1) {
      for (let sqn = 0; sqn < times; sqn += 1) {
        world.inject(receiver.node, forgedData(number, sqn));
      }
    }
    each(tick);
    world.run(world.nowMs + 1);
  }
}

for (const times of [1, 2]) {
  test(`5,000 sessions a second, said ${times} times, keep no publisher from being heard`, () => {
    const world = new World(times, CALM);
    const ledger: Ledger = new Map();
    const receiver = world.addReceiver();
    const known = world.addPublisher();
    publishEach(world, known, ledger, { count: 20 });
    flood(world, receiver, { ms: 500, perMs: 5, times });
    const newcomer = world.addPublisher();
    const restarted = world.addPublisher();
    flood(world, receiver, { ms: 300, perMs: 5, times }, (ms) => {
      for (const publisher of [known, newcomer, restarted]) {
        if (ms % 2 === 0) publishOne(world, publisher, ledger, 100);
      }
    });
    restarted.machine.close(world.nowMs);
    const again = world.addPublisher();
    flood(world, receiver, { ms: 300, perMs: 5, times }, () => {
      publishOne(world, again, ledger, 100);
    });
    world.run(world.nowMs + 3_000);
    for (const publisher of [known, newcomer, restarted, again]) {
      const own = receiver.events.filter(({ session }) => session === publisher.session);
      const verdict = checkEvents(own, ledger).get(publisher.session);
      const published = ledger.get(publisher.session)?.length;
      assert.deepEqual([verdict?.delivered, verdict?.lost], [published, 0]);
    }
    const { counters, sessionCount, rememberedCount } = receiver.machine;
    assert.ok(counters.sessionsRefused > 1_000 && sessionCount <= RECEIVE_SESSIONS_MAX);
    assert.ok(counters.sessionsOpened <= RECEIVE_SESSIONS_MAX + 4 + 200 * 3);
    assert.ok(rememberedCount <= 2 * RECEIVE_SESSIONS_MAX);
  });
}

test('a quiet publisher that is known stays known through a flood', () => {
  const world = new World(4, CALM);
  const ledger: Ledger = new Map();
  const receiver = world.addReceiver();
  const quiet = world.addPublisher();
  publishEach(world, quiet, ledger, { count: 1 });
  flood(world, receiver, { ms: 6_000, perMs: 1, times: 2 });
  const closed = receiver.events.filter(
    ({ kind, session }) => kind === 'closed' && session === quiet.session,
  );
  assert.deepEqual(closed, []);
});

test('forged sessions that name a victim make a receiver send it a bounded number of NAKs', (t) => {
  const world = new World(5, CALM);
  const receiver = world.addReceiver({}, [], () => {});
  for (let n = 0; n < 400; n += 1) {
    const transport = { gsiHigh: 9, gsiLow: n, tsiSport: 3, dataDport: 7_501 };
    const session = { sessionHigh: 9, sessionLow: n + 1, sequence: 60_000 };
    const window = { sqn: 1, trail: 0, lead: 60_000, nla: 0x0a09_0909 };
    world.inject(
      receiver.node,
      packetOf((into) => writeSpm(into, { ...transport, ...window, session })),
    );
  }
  world.run(world.nowMs + 5_000);
  const { naksSent, naksWithheld } = receiver.machine.counters;
  t.diagnostic(`${naksSent} NAKs in five seconds, ${naksWithheld} withheld`);
  assert.ok(naksSent <= NAKS_PER_SEC_MAX * 5.1 && naksWithheld > 0);
});
