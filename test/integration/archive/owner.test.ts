// Batches that are sent to the node of their channel, as far as one server can tell: two addresses
// of it stand for two nodes, and a port where nothing listens for one that is away.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findOwnerUrl, OwnerAppender } from '#archive/mod.ts';
import type { ArchiveBatch } from '#archive/mod.ts';
import {
  batchOf,
  makeChannel,
  messagesOf,
  openTestDatabase,
  SESSION_A,
} from '#test/support/archive.ts';
import { createTestDatabase, execute } from '#test/support/postgres.ts';

function appenderAt(url: string, nodeUrl: string, asked: number[], nowMs = () => 0) {
  const findUrl = (channelId: number): Promise<string> => {
    asked.push(channelId);
    return Promise.resolve(nodeUrl);
  };
  return new OwnerAppender({
    url,
    applicationName: 'test appender',
    holder: 'test',
    findUrl,
    nowMs,
  });
}

async function twoBatches(url: string): Promise<[ArchiveBatch, ArchiveBatch]> {
  await using opened = openTestDatabase(url);
  const { channelId, epoch } = await makeChannel(opened, 'orders');
  const first = messagesOf(SESSION_A, 1, 3);
  const second = messagesOf(SESSION_A, 4, 3);
  return [
    batchOf({ channelId, epoch, expectedHead: 0 }, first),
    batchOf({ channelId, epoch, expectedHead: 3 }, second),
  ];
}

test('where the tables are not spread, the owner of a channel is the database itself', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  assert.equal(await findOwnerUrl(opened.database, cloned.url, 1), cloned.url);
});

test('the batches of a channel go to its node, which is looked up once', async () => {
  await using cloned = await createTestDatabase();
  const asked: number[] = [];
  const batches = await twoBatches(cloned.url);
  await using appender = appenderAt('postgres://127.0.0.1:1/none', cloned.url, asked);
  for (const batch of batches) {
    assert.equal((await appender.append(batch)).outcome, 'committed');
  }
  assert.deepEqual(asked, [batches[0].channelId]);
});

test('a node that cannot be reached is gone around, and tried again later', async () => {
  await using cloned = await createTestDatabase();
  const asked: number[] = [];
  let nowMs = 0;
  const [first, second] = await twoBatches(cloned.url);
  const node = 'postgres://127.0.0.1:1/none';
  await using appender = appenderAt(cloned.url, node, asked, () => nowMs);
  await assert.rejects(appender.append(first), { code: 'BACKCAST_DATABASE_UNREACHABLE' });
  assert.equal((await appender.append(first)).outcome, 'committed');
  nowMs += 60_000;
  await assert.rejects(appender.append(second), { code: 'BACKCAST_DATABASE_UNREACHABLE' });
  assert.equal((await appender.append(second)).outcome, 'committed');
  assert.equal(asked.length, 2);
  assert.equal((await execute(cloned.url, 'SELECT 1 FROM messages')).length, 6);
});
