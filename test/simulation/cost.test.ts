// What recovery costs: requests per lost packet, and silence when there is nothing to say. Each
// test prints what it measured.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { checkEvents, World } from '#sim/mod.ts';
import {
  CALM,
  type Ledger,
  loseBy,
  publishBursts,
  publishEach,
  publishOne,
} from '#test/support/simulated-traffic.ts';

/**
 * Runs three publishers with 15,000 messages under `loss`; requests and NAKs per lost data packet.
 */
function costOf(t: TestContext, seed: number, loss: number, delayMsMax: number): number {
  const world = new World(seed, { ...CALM, delayMsMax });
  const ledger: Ledger = new Map();
  const receiver = world.addReceiver();
  const publishers = [0, 1, 2].map(() => world.addPublisher());
  const lost = loseBy(world, () => loss);
  publishBursts(world, publishers, ledger, { count: 15_000, bytesMax: 2_000, pauseMsMax: 4 });
  for (const publisher of publishers) publisher.machine.close(world.nowMs);
  world.run(world.nowMs + 30_000);
  const verdicts = checkEvents(receiver.events, ledger);
  for (const { session } of publishers) {
    const count = ledger.get(session)?.length;
    assert.equal(verdicts.get(session)?.delivered, count);
  }
  const { nakSqnsSent, naksSent } = receiver.machine.counters;
  const requests = nakSqnsSent / lost.odata;
  const naks = naksSent / lost.odata;
  t.diagnostic(
    `${loss} lost, reordering ${delayMsMax > 0.1}: ${lost.odata} data packets lost, ` +
      `${requests.toFixed(2)} requests and ${naks.toFixed(2)} NAKs for each`,
  );
  return requests;
}

test('at 5 % loss in each direction a lost packet costs hardly more than one request', (t) => {
  for (const seed of [1, 2]) assert.ok(costOf(t, seed, 0.05, 0.1) < 1.3);
});

test('with reordering on top a lost packet costs less than two requests', (t) => {
  assert.ok(costOf(t, 3, 0.05, 1) < 2);
});

test('at 20 % loss 10,000 messages cost at most two requests per lost packet', (t) => {
  const world = new World(4, CALM);
  const ledger: Ledger = new Map();
  const receiver = world.addReceiver();
  const publisher = world.addPublisher({ windowPackets: 16_384 });
  const lost = loseBy(world, () => 0.2);
  for (let burst = 0; burst < 1_000; burst += 1) {
    for (let n = 0; n < 10; n += 1) publishOne(world, publisher, ledger, 1_000);
    world.run(world.nowMs + 2);
  }
  publisher.machine.close(world.nowMs);
  world.run(world.nowMs + 30_000);
  assert.equal(checkEvents(receiver.events, ledger).get(publisher.session)?.delivered, 10_000);
  const requests = receiver.machine.counters.nakSqnsSent / lost.odata;
  t.diagnostic(`${requests.toFixed(2)} requests per lost data packet`);
  assert.ok(requests <= 2, `${requests}`);
});

test('at 80 % loss fifty messages still arrive', () => {
  for (let seed = 1; seed <= 10; seed += 1) {
    const world = new World(seed, { ...CALM, loss: 0.8 });
    const ledger: Ledger = new Map();
    const receiver = world.addReceiver({ repairTimeoutMs: 90_000 });
    const publisher = world.addPublisher({ lingerMs: 20_000 });
    publishEach(world, publisher, ledger, { count: 50, everyMs: 5 });
    world.run(world.nowMs + 90_000, () => receiver.machine.counters.messagesDelivered === 50);
    const verdict = checkEvents(receiver.events, ledger).get(publisher.session);
    assert.deepEqual([verdict?.delivered, verdict?.lost], [50, 0], `seed ${seed}`);
  }
});

test('twenty receivers that miss the same packets ask about once, and get one repair', (t) => {
  const world = new World(5, { ...CALM, delayMsMin: 0.2, delayMsMax: 0.4 });
  const ledger: Ledger = new Map();
  const receivers = Array.from({ length: 20 }, () => world.addReceiver());
  const publisher = world.addPublisher();
  loseBy(world, ({ kind, sqn }) => (kind === 'odata' && sqn % 10 === 5 ? 1 : 0));
  publishEach(world, publisher, ledger, { count: 1_000 });
  world.run(world.nowMs + 1_000);
  let requests = 0;
  for (const receiver of receivers) {
    assert.equal(checkEvents(receiver.events, ledger).get(publisher.session)?.delivered, 1_000);
    requests += receiver.machine.counters.nakSqnsSent;
  }
  const { repairsSent } = publisher.machine.counters;
  t.diagnostic(`${requests / 100} requests and ${repairsSent / 100} repairs per lost packet`);
  assert.ok(requests / 100 <= 3);
  assert.equal(repairsSent, 100);
});

