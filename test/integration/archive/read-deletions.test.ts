// Reading what retention has deleted, before it is read or while it is: every position and every
// sequence is a message or inside a deletion that the answer names, however it is read.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  type Deletion,
  findChannel,
  listDeletions,
  loadRetentionPlan,
  type MessageRequest,
  type OpenDatabase,
  openReading,
  readCompleteness,
  runRetention,
} from '#archive/mod.ts';
import {
  AGED_SESSION,
  agedSegment,
  agedSessions,
  DAY_MS,
  fillAged,
  makePastPartitions,
  startOfUs,
} from '#test/support/aged-archive.ts';
import { openTestDatabase, SESSION_B } from '#test/support/archive.ts';
import { type Delivery, fillChannel } from '#test/support/filled-archive.ts';
import { createTestDatabase } from '#test/support/postgres.ts';
import { EVERYTHING, readWhole, unexplainedPositions } from '#test/support/whole-reading.ts';

/** Deletes days of `channel` that ended at least so many days ago. */
async function deleteOlder(opened: OpenDatabase, channel: string, days: number): Promise<void> {
  const policyOf = (name: string): { ageMs?: number } =>
    name === channel ? { ageMs: days * DAY_MS } : {};
  const plan = await loadRetentionPlan(opened.database, { policyOf });
  await runRetention(opened.database, plan);
}

/** Deletes exactly the day that began so many days ago. */
async function deleteDay(opened: OpenDatabase, channel: string, daysAgo: number): Promise<void> {
  const plan = await loadRetentionPlan(opened.database, {
    policyOf: (name) => (name === channel ? { ageMs: 0 } : {}),
  });
  const days = plan.days.filter((day) => day.startUs === startOfUs(daysAgo));
  await runRetention(opened.database, { days, wholeDaysUs: [], emptyDaysUs: [] });
}

const ONE_SESSION = { kind: 'sequences', session: AGED_SESSION, order: 'asc' } as const;
const ALL_SEQUENCES: MessageRequest = { ...ONE_SESSION, first: undefined, last: undefined };
const STYLE = { messagesMax: 4, isStateless: false };

test('every way of reading names what is deleted, whichever days went', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  const days = [7, 6, 5, 4, 3, 2];
  let made = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.subarray(days),
      fc.integer({ min: 1, max: 7 }),
      fc.boolean(),
      fc.constantFrom('asc' as const, 'desc' as const),
      async (gone, messagesMax, isStateless, order) => {
        const name = `model-${(made += 1)}`;
        const deliveries = days.flatMap((daysAgo, index): Delivery[] => [
          agedSegment(daysAgo, 1 + index * 5, 3),
          agedSegment(daysAgo, 1 + index * 4, 4, SESSION_B),
          agedSegment(daysAgo, 4 + index * 5, 2),
        ]);
        const sessions = agedSessions(AGED_SESSION, SESSION_B);
        await fillChannel(cloned.url, { name, deliveries, sessions });
        for (const day of gone) await deleteDay(opened, name, day);
        const style = { messagesMax, isStateless };
        const head = days.length * 9;
        const all = await readWhole(opened, name, { ...EVERYTHING, order }, style);
        assert.deepEqual(unexplainedPositions(all, head), []);
        assert.equal(all.messages.length, (days.length - gone.length) * 9);
        const timed = { ...EVERYTHING, publishedFromUs: startOfUs(6), publishedToUs: startOfUs(3) };
        const some = await readWhole(opened, name, { ...timed, order }, style);
        const inside = [6, 5, 4];
        assert.equal(some.messages.length, inside.filter((day) => !gone.includes(day)).length * 9);
        assert.deepEqual(
          new Set(some.deletions.map((deletion) => deletion.minPublishedAtUs >= startOfUs(3))),
          new Set(inside.some((day) => gone.includes(day)) ? [false] : []),
        );
        for (const day of inside.filter((one) => gone.includes(one)))
          assert.ok(
            some.deletions.some(
              ({ minPublishedAtUs }) =>
                minPublishedAtUs >= startOfUs(day) && minPublishedAtUs < startOfUs(day - 1),
            ),
          );
        const archived = {
          ...EVERYTHING,
          archivedFromUs: startOfUs(6),
          archivedToUs: startOfUs(3),
        };
        const kept = await readWhole(opened, name, { ...archived, order }, style);
        assert.deepEqual(kept.messages, some.messages, 'published when they were archived');
        for (const deletion of some.deletions) assert.ok(isNamed(deletion, kept.deletions));
        for (const deletion of kept.deletions) {
          assert.ok(isNamed(deletion, all.deletions));
          assert.ok(mayBeWithin(deletion, inside, days, gone), 'what is kept around it says no');
        }
        const own = await readWhole(opened, name, { ...ALL_SEQUENCES, order }, style);
        const sequences = new Set(own.messages.map(({ sequence }) => sequence));
        for (const { first, last } of own.deletions)
          for (let sequence = first; sequence <= last; sequence += 1) {
            assert.ok(!sequences.has(sequence), 'a sequence is a message or deleted, not both');
            sequences.add(sequence);
          }
        assert.equal(sequences.size, days.length * 5);
      },
    ),
    { numRuns: 25, interruptAfterTimeLimit: 60_000, examples: [[days, 3, false, 'asc']] },
  );
});

