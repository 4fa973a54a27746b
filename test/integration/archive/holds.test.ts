// Holds against retention on a real server: what is held stays, and a hold that comes at the same
// moment as a deletion is either respected or refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  addHold,
  audit,
  findChannel,
  type Hold,
  listHolds,
  loadRetentionPlan,
  type NewHold,
  type OpenDatabase,
  removeHold,
  type RetentionResult,
  runRetention,
} from '#archive/mod.ts';
import { BackcastError } from '#base/mod.ts';
import { DAY_MS, fillAged, makePastPartitions, startOfUs } from '#test/support/aged-archive.ts';
import { openTestDatabase } from '#test/support/archive.ts';
import { createTestDatabase } from '#test/support/postgres.ts';

const WHOLE: NewHold = { name: 'case-17', reason: 'a letter', fromUs: undefined, toUs: undefined };
const POLICY = { ageMs: DAY_MS };

async function retain(opened: OpenDatabase): Promise<RetentionResult> {
  const plan = await loadRetentionPlan(opened.database, { policyOf: () => POLICY });
  return runRetention(opened.database, plan);
}

async function hold(opened: OpenDatabase, name: string, wanted: Partial<NewHold>): Promise<Hold> {
  const channel = await findChannel(opened.database, name);
  return addHold(opened.database, channel, { ...WHOLE, ...wanted });
}

async function storedDays(opened: OpenDatabase): Promise<string[]> {
  const plan = await loadRetentionPlan(opened.database, { policyOf: () => POLICY });
  return plan.days.map(
    ({ channel, startUs }) => `${channel} ${(startOfUs(0) - startUs) / (DAY_MS * 1000)}`,
  );
}

async function assertAccounted(opened: OpenDatabase): Promise<void> {
  for (const { channel, problems } of await audit(opened.database)) {
    assert.deepEqual(problems, [], channel);
  }
}

test('retention passes no hold, and goes on when it is removed', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  await fillAged(cloned.url, 'orders', [7, 6, 5, 4]);
  await fillAged(cloned.url, 'trades', [7, 5]);
  await hold(opened, 'orders', { fromUs: startOfUs(6), toUs: startOfUs(5) });
  const held = await retain(opened);
  assert.deepEqual([held.messages, held.heldDays], [50, 1]);
  assert.deepEqual(await storedDays(opened), ['orders 6']);
  await assertAccounted(opened);
  const channel = await findChannel(opened.database, 'orders');
  assert.equal((await removeHold(opened.database, channel, 'case-17')).reason, 'a letter');
  assert.equal((await retain(opened)).messages, 10);
  await assertAccounted(opened);
});

test('a hold without beginning is from the oldest message, and without end for ever', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  await fillAged(cloned.url, 'orders', [7, 6]);
  const { fromUs, toUs } = await hold(opened, 'orders', {});
  assert.deepEqual([fromUs, toUs], [startOfUs(7), null]);
  assert.equal((await retain(opened)).messages, 0);
  const [listed] = await listHolds(opened.database, 'orders');
  assert.deepEqual([listed.channel, listed.name, listed.reason], ['orders', 'case-17', 'a letter']);
  assert.deepEqual(await listHolds(opened.database, 'trades'), []);
});

test('a hold on what is deleted already is refused, and nothing is added', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  await fillAged(cloned.url, 'orders', [7, 0]);
  await retain(opened);
  const late = hold(opened, 'orders', { fromUs: startOfUs(8) });
  await assert.rejects(late, { code: 'BACKCAST_HISTORY_GONE', message: /10 messages/ });
  assert.deepEqual(await listHolds(opened.database), []);
  await hold(opened, 'orders', { fromUs: startOfUs(6) });
});

test('names, intervals and removals that make no sense are refused', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  await fillAged(cloned.url, 'orders', [1]);
  await hold(opened, 'orders', {});
  await assert.rejects(hold(opened, 'orders', {}), { code: 'BACKCAST_HOLD_EXISTS' });
  const inverted = { name: 'other', fromUs: startOfUs(1), toUs: startOfUs(1) };
  await assert.rejects(hold(opened, 'orders', inverted), { code: 'BACKCAST_RANGE_INVERTED' });
  const channel = await findChannel(opened.database, 'orders');
  const removing = removeHold(opened.database, channel, 'none');
  await assert.rejects(removing, { code: 'BACKCAST_HOLD_UNKNOWN' });
});

/** Adds a hold behind so many round trips to the database. */
async function holdLater(
  opened: OpenDatabase,
  name: string,
  { wanted, afterQueries }: { readonly wanted: Partial<NewHold>; readonly afterQueries: number },
): Promise<Hold> {
  for (let count = 0; count < afterQueries; count += 1) await findChannel(opened.database, name);
  return hold(opened, name, wanted);
}

test('a hold that comes with a deletion is respected, or refused as too late', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makePastPartitions(opened);
  const seen = { respected: 0, refused: 0 };
  for (let round = 0; round < 12; round += 1) {
    const name = `race-${round}`;
    await fillAged(cloned.url, name, [7, 6, 5]);
    const wanted = { name: 'race', fromUs: startOfUs(5), toUs: startOfUs(4) };
    const policyOf = (channel: string) => (channel === name ? POLICY : {});
    const plan = await loadRetentionPlan(opened.database, { policyOf });
    const retaining = runRetention(opened.database, plan);
    const holding = holdLater(opened, name, { wanted, afterQueries: 4 * round });
    const [result, added] = await Promise.allSettled([retaining, holding]);
    assert.equal(result.status, 'fulfilled');
    const kept = (await storedDays(opened)).filter((day) => day.startsWith(`${name} `));
    if (added.status === 'fulfilled') {
      seen.respected += 1;
      assert.deepEqual(kept, [`${name} 5`]);
    } else {
      seen.refused += 1;
      assert.ok(added.reason instanceof BackcastError);
      assert.equal(added.reason.code, 'BACKCAST_HISTORY_GONE');
      assert.deepEqual(kept, []);
    }
  }
  assert.equal(seen.respected + seen.refused, 12);
  await assertAccounted(opened);
});
