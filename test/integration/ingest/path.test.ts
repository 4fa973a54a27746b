// The whole path on real multicast and a real PostgreSQL: what is published is archived, in order,
// once, under loss in both directions; and what cannot be is declared.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { sql } from 'kysely';
import { randomBelow, seededRandom } from '#base/mod.ts';
import type { ChannelPublisher } from '#client/mod.ts';
import { type Scene, setScene } from '#test/support/archiving.ts';

test('100,000 messages of three publishers survive 5 % loss in each direction', async () => {
  await using scene = await setScene();
  await using archiver = await scene.startArchiver({
    faults: 'receive-loss=0.05,send-loss=0.05,seed=7',
  });
  const publishers = await Promise.all(
    [1, 2, 3].map((number) =>
      scene.openPublisher({
        source: `gateway-${number}`,
        rateBytesPerSec: 4_000_000,
        faults: `receive-loss=0.05,send-loss=0.05,seed=${number}`,
      }),
    ),
  );
  const published = await Promise.all(
    publishers.map((publisher, index) => publishMany(publisher, index, 33_334)),
  );
  await Promise.all(publishers.map((publisher) => publisher.close()));
  await scene.accounted(3 * 33_334);
  const verdict = await scene.audited();
  assert.equal(verdict.lostCount, 0);
  assert.equal(verdict.storedCount, 3 * 33_334);
  for (const [index, publisher] of publishers.entries()) {
    assert.deepEqual(await storedDigests(scene, publisher), published[index]);
  }
  await archiver.stop();
  const counters = archiver.counters[scene.channel]?.receiver;
  assert.ok(counters !== undefined);
  const sent = publishers.reduce((sum, it) => sum + it.counters.packetsSent, 0);
  const { packetsMissed, nakSqnsSent } = counters;
  const injected = sent * (1 - 0.95 * 0.95);
  assert.ok(packetsMissed > 0.8 * injected, `${packetsMissed} missed, ${injected} dropped`);
  assert.ok(nakSqnsSent <= 2 * packetsMissed, `${nakSqnsSent} requests for ${packetsMissed} lost`);
});

test('a lost last message of a burst is archived within a second', async () => {
  await using scene = await setScene();
  await using _archiver = await scene.startArchiver();
  await using publisher = await scene.openPublisher({
    faults: 'send-loss=1,kinds=odata',
    lingerMs: 0,
  });
  const startedAtMs = performance.now();
  await publisher.publish(Buffer.from('the last word'));
  await scene.accounted(1);
  const elapsedMs = performance.now() - startedAtMs;
  assert.ok(elapsedMs < 1_000, `took ${elapsedMs} ms`);
  assert.equal((await scene.audited()).storedCount, 1);
});

test('what a small window no longer holds is declared lost, with its range and cause', async () => {
  await using scene = await setScene();
  const first = await scene.startArchiver();
  await using publisher = await scene.openPublisher({
    windowPackets: 16,
    packetBytesMax: 512,
    messageBytesMax: 400,
    lingerMs: 0,
  });
  await publishAwaited(publisher, 50);
  await scene.accounted(50);
  await first.stop();
  await publishAwaited(publisher, 500);
  await using second = await scene.startArchiver();
  await publishAwaited(publisher, 50);
  await scene.accounted(600);
  await second.stop();
  const verdict = await scene.audited();
  assert.equal(verdict.storedCount + verdict.lostCount, 600);
  const losses = await scene.database
    .selectFrom('losses')
    .select(['cause', 'first_sequence', 'last_sequence'])
    .execute();
  assert.equal(losses.length, 1);
  assert.equal(losses[0]?.cause, 'repair_expired');
  assert.equal(losses[0].first_sequence, 51);
  assert.equal(losses[0].last_sequence, 50 + verdict.lostCount);
});

test('messages of every shape arrive as they were: empty, a megabyte, not UTF-8', async () => {
  await using scene = await setScene();
  await using _archiver = await scene.startArchiver();
  await using publisher = await scene.openPublisher({ faults: 'send-loss=0.02,seed=3' });
  const payloads = [
    Buffer.alloc(0),
    Buffer.alloc(1_048_576, 'x'),
    Buffer.from([0, 255, 254, 0xc3, 0x28]),
    Buffer.from('last'),
  ];
  for (const payload of payloads) await publisher.publish(payload);
  await scene.accounted(payloads.length);
  await scene.audited();
  const stored = await sql<{ payload: Buffer }>`
    SELECT payload FROM messages ORDER BY position`.execute(scene.database);
  assert.deepEqual(
    stored.rows.map(({ payload }) => payload),
    payloads,
  );
});

test('a publisher that restarts is a new session, and both are whole', async () => {
  await using scene = await setScene();
  await using _archiver = await scene.startArchiver();
  for (let incarnation = 0; incarnation < 3; incarnation += 1) {
    await using publisher = await scene.openPublisher({
      source: 'gateway-1',
      lingerMs: 50,
      packetBytesMax: 512,
      messageBytesMax: 400,
    });
    await publishAwaited(publisher, 100);
  }
  await scene.accounted(300);
  const verdict = await scene.audited();
  assert.equal(verdict.sessionCount, 3);
  assert.equal(verdict.storedCount, 300);
});

/** Publishes messages of 100 to 2,000 bytes; returns their digests in order. */
async function publishMany(
  publisher: ChannelPublisher,
  seed: number,
  count: number,
): Promise<string[]> {
  const random = seededRandom(seed);
  const digests: string[] = [];
  for (let index = 0; index < count; index += 1) {
    const payload = Buffer.alloc(100 + randomBelow(random, 1_901), `${seed}:${index};`);
    digests.push(digest(payload));
    await publisher.publish(payload);
    if (index % 256 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return digests;
}

/** Publishes messages one to a packet, each sent before the next. */
async function publishAwaited(publisher: ChannelPublisher, count: number): Promise<void> {
  const before = publisher.counters.packetsSent;
  for (let index = 1; index <= count; index += 1) {
    await publisher.publish(Buffer.alloc(300, `${index};`));
    if (index % 8 === 0) await sentPackets(publisher, before + index);
  }
  await sentPackets(publisher, before + count);
}

async function sentPackets(publisher: ChannelPublisher, count: number): Promise<void> {
  while (publisher.counters.packetsSent < count) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function storedDigests(scene: Scene, publisher: ChannelPublisher): Promise<string[]> {
  const query = sql<{ sequence: string; payload: Buffer }>`
    SELECT sequence, payload FROM messages
    WHERE session = ${publisher.session} ORDER BY position`;
  const stored = await query.execute(scene.database);
  assert.ok(stored.rows.every((row, index) => Number(row.sequence) === index + 1));
  return stored.rows.map(({ payload }) => digest(payload));
}

function digest(payload: Buffer): string {
  return createHash('sha256').update(payload).digest('hex');
}
