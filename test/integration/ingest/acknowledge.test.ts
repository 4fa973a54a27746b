// Durable publishing on real sockets and a real database: a publisher learns what is archived after
// its commit and never before, and what the archive has lost.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import type { ErrorCode } from '#base/mod.ts';
import { type Scene, setScene } from '#test/support/archiving.ts';
import { keySource, OLD_KEY } from '#test/support/sealed-packets.ts';
import { until } from '#test/support/until.ts';

const PAYLOAD = Buffer.from('an order');
const PATIENCE_MS = 20_000;
const DURABLE = { until: 'archived', timeoutMs: PATIENCE_MS } as const;
const ACKNOWLEDGING = { acknowledge: ['orders'] };

async function storedWatermark({ database }: Scene): Promise<number> {
  const { watermark } = await database
    .selectFrom('sessions')
    .select('watermark')
    .executeTakeFirstOrThrow();
  return watermark;
}

function failsWith(work: Promise<unknown>, code: ErrorCode): Promise<void> {
  return assert.rejects(work, { code });
}

test('publishing until archived resolves when the message is committed', async () => {
  await using scene = await setScene();
  await using _archiver = await scene.startArchiver(ACKNOWLEDGING);
  await using publisher = await scene.openPublisher();
  for (let sequence = 1; sequence <= 20; sequence += 1) {
    assert.equal(await publisher.publish(PAYLOAD, DURABLE), sequence);
    assert.ok((await storedWatermark(scene)) >= sequence);
  }
  assert.equal(publisher.archivedThrough, 20);
  await publisher.archived(1);
});

test('without an archiver that acknowledges the wait ends with its time, and says so', async () => {
  await using scene = await setScene();
  await using _archiver = await scene.startArchiver({ acknowledge: ['other.*'] });
  await using publisher = await scene.openPublisher({ lingerMs: 10 });
  const late = { until: 'archived', timeoutMs: 300 } as const;
  await failsWith(publisher.publish(PAYLOAD, late), 'BACKCAST_ARCHIVE_TIMEOUT');
  assert.equal(publisher.lastSequence, 1);
  await scene.accounted(1);
  assert.equal(publisher.archivedThrough, 0);
});

test('a message that waits for its commit is not acknowledged', async () => {
  await using scene = await setScene();
  await using _archiver = await scene.startArchiver(ACKNOWLEDGING);
  await using publisher = await scene.openPublisher();
  await publisher.publish(PAYLOAD, DURABLE);
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const holding = scene.database.transaction().execute(async (transaction) => {
    await sql`SELECT * FROM leases FOR UPDATE`.execute(transaction);
    await failsWith(
      publisher.publish(PAYLOAD, { until: 'archived', timeoutMs: 500 }),
      'BACKCAST_ARCHIVE_TIMEOUT',
    );
    await released;
  });
  await until('the wait is over', () => publisher.lastSequence === 2);
  const archived = publisher.archived(2, { timeoutMs: PATIENCE_MS });
  release();
  await holding;
  await archived;
  assert.equal(await storedWatermark(scene), 2);
});

test('what the archive has lost is told as lost, also by an archiver that was away', async () => {
  await using scene = await setScene();
  const small = { windowPackets: 16, messageBytesMax: 1_000, packetBytesMax: 1_472, flushMs: 0 };
  const first = await scene.startArchiver(ACKNOWLEDGING);
  await using publisher = await scene.openPublisher(small);
  await publisher.publish(PAYLOAD, DURABLE);
  await first.stop();
  for (let n = 0; n < 100; n += 1) await publisher.publish(Buffer.alloc(900));
  const second = await scene.startArchiver({});
  await scene.accounted(101);
  await second.stop();
  await using _third = await scene.startArchiver(ACKNOWLEDGING);
  const limit = { timeoutMs: PATIENCE_MS };
  await failsWith(publisher.archived(2, limit), 'BACKCAST_MESSAGE_LOST');
  await publisher.archived(101, limit);
  await failsWith(publisher.archived(50), 'BACKCAST_MESSAGE_LOST');
  await publisher.archived(1);
  assert.equal(await publisher.publish(PAYLOAD, DURABLE), 102);
});

test('a killed archiver acknowledges after its restart what it had committed before', async () => {
  await using scene = await setScene();
  const deaf = { ...ACKNOWLEDGING, faults: 'send-loss=1' };
  const first = await scene.startArchiver(deaf);
  await using publisher = await scene.openPublisher();
  const published = publisher.publish(PAYLOAD, DURABLE);
  await scene.accounted(1);
  await first.stop();
  assert.equal(publisher.archivedThrough, 0);
  await using _second = await scene.startArchiver(ACKNOWLEDGING);
  assert.equal(await published, 1);
});