function isNamed({ session, first }: Deletion, deletions: readonly Deletion[]): boolean {
  return deletions.some((other) => other.session === session && other.first === first);
}

/**
 * Whether a deletion may have been archived on one of `inside`: it was, or everything between its
 * day and them is gone too, so that nothing tells.
 */
function mayBeWithin(
  { minPublishedAtUs }: Deletion,
  inside: readonly number[],
  days: readonly number[],
  gone: readonly number[],
): boolean {
  const day = days.find((daysAgo) => minPublishedAtUs >= startOfUs(daysAgo)) ?? 0;
  const isOlder = day > Math.max(...inside);
  const between = days.filter((other) =>
    isOlder
      ? other < day && other > Math.max(...inside)
      : other > day && other < Math.min(...inside),
  );
  return inside.includes(day) || between.every((other) => gone.includes(other));
}

for (const isStateless of [false, true])
  for (const order of ['asc', 'desc'] as const) {
    const how = `${order}, ${isStateless ? 'each page anew' : 'in one stream'}`;
    test(`a day that goes between two pages leaves no hole: ${how}`, async () => {
      await using cloned = await createTestDatabase();
      await using opened = openTestDatabase(cloned.url);
      await makePastPartitions(opened);
      await fillAged(cloned.url, 'orders', [7, 6, 5, 4, 3, 2]);
      await fillAged(cloned.url, 'trades', [5, 3]);
      const timed = { publishedFromUs: startOfUs(8), publishedToUs: startOfUs(0) };
      const left = [6, 5, 4, 3, 2];
      const between = (): Promise<unknown> => deleteOlder(opened, 'orders', left.shift() ?? 1);
      const style = { messagesMax: 7, isStateless, between };
      const reading = await readWhole(opened, 'orders', { ...EVERYTHING, order }, style);
      assert.deepEqual(unexplainedPositions(reading, 60), []);
      assert.ok(
        order === 'asc' || reading.deletions.length > 0,
        'some of it was deleted meanwhile',
      );
      left.push(4, 3);
      const timely = { ...EVERYTHING, ...timed, order } as MessageRequest;
      const timedReading = await readWhole(opened, 'trades', timely, {
        ...style,
        messagesMax: 2,
        between: () => deleteOlder(opened, 'trades', left.shift() ?? 1),
      });
      assert.deepEqual(unexplainedPositions(timedReading, 20), []);
    });
  }

test('sequences that go between two pages are named', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  await fillAged(cloned.url, 'orders', [7, 6, 5, 4]);
  const left = [6, 5, 4];
  const reading = await readWhole(opened, 'orders', ALL_SEQUENCES, {
    messagesMax: 3,
    isStateless: false,
    between: () => deleteOlder(opened, 'orders', left.shift() ?? 4),
  });
  const had = new Set(reading.messages.map(({ sequence }) => sequence));
  for (const { first, last } of reading.deletions)
    for (let sequence = first; sequence <= last; sequence += 1) had.add(sequence);
  assert.equal(had.size, 40);
});

