import assert from 'node:assert/strict';
import test from 'node:test';
import { REPAIR_LATENCY_MS_BOUNDS, type Receiver } from '#multicast/core/mod.ts';
import { RepairLatency } from '#multicast/core/repair-latency.ts';
import { dataPacket, hear, newReceiver, spmPacket } from '#test/support/session-packets.ts';

const plain = (sqn: number): Uint8Array => dataPacket({ sqn, sequence: sqn + 1 });

function repair(sqn: number): Uint8Array {
  return dataPacket({ sqn, sequence: sqn + 1, isRepair: true });
}

/** Repairs per bucket as {upper bound: count}, without the empty ones. */
function filled(latency: { snapshot: RepairLatency['snapshot'] }): Record<string, number> {
  const { bucketCounts } = latency.snapshot();
  const bounds = [...REPAIR_LATENCY_MS_BOUNDS, Number.POSITIVE_INFINITY];
  const pairs = bounds.map((bound, index) => [String(bound), bucketCounts[index]] as const);
  return Object.fromEntries(pairs.filter(([, count]) => count > 0));
}

test('a latency falls into the first bucket whose bound it does not exceed', () => {
  for (const latencyMs of [-5, 0, 0.4, 1, 1.001, 2, 3, 4, 4.5, 8, 100, 8_192, 8_193, 1e12]) {
    const latency = new RepairLatency();
    latency.add(latencyMs);
    const bound = REPAIR_LATENCY_MS_BOUNDS.find((candidate) => latencyMs <= candidate);
    assert.deepEqual(filled(latency), { [String(bound ?? Number.POSITIVE_INFINITY)]: 1 });
    assert.equal(latency.snapshot().sumMs, Math.max(0, latencyMs));
  }
});

test('bounds are powers of two and rise', () => {
  REPAIR_LATENCY_MS_BOUNDS.forEach((bound, index) => assert.equal(bound, 2 ** index));
});

test('a snapshot does not change any more', () => {
  const latency = new RepairLatency();
  const before = latency.snapshot();
  latency.add(3);
  assert.equal(before.sumMs, 0);
  assert.ok(before.bucketCounts.every((count) => count === 0));
});

test('a repair takes from when its packet was found missing until it came', () => {
  const receiver = newReceiver();
  hear(receiver, 10, plain(0), plain(2));
  hear(receiver, 33, repair(1));
  assert.deepEqual(filled(receiver.repairLatency), { 32: 1 });
  assert.equal(receiver.repairLatency.snapshot().sumMs, 23);
});

test('a packet that came late, again, or was not missing is no repair', () => {
  const receiver = newReceiver();
  hear(receiver, 0, plain(0), plain(2), spmPacket({ sqn: 0, trail: 0, lead: 2, sequence: 4 }));
  hear(receiver, 5, plain(1));
  hear(receiver, 6, repair(1), repair(3));
  assert.deepEqual(filled(receiver.repairLatency), {});
  assert.equal(receiver.counters.repairsReceived, 1);
});

test('each session has its own numbers, and the receiver has their sums', () => {
  const receiver = newReceiver();
  const other = {
    session: { sessionHigh: 7, sessionLow: 1 },
    transport: { gsiLow: 9, tsiSport: 9 },
  };
  hear(receiver, 0, plain(0), plain(2), plain(2), repair(1));
  hear(receiver, 1, dataPacket({ sqn: 0, sequence: 1, ...other }));
  const [first, second] = receiver.sessions();
  assert.deepEqual(
    [first.counters.packetsReceived, first.counters.repairsReceived, first.counters.duplicates],
    [3, 1, 1],
  );
  assert.deepEqual(filled({ snapshot: () => first.repairLatency }), { 1: 1 });
  assert.equal(second.session, '0000000700000001');
  assert.equal(second.counters.packetsReceived, 1);
  assertSums(receiver);
});

test('a loss and the NAKs before it are counted for their session', () => {
  const receiver = newReceiver();
  const spm = spmPacket({ sqn: 0, trail: 0, lead: 2, sequence: 4, source: 'gateway-7' });
  hear(receiver, 0, plain(0), plain(2), spm);
  for (let nowMs = 1; nowMs < 60_000 && receiver.sessions().length > 0; nowMs += 50) {
    receiver.handleTimeout(nowMs);
    const [session] = receiver.sessions();
    if (session === undefined || session.counters.messagesLost === 0) continue;
    assert.equal(session.source, 'gateway-7');
    assert.equal(session.counters.messagesLost, 1);
    assert.equal(session.counters.packetsMissed, 1);
    assert.ok(session.counters.naksSent > 0);
    assertSums(receiver);
    return;
  }
  assert.fail('the missing packet was never given up');
});

test('a session that is over is not among the sessions any more', () => {
  const receiver = newReceiver();
  const fin = spmPacket({ sqn: 0, trail: 0, lead: 0, sequence: 2, isFin: true });
  hear(receiver, 0, plain(0), fin);
  assert.deepEqual(receiver.sessions(), []);
  assert.equal(receiver.counters.packetsReceived, 1);
});

function assertSums(receiver: Receiver): void {
  const sessions = receiver.sessions();
  for (const name of Object.keys(sessions[0].counters) as (keyof typeof receiver.counters)[]) {
    let sum = 0;
    for (const { counters } of sessions) sum += { ...counters }[name as 'duplicates'];
    assert.equal(sum, receiver.counters[name], name);
  }
}
