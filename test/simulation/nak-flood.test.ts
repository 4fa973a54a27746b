// Ten thousand NAKs a second against a publisher that sends at its full rate to real receivers on
// lossy links: what they may cost, and that the stream goes on. Each NAK asks for 63 packets.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { randomBelow } from '#base/mod.ts';
import type { PacePolicy, PublisherCounters, Remote } from '#multicast/core/mod.ts';
import { checkEvents, type SimulatedReceiver, World } from '#sim/mod.ts';
import { ipv4ToWord, writeNak } from '#multicast/wire/mod.ts';
import { packetOf } from '#test/support/packets.ts';
import { CALM, type Ledger, publishOne } from '#test/support/simulated-traffic.ts';

const TRANSPORT = { gsiHigh: 1, gsiLow: 2, tsiSport: 3, dataDport: 7_501 };
const RATE_BYTES_PER_SEC = 4_000_000;
const WIRE_BYTES = 1_387;
const WINDOW_PACKETS = 4_096;
const NAKS_PER_MS = 10;
const SECONDS = 3;

interface Flood {
  /** The packet numbers of the next NAK, given the last one accepted. */
  readonly sqns: (world: World, lead: number) => number[];
  readonly from?: (world: World) => Remote;
}

const HOSTILE: Remote = { address: '10.66.6.6', port: 666 };

function nakOf(sqns: readonly number[]): Uint8Array {
  const groupNla = ipv4ToWord('239.192.0.1');
  const fields = { ...TRANSPORT, nla: 0, groupNla, sqns, count: sqns.length };
  return packetOf((into) => writeNak(into, fields));
}

/** Floods a full stream, then lets it end; all of it must have arrived in order. */
function flood(
  t: TestContext,
  { sqns, from }: Flood,
  options: {
    readonly pace?: PacePolicy;
    readonly isBusy?: boolean;
    readonly windowPackets?: number;
    readonly isSpoofed?: boolean;
  } = {},
): PublisherCounters {
  const { pace = 'off', isBusy = true, windowPackets = WINDOW_PACKETS } = options;
  const { isSpoofed = false } = options;
  const world = new World(1, CALM);
  const ledger: Ledger = new Map();
  const receivers: SimulatedReceiver[] = [0, 1].map(() => world.addReceiver());
  const publisher = world.addPublisher({
    transport: TRANSPORT,
    windowPackets,
    rateBytesPerSec: RATE_BYTES_PER_SEC,
    pace,
  });
  world.network.drops = (_, to) => to !== publisher.node && world.random() < 0.01;
  for (let n = 0; n < 200; n += 1) publishOne(world, publisher, ledger, 1_300);
  world.run(500);
  const startMs = world.nowMs;
  while (world.nowMs < startMs + SECONDS * 1_000) {
    for (let room = isBusy ? Number.POSITIVE_INFINITY : 1; room > 0; room -= 1) {
      if (!publishOne(world, publisher, ledger, 1_300)) break;
    }
    const lead = publisher.machine.counters.packetsSent - 1;
    for (let n = 0; n < NAKS_PER_MS; n += 1) {
      const nak = nakOf(sqns(world, lead).map((sqn) => Math.max(0, sqn)));
      world.inject(publisher.node, nak, from?.(world) ?? HOSTILE);
    }
    world.run(world.nowMs + 1);
  }
  const counters = { ...publisher.machine.counters };
  publisher.machine.close(world.nowMs);
  world.run(world.nowMs + 60_000);
  for (const { events } of receivers) {
    const verdict = checkEvents(events, ledger).get(publisher.session);
    const { delivered = 0, lost = 0 } = verdict ?? {};
    assert.equal(delivered + lost, counters.messagesAccepted);
    assert.ok(isSpoofed ? lost < delivered / 100 : lost === 0, `${lost} lost`);
  }
  const share = (counters.repairsSent / counters.packetsSent).toFixed(3);
  t.diagnostic(
    `${counters.packetsSent} packets, ${share} repairs for each, ${counters.ncfsSent} NCFs, ` +
      `${counters.spmsSent} SPMs for ${counters.naksReceived} NAKs`,
  );
  return counters;
}