test('when another archiver takes over, waits go on, and nothing seems to go back', async () => {
  await using scene = await setScene();
  await using first = await scene.startArchiver({ ...ACKNOWLEDGING, holder: 'first' });
  await using publisher = await scene.openPublisher();
  await publisher.publish(PAYLOAD, DURABLE);
  await using _second = await scene.startArchiver({ ...ACKNOWLEDGING, holder: 'second' });
  const waits: Promise<number>[] = [];
  for (let count = 0; count < 100; count += 1) {
    if (count % 10 === 0) await waits[count - 10];
    waits.push(publisher.publish(PAYLOAD, DURABLE));
    if (count === 50) void first.stop();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(new Set(await Promise.all(waits)).size, 100);
  assert.equal(await publisher.publish(PAYLOAD, DURABLE), 102);
  assert.equal(publisher.counters.archiveWentBack, 0);
  await scene.audited();
});

test('no more is published than may be out and not archived', async () => {
  await using scene = await setScene();
  await using publisher = await scene.openPublisher({ unarchivedBytesMax: 10_000, flushMs: 0 });
  let taken = 0;
  while (publisher.tryPublish(Buffer.alloc(900))) {
    taken += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(taken >= 10 && taken <= 12, `${taken}`);
  await failsWith(publisher.publish(PAYLOAD, { timeoutMs: 100 }), 'BACKCAST_PUBLISH_TIMEOUT');
  assert.equal(publisher.lastSequence, taken);
  await using _archiver = await scene.startArchiver(ACKNOWLEDGING);
  const rest = Array.from({ length: 500 }, () => Buffer.alloc(900));
  for (const payload of rest) {
    await publisher.publish(payload, { timeoutMs: PATIENCE_MS });
    assert.ok(publisher.snapshot().unarchivedBytes < 12_000);
  }
  await publisher.archived(taken + rest.length, { timeoutMs: PATIENCE_MS });
  assert.equal(publisher.snapshot().unarchivedBytes, 0);
});

test('an acknowledgement of a signed channel is signed', async () => {
  const keys = keySource(OLD_KEY);
  await using plain = await setScene();
  const address = { ...plain.address, authentication: 'required' } as const;
  await using scene = await setScene({ databaseUrl: plain.databaseUrl, address });
  const authentication = { keys: OLD_KEY };
  await using _archiver = await scene.startArchiver({ ...ACKNOWLEDGING, authentication });
  await using publisher = await scene.openPublisher({ keys });
  assert.equal(await publisher.publish(PAYLOAD, DURABLE), 1);
  assert.equal(publisher.counters.unauthenticatedMissing, 0);
});

test('a publisher that closes learns what is committed while it lingers, and no more', async () => {
  await using scene = await setScene();
  await using archiver = await scene.startArchiver(ACKNOWLEDGING);
  const publisher = await scene.openPublisher({ lingerMs: 3_000 });
  const published = publisher.publish(PAYLOAD, DURABLE);
  const closed = publisher.close();
  assert.equal(await published, 1);
  await closed;
  await archiver.stop();
  const unheard = await scene.openPublisher({ lingerMs: 10 });
  const unknown = failsWith(unheard.publish(PAYLOAD, DURABLE), 'BACKCAST_ARCHIVE_UNKNOWN');
  await unheard.close();
  await unknown;
  await failsWith(unheard.archived(1), 'BACKCAST_ARCHIVE_UNKNOWN');
});

test('a signal ends a wait with its reason, and the message stays published', async () => {
  await using scene = await setScene();
  await using publisher = await scene.openPublisher({ lingerMs: 10 });
  const abort = new AbortController();
  const waiting = publisher.publish(PAYLOAD, { until: 'archived', signal: abort.signal });
  await until('it is published', () => publisher.lastSequence === 1);
  abort.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
  const early = publisher.publish(PAYLOAD, { until: 'archived', signal: abort.signal });
  await assert.rejects(early, /enough/);
  assert.equal(publisher.lastSequence, 1);
});

test('who cannot be told what is archived is told that', async () => {
  await using scene = await setScene({ framing: 'raw' });
  // The scene itself holds the port of the group at the usual address.
  const elsewhere = { lingerMs: 10, interfaceAddress: '127.0.0.2' };
  await using publisher = await scene.openPublisher(elsewhere);
  await failsWith(publisher.publish(PAYLOAD, DURABLE), 'BACKCAST_USAGE');
  assert.equal(publisher.lastSequence, 0);
  await failsWith(publisher.archived(1), 'BACKCAST_USAGE');
  const bounded = scene.openPublisher({ unarchivedBytesMax: 1_000 });
  await failsWith(bounded, 'BACKCAST_CONFIG_INVALID');
  await using native = await setScene();
  await using empty = await native.openPublisher({ lingerMs: 10 });
  await failsWith(empty.archived(1), 'BACKCAST_USAGE');
});
