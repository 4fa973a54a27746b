// The network fails at every single message that an append sends, in several ways, and the caller
// does what it is told: repeats the batch verbatim. Whatever happened, the auditor then finds the
// batch stored exactly once. A message count of the healthy append is taken first, so that none is
// left out.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Appender, audit } from '#archive/mod.ts';
import type { AppendResult, ArchiveBatch, OpenDatabase } from '#archive/mod.ts';
import { BackcastError } from '#base/mod.ts';
import {
  batchOf,
  makeChannel,
  messagesOf,
  LOSS_PACKETS,
  openTestDatabase,
  PUBLISHED_AT_US,
  SESSION_A,
  SESSION_B,
} from '#test/support/archive.ts';
import { startCuttingProxy } from '#test/support/cutting-proxy.ts';
import type { CuttingProxy, Harm } from '#test/support/cutting-proxy.ts';
import { createTestDatabase } from '#test/support/postgres.ts';

const NEVER = Number.MAX_SAFE_INTEGER;

async function fullBatch(opened: OpenDatabase, channel: string): Promise<ArchiveBatch> {
  const place = await makeChannel(opened, channel);
  const batch = batchOf(
    { ...place, expectedHead: 0 },
    [...messagesOf(SESSION_A, 1, 40), ...messagesOf(SESSION_B, 1, 3)],
    messagesOf(SESSION_A, 44, 5),
  );
  const loss = { session: SESSION_A, firstSequence: 41, lastSequence: 43, afterPosition: 43 };
  const told = { cause: 'repair_expired', detectedAtUs: PUBLISHED_AT_US, ...LOSS_PACKETS } as const;
  return { ...batch, losses: [{ ...loss, ...told }] };
}

async function lossBatch(opened: OpenDatabase, channel: string): Promise<ArchiveBatch> {
  const whole = await fullBatch(opened, channel);
  const [progress] = whole.sessions;
  return {
    ...whole,
    segments: [],
    sessions: [{ ...progress, firstArchived: 41, watermark: 43 }],
  };
}

function appenderThrough(proxy: CuttingProxy, deadlineMs = 20_000): Appender {
  return new Appender({ url: proxy.url, applicationName: 'test', holder: 'test', deadlineMs });
}

/** Appends as the archiver does: again after a retryable error. */
async function appendUntilKnown(appender: Appender, batch: ArchiveBatch): Promise<AppendResult> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await appender.append(batch);
    } catch (error) {
      assert.ok(error instanceof BackcastError && error.isRetryable && attempt < 4, String(error));
    }
  }
}

async function countMessages(url: string, batch: ArchiveBatch): Promise<number> {
  await using proxy = await startCuttingProxy(url, { harm: 'cut', at: NEVER });
  await using appender = appenderThrough(proxy);
  await appender.append(batch);
  return proxy.messageCount();
}

/** Every channel accounts for all of its batch, as the one does whose append nothing disturbed. */
async function assertStoredOnce(opened: OpenDatabase, channelCount: number): Promise<void> {
  const audits = await audit(opened.database);
  const healthy = audits.find((found) => found.channel === 'healthy');
  assert.ok(healthy !== undefined && healthy.dueCount > 0);
  assert.equal(audits.length, channelCount);
  for (const found of audits) {
    const { channel, channelId } = found;
    assert.deepEqual(found, { ...healthy, channel, channelId });
    assert.deepEqual(found.problems, []);
  }
}

const BATCHES = { 'of all kinds of rows': fullBatch, 'of a loss alone': lossBatch };
const HARMS = ['lost', 'cut', 'deaf'] as const satisfies Harm[];

for (const [what, makeBatch] of Object.entries(BATCHES)) {
  for (const harm of HARMS) {
    for (const refusals of [0, 1]) {
      test(`a batch ${what} is stored once: ${harm} anywhere, ${refusals} refusals`, async () => {
        await using cloned = await createTestDatabase();
        await using opened = openTestDatabase(cloned.url);
        const messages = await countMessages(cloned.url, await makeBatch(opened, 'healthy'));
        assert.ok(messages > 10, `an append has messages, here ${messages}`);
        for (let at = 1; at <= messages; at += 1) {
          const batch = await makeBatch(opened, `${harm}.${at}`);
          await using proxy = await startCuttingProxy(cloned.url, { harm, at, refusals });
          await using appender = appenderThrough(proxy);
          const result = await appendUntilKnown(appender, batch);
          assert.equal(result.outcome, 'committed', `after message ${at}`);
        }
        await assertStoredOnce(opened, messages + 1);
      });
    }
  }
}

test('an append to a server that says nothing more fails at its deadline', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const batch = await fullBatch(opened, 'orders');
  // Startup and password take three messages; the sixth is in the middle of the COPY.
  await using proxy = await startCuttingProxy(cloned.url, { harm: 'stall', at: 6 });
  await using appender = appenderThrough(proxy, 400);
  const startedMs = performance.now();
  await assert.rejects(appender.append(batch), {
    code: 'BACKCAST_DATABASE_UNREACHABLE',
    message: /within 400 ms/,
  });
  assert.ok(performance.now() - startedMs < 5_000);
});

test('a fenced archiver learns it also when its answer was lost', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const batch = await fullBatch(opened, 'orders');
  await using proxy = await startCuttingProxy(cloned.url, { harm: 'cut', at: 6 });
  await using appender = appenderThrough(proxy);
  await assert.rejects(appender.append(batch), { code: 'BACKCAST_DATABASE_UNREACHABLE' });
  await makeChannel(opened, 'orders');
  assert.deepEqual(await appender.append(batch), { outcome: 'fenced' });
});