/** Everything that was sent in answer to the flood stays within its budget. */
function assertWithinBudgets(counters: PublisherCounters): void {
  assert.ok(counters.naksReceived >= 10_000 * SECONDS);
  const seconds = SECONDS + 0.5;
  const repairBytes = counters.repairsSent * WIRE_BYTES;
  assert.ok(repairBytes <= (RATE_BYTES_PER_SEC / 4) * (seconds + 1), `${repairBytes} bytes`);
  assert.ok(counters.ncfsSent <= 600 * seconds, `${counters.ncfsSent} NCFs`);
  assert.ok(counters.spmsSent <= 50 * seconds, `${counters.spmsSent} SPMs`);
}

/** Beside a full stream no more than a quarter of its bytes are repairs. */
function assertQuarter(counters: PublisherCounters): void {
  assertWithinBudgets(counters);
  assert.ok(counters.repairsSent <= counters.packetsSent * 0.255, 'a quarter, and a burst');
  const sentBytes = counters.packetsSent * WIRE_BYTES;
  assert.ok(sentBytes >= RATE_BYTES_PER_SEC * SECONDS * 0.98, 'the stream kept its rate');
}

function newest(_: World, lead: number): number[] {
  return Array.from({ length: 63 }, (_unused, n) => lead - n);
}

function anywhere(world: World, lead: number): number[] {
  return Array.from({ length: 63 }, () => lead - randomBelow(world.random, WINDOW_PACKETS));
}

/** Long gone from a window of 2,048 packets, once there is such a thing. */
function outOfWindow(world: World, lead: number): number[] {
  return newest(world, lead < 4_000 ? 1_000_000 : lead - 3_000);
}

function anybody({ random }: World): Remote {
  const address = `10.7.${randomBelow(random, 256)}.${randomBelow(random, 256)}`;
  return { address, port: randomBelow(random, 65_536) };
}

test('NAKs for the newest packets cost a quarter of the rate at most', (t) => {
  assertQuarter(flood(t, { sqns: newest }));
});

test('NAKs for packets anywhere in the window cost a quarter of the rate at most', (t) => {
  assertQuarter(flood(t, { sqns: anywhere }));
});

test('NAKs for the same packets over and over cost one repair per packet and linger', (t) => {
  assertQuarter(flood(t, { sqns: () => Array.from({ length: 10 }, (_, n) => 100 + n) }));
});

test('NAKs for what was never sent, or is long gone, cost hardly anything', (t) => {
  const unsent = flood(t, { sqns: (_, lead) => newest(_, lead + 1_000_000) });
  assert.ok(unsent.naksUnsent > 1_000_000);
  const gone = flood(t, { sqns: outOfWindow }, { windowPackets: 2_048 });
  assert.ok(gone.naksExpired > 1_000_000);
  for (const counters of [unsent, gone]) {
    assertQuarter(counters);
    assert.ok(counters.repairsSent < counters.packetsSent * 0.05);
  }
});

// Forged senders take all the lanes, so that honest ones are refused too. What they lose they say.
test('NAKs from everywhere cost no more than those of one asker, but losses', (t) => {
  assertQuarter(flood(t, { sqns: anywhere, from: anybody }, { isSpoofed: true }));
});

test('while little data flows repairs use up what they saved in a second, and no more', (t) => {
  assertWithinBudgets(flood(t, { sqns: anywhere }, { isBusy: false }));
});

test('with the pace on a flood brings the stream to its floor, and no further', (t) => {
  const counters = flood(t, { sqns: newest }, { pace: 'on' });
  assertWithinBudgets(counters);
  assert.ok(counters.packetsSent * WIRE_BYTES >= (RATE_BYTES_PER_SEC / 16) * SECONDS);
});