test('a thousand receivers that miss the same packet ask twice or so, from the first on', (t) => {
  let firstRequests = 0;
  let laterRequests = 0;
  for (const seed of [1, 2, 3]) {
    const world = new World(seed, { ...CALM, delayMsMax: 0.3 });
    const ledger: Ledger = new Map();
    const receivers = Array.from({ length: 1_000 }, () => world.addReceiver());
    const publisher = world.addPublisher();
    const requests = (): number =>
      receivers.reduce((sum, { machine }) => sum + machine.counters.nakSqnsSent, 0);
    publishEach(world, publisher, ledger, { count: 10 });
    loseBy(world, ({ kind, sqn }) => (kind === 'odata' && sqn % 10 === 5 ? 1 : 0));
    publishEach(world, publisher, ledger, { count: 10 });
    world.run(world.nowMs + 100);
    firstRequests += requests();
    publishEach(world, publisher, ledger, { count: 100 });
    world.run(world.nowMs + 1_000);
    laterRequests += requests();
    for (const { machine } of receivers) assert.equal(machine.counters.messagesDelivered, 120);
    assert.equal(publisher.machine.counters.repairsSent, 11);
  }
  laterRequests -= firstRequests;
  t.diagnostic(`${firstRequests / 3} requests for the first, ${laterRequests / 30} for later ones`);
  assert.ok(firstRequests / 3 <= 3, `${firstRequests / 3}`);
  assert.ok(laterRequests / 30 <= 2, `${laterRequests / 30}`);
});

test('an idle publisher says one heartbeat every two seconds, its receivers nothing', () => {
  const world = new World(6, CALM);
  const ledger: Ledger = new Map();
  const receivers = [0, 1, 2].map(() => world.addReceiver());
  const publisher = world.addPublisher();
  publishEach(world, publisher, ledger, { count: 100 });
  world.run(world.nowMs + 10_000);
  const before = { ...world.network.counters };
  world.run(world.nowMs + 3_600_000);
  assert.equal(world.network.counters.sent - before.sent, 3 * 1_800);
  for (const { machine } of receivers) {
    assert.deepEqual([machine.counters.naksSent, machine.counters.spmrsSent], [0, 0]);
  }
});

test('a network whose publishers are gone falls silent for good', () => {
  const world = new World(7, { ...CALM, loss: 0.2 });
  const ledger: Ledger = new Map();
  const receivers = [0, 1].map(() => world.addReceiver());
  const crashed = world.addPublisher();
  const closed = world.addPublisher();
  for (const publisher of [crashed, closed]) publishEach(world, publisher, ledger, { count: 200 });
  world.stop(crashed.node);
  closed.machine.close(world.nowMs);
  world.run(world.nowMs + 60_000);
  const before = world.network.counters.sent;
  world.run(world.nowMs + 3_600_000);
  assert.equal(world.network.counters.sent, before);
  for (const { machine } of [...receivers, closed]) assert.equal(machine.nextDeadlineMs, Infinity);
});

test('a publisher that is gone is asked at a bounded pace', () => {
  const world = new World(8, CALM);
  const ledger: Ledger = new Map();
  const receiver = world.addReceiver();
  const publisher = world.addPublisher();
  publishEach(world, publisher, ledger, { count: 10 });
  loseBy(world, ({ kind }) => (kind === 'odata' || kind === 'rdata' ? 1 : 0));
  for (let n = 0; n < 3_000; n += 1) publishOne(world, publisher, ledger, 1_400);
  world.run(world.nowMs + 500);
  world.stop(publisher.node);
  const before = receiver.machine.counters.naksSent;
  world.run(world.nowMs + 1_000);
  const naks = receiver.machine.counters.naksSent - before;
  assert.ok(naks > 0 && naks <= 16 * (1_000 / 50), `${naks} NAKs in a second`);
});
