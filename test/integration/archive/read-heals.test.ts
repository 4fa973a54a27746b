// A loss that is healed while somebody reads. His answer ends where it was settled to end, before
// the messages that have turned up: for him they are lost, and he is told so; who begins later gets
// them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ArchiveBatch } from '#archive/mod.ts';
import {
  batchOf,
  makeChannel,
  messagesOf,
  openTestDatabase,
  SESSION_A,
  testAppender,
} from '#test/support/archive.ts';
import { createTestDatabase } from '#test/support/postgres.ts';
import { EVERYTHING, readWhole } from '#test/support/whole-reading.ts';

const LOST = { session: SESSION_A, firstSequence: 3, lastSequence: 4 };
/** Of everything, and of an interval of publish times that holds everything. */
const REQUESTS = {
  'in the order of the channel': EVERYTHING,
  backwards: { ...EVERYTHING, order: 'desc' },
  'by publish time': { ...EVERYTHING, publishedFromUs: 1 },
} as const;

/** Messages 1 to 6, of which 3 and 4 are lost, and the batch that brings them after all. */
async function setChannel(url: string) {
  const opened = openTestDatabase(url);
  const appender = testAppender(url);
  const place = await makeChannel(opened, 'orders');
  const lossy: ArchiveBatch = {
    ...batchOf({ ...place, expectedHead: 2 }, messagesOf(SESSION_A, 5, 2)),
    losses: [
      {
        ...LOST,
        cause: 'repair_expired',
        afterPosition: 2,
        detectedAtUs: Date.now() * 1_000,
        firstSqn: undefined,
        nextSqn: 5,
        packetCount: null,
      },
    ],
  };
  const healing: ArchiveBatch = {
    ...batchOf({ ...place, expectedHead: 4 }, messagesOf(SESSION_A, 3, 2)),
    sessions: [],
    heals: [{ ...LOST, by: 'another' }],
  };
  await appender.append(batchOf({ ...place, expectedHead: 0 }, messagesOf(SESSION_A, 1, 2)));
  await appender.append(lossy);
  return {
    opened,
    heal: async () => assert.equal((await appender.append(healing)).outcome, 'committed'),
    [Symbol.asyncDispose]: async () => {
      await appender[Symbol.asyncDispose]();
      await opened.close();
    },
  };
}

for (const [way, request] of Object.entries(REQUESTS)) {
  test(`what is healed while it is read ${way} is lost in that answer, and told`, async () => {
    await using cloned = await createTestDatabase();
    await using channel = await setChannel(cloned.url);
    let isHealed = false;
    const between = async (): Promise<void> => {
      if (!isHealed) await channel.heal();
      isHealed = true;
    };
    const style = { messagesMax: 1, isStateless: false, between };
    const { messages, losses } = await readWhole(channel.opened, 'orders', request, style);
    assert.ok(isHealed);
    assert.deepEqual(new Set(messages.map(({ sequence }) => sequence)), new Set([1, 2, 5, 6]));
    assert.deepEqual(
      losses.map(({ first, last }) => [first, last]),
      [[3, 4]],
    );
    const later = await readWhole(channel.opened, 'orders', request, { ...style, messagesMax: 9 });
    assert.equal(later.messages.length, 6);
    assert.deepEqual(later.losses, []);
  });
}
