// The plan against a naive model: for each day of each channel by itself, a sentence of arithmetic
// says whether its time is over and whether a hold keeps it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  type ChannelDay,
  DAY_US,
  type HoldInterval,
  planRetention,
  type RetentionPolicy,
} from '#archive/mod.ts';

const NOW_DAY = 40;
const NOW_US = NOW_DAY * DAY_US + DAY_US / 2;
const DAY_MS = DAY_US / 1000;

const day = fc.record({
  channelId: fc.integer({ min: 1, max: 3 }),
  index: fc.integer({ min: 20, max: 41 }),
  payloadBytes: fc.integer({ min: 0, max: 10 }),
  /** Days by which the messages were published before they were archived, and over how many. */
  lateDays: fc.integer({ min: 0, max: 5 }),
});
const days = fc
  .uniqueArray(day, { selector: ({ channelId, index }) => `${channelId}/${index}`, maxLength: 30 })
  .map((list) =>
    list.map(
      ({ channelId, index, payloadBytes, lateDays }): ChannelDay => ({
        channelId,
        channel: `c${channelId}`,
        startUs: index * DAY_US,
        firstPosition: 1,
        lastPosition: 1,
        messageCount: 1,
        payloadBytes,
        minPublishedAtUs: (index - lateDays) * DAY_US + 5,
        maxPublishedAtUs: index * DAY_US + 5,
      }),
    ),
  );
const hold = fc.record({
  channelId: fc.integer({ min: 1, max: 3 }),
  from: fc.integer({ min: 15, max: 42 }),
  length: fc.option(fc.integer({ min: 1, max: 8 })),
});
const holds = fc.array(hold, { maxLength: 4 }).map((list) =>
  list.map(
    ({ channelId, from, length }, index): HoldInterval => ({
      channelId,
      name: `hold ${index}`,
      fromUs: from * DAY_US,
      toUs: length === null ? null : (from + length) * DAY_US,
    }),
  ),
);
const policy = fc.record(
  {
    ageMs: fc.integer({ min: 1, max: 15 }).map((count) => count * DAY_MS),
    bytesMax: fc.integer({ min: 0, max: 40 }),
  },
  { requiredKeys: [] },
);
const policies = fc.array(policy, { minLength: 3, maxLength: 3 });

function isHeld(one: ChannelDay, { channelId, fromUs, ...rest }: HoldInterval): boolean {
  const toUs = rest.toUs ?? Infinity;
  const overlaps = (startUs: number, lastUs: number): boolean => startUs < toUs && lastUs >= fromUs;
  return (
    one.channelId === channelId &&
    (overlaps(one.startUs, one.startUs + DAY_US - 1) ||
      overlaps(one.minPublishedAtUs, one.maxPublishedAtUs))
  );
}

test('a day is due by age or bytes, kept by any hold, and dropped if nobody keeps it', () => {
  fc.assert(
    fc.property(days, holds, policies, (all, held, limits) => {
      const policyOf = (channel: string): RetentionPolicy => limits[Number(channel[1]) - 1];
      const partitionsUs = [20, 25, 30, 39, 40, 41].map((index) => index * DAY_US);
      const facts = { nowUs: NOW_US, days: all, partitionsUs, holds: held, policyOf };
      const plan = planRetention(facts);
      assert.deepEqual(
        plan.emptyDaysUs,
        partitionsUs.filter(
          (startUs) => startUs < 40 * DAY_US && all.every((one) => one.startUs !== startUs),
        ),
      );
      const heldOf = (one: ChannelDay): HoldInterval[] =>
        held.filter((candidate) => isHeld(one, candidate));
      const dueKeys = new Set<string>();
      for (const one of all) {
        const { ageMs = Infinity, bytesMax = Infinity } = policyOf(one.channel);
        const isEnded = one.startUs + DAY_US <= NOW_US;
        const isOld = one.startUs + DAY_US + ageMs * 1000 <= NOW_US;
        const later = all.filter(
          (other) =>
            other.channelId === one.channelId &&
            other.startUs > one.startUs &&
            heldOf(other).length === 0,
        );
        const bytes = later.reduce((sum, other) => sum + other.payloadBytes, one.payloadBytes);
        const found = plan.days.filter(
          ({ channelId, startUs }) => channelId === one.channelId && startUs === one.startUs,
        );
        const isDue = isEnded && (isOld || bytes > bytesMax);
        assert.equal(found.length, isDue ? 1 : 0);
        if (!isDue) continue;
        const names = heldOf(one).map(({ name }) => name);
        assert.deepEqual(found[0].heldBy, names);
        if (names.length === 0) dueKeys.add(`${one.channelId}/${one.startUs}`);
      }
      for (const startUs of new Set(all.map((one) => one.startUs))) {
        const ofDay = all.filter((one) => one.startUs === startUs);
        const isWhole = ofDay.every(({ channelId }) => dueKeys.has(`${channelId}/${startUs}`));
        assert.equal(plan.wholeDaysUs.includes(startUs), isWhole);
      }
    }),
    { numRuns: 500 },
  );
});

test('a day has not ended in the first minutes after midnight, and today never has', () => {
  const one: ChannelDay = {
    channelId: 1,
    channel: 'orders',
    startUs: 10 * DAY_US,
    firstPosition: 1,
    lastPosition: 9,
    messageCount: 9,
    payloadBytes: 90,
    minPublishedAtUs: 10 * DAY_US,
    maxPublishedAtUs: 10 * DAY_US,
  };
  const dueAt = (nowUs: number): number =>
    planRetention({
      nowUs,
      days: [one],
      partitionsUs: [],
      holds: [],
      policyOf: () => ({ bytesMax: 1 }),
    }).days.length;
  assert.equal(dueAt(10 * DAY_US + 5), 0);
  assert.equal(dueAt(11 * DAY_US + 599_999_999), 0);
  assert.equal(dueAt(11 * DAY_US + 600_000_000), 1);
});