test('a channel of which nothing is left answers with what was deleted', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  await fillAged(cloned.url, 'orders', [7, 6]);
  await deleteOlder(opened, 'orders', 1);
  const channel = await findChannel(opened.database, 'orders');
  assert.deepEqual(
    [channel.archivedThrough, channel.firstPosition, channel.firstAvailable],
    [20, null, 21],
  );
  const [first, second] = (await readWhole(opened, 'orders', EVERYTHING, STYLE)).deletions;
  const { kind, session, policy, messageCount } = first;
  assert.deepEqual(
    { kind, session, policy, messageCount },
    { kind: 'deletion', session: AGED_SESSION, policy: 'age 1d', messageCount: 10 },
  );
  assert.deepEqual([first.firstPosition, first.lastPosition, second.firstPosition], [1, 10, 11]);
  const old = await readWhole(opened, 'orders', { ...EVERYTHING, after: 3, before: 9 }, STYLE);
  assert.deepEqual(old.deletions, [first]);
  const completeness = await readCompleteness(opened.database, channel, {
    session: AGED_SESSION,
    first: 5,
    last: 12,
  });
  const { status, storedCount, deletedCount, deleted } = completeness;
  assert.deepEqual(
    { status, storedCount, deletedCount },
    {
      status: 'deleted',
      storedCount: 0,
      deletedCount: 8,
    },
  );
  assert.deepEqual(
    deleted.map((range) => [range.first, range.last, range.messageCount]),
    [
      [5, 10, 6],
      [11, 12, 2],
    ],
  );
});

test('a deletion is listed once, page by page', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  await fillAged(cloned.url, 'orders', [7, 6, 5]);
  await deleteOlder(opened, 'orders', 1);
  const channel = await findChannel(opened.database, 'orders');
  const firsts: number[] = [];
  let after: { lastPosition: number; session: typeof AGED_SESSION; first: number } | undefined;
  for (;;) {
    const page = { session: AGED_SESSION, after, limit: 2 };
    const listed = await listDeletions(opened.database, channel, page);
    firsts.push(...listed.map(({ first }) => first));
    const last = listed.at(-1);
    if (last === undefined) break;
    after = last;
  }
  assert.deepEqual(firsts, [1, 11, 21]);
});

test('what was dropped by hand is an error, not a deletion', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  await fillAged(cloned.url, 'orders', [7, 6, 5]);
  await deleteDay(opened, 'orders', 7);
  await opened.database.deleteFrom('deletions').execute();
  const channel = await findChannel(opened.database, 'orders');
  const gone = { code: 'BACKCAST_HISTORY_GONE' };
  await assert.rejects(openReading(opened, channel, { ...EVERYTHING, after: 0 }), gone);
  const reading = await openReading(opened, channel, ALL_SEQUENCES);
  await assert.rejects(reading.nextPage(5), gone);
});

test('readers beside retention, over and over, find every position or its deletion', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await using deleting = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  const days = [8, 7, 6, 5, 4, 3, 2];
  await fillAged(cloned.url, 'orders', days);
  await fillAged(cloned.url, 'trades', days);
  await fillAged(cloned.url, 'kept', [7, 4]);
  let isDeleting = true;
  const timed = { ...EVERYTHING, publishedFromUs: startOfUs(9), publishedToUs: startOfUs(0) };
  const readers = (['orders', 'trades'] as const).map(async (name) => {
    let readings = 0;
    for (let isLastRound = false; !isLastRound; readings += 1) {
      isLastRound = !isDeleting;
      const order = readings % 2 === 0 ? 'asc' : 'desc';
      const request = { ...(readings % 3 === 0 ? timed : EVERYTHING), order } as MessageRequest;
      const style = { messagesMax: 6, isStateless: readings % 4 === 1 };
      const reading = await readWhole(opened, name, request, style);
      assert.deepEqual(unexplainedPositions(reading, 70), [], `${name}, reading ${readings}`);
      const own = await readWhole(opened, name, ALL_SEQUENCES, style);
      const count = own.deletions.reduce((sum, { first, last }) => sum + last - first + 1, 0);
      assert.ok(own.messages.length + count >= 70, 'every sequence is a message or deleted');
    }
    return readings;
  });
  for (const left of [7, 6, 5, 4, 3, 2, 1]) {
    await deleteOlder(deleting, 'orders', left);
    await deleteOlder(deleting, 'trades', left);
  }
  isDeleting = false;
  const readings = await Promise.all(readers);
  assert.ok(
    readings.every((count) => count > 1),
    `read ${readings.join(' and ')} times`,
  );
});
