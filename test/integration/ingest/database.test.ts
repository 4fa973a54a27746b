// The archiver and its database: one that crashes and comes back in the middle of traffic, one
// whose lease somebody else takes, and a renewal that something stands in the way of.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { Client } from 'pg';
import { acquireLease, claimArchiverName, releaseLease } from '#archive/mod.ts';
import type { ChannelAddress } from '#base/mod.ts';
import type { ChannelPublisher } from '#client/mod.ts';
import { keptLog, type Scene, setScene } from '#test/support/archiving.ts';
import { setFragileScene } from '#test/support/fragile-server.ts';
import { reserveGroup } from '#test/support/multicast.ts';
import { until } from '#test/support/until.ts';

const PAYLOAD = Buffer.alloc(200, 'x');

test('a database that crashes in the middle of traffic and is away costs nothing', async () => {
  await using fragile = await setFragileScene();
  const { scene } = fragile;
  const log = keptLog();
  await using archiver = await scene.startArchiver({ log });
  await using publisher = await scene.openPublisher({ lingerMs: 100 });
  await publishMany(publisher, 2_000);
  await scene.accounted(1_000);
  await fragile.crash();
  await publishMany(publisher, 5_000);
  await until('the archiver has noticed', () => log.messages.includes('database is away'));
  await publishMany(publisher, 5_000);
  await fragile.restart();
  await publishMany(publisher, 2_000);
  await scene.accounted(14_000);
  await archiver.stop();
  const verdict = await scene.audited();
  assert.deepEqual([verdict.storedCount, verdict.lostCount], [14_000, 0]);
  const changes = log.messages.filter((message) => message.startsWith('database'));
  assert.deepEqual(changes, ['database is away', 'database is back']);
});

test('a database that hangs does not keep an archiver from stopping', async () => {
  await using fragile = await setFragileScene();
  const archiver = await fragile.scene.startArchiver();
  await using _frozen = await fragile.freeze();
  const startedAtMs = performance.now();
  await archiver.stop();
  assert.ok(performance.now() - startedAtMs < 5_000);
});

test('an archiver commits nothing while another has the channel, and all afterwards', async () => {
  await using scene = await setScene();
  await using archiver = await scene.startArchiver();
  await using publisher = await scene.openPublisher({ lingerMs: 100 });
  await publishMany(publisher, 100);
  await scene.accounted(100);
  const channelId = await channelIdOf(scene);
  await using _name = await claimArchiverName(scene.databaseUrl, 'other');
  const overruled = { holder: 'test-archiver', epoch: (await leaseOf(scene)).epoch };
  const options = { overruled };
  const taken = await acquireLease(scene.database, channelId, 'other', 60_000, options);
  assert.ok(taken.outcome === 'acquired');
  await publishMany(publisher, 100);
  await until('it stands by', async () => !(archiver.counters['orders']?.leading ?? true));
  assert.equal((await leaseOf(scene)).head, 100);
  await releaseLease(scene.database, { channelId, epoch: taken.epoch });
  await scene.accounted(200);
  await archiver.stop();
  const verdict = await scene.audited();
  assert.deepEqual([verdict.storedCount, verdict.lostCount], [200, 0]);
});

test('a channel that is taken while the leases are being renewed is kept', async () => {
  await using scene = await setScene();
  await using other = await reserveGroup();
  const address: ChannelAddress = { ...other, dport: 7_500, framing: 'native' };
  const known = new Map([[scene.channel, scene.address]]);
  await using archiver = await scene.startArchiver({
    channels: ['*'],
    registry: { list: () => Promise.resolve(known) },
    discoverEveryMs: 50,
  });
  const channelId = await channelIdOf(scene);
  await using locked = await lockLease(scene, channelId);
  await until('a renewal waits for the lock', () => isRenewalBlocked(scene));
  known.set('late', address);
  await archiver.recording('late');
  await locked[Symbol.asyncDispose]();
  await until('the renewal is done', async () => !(await isRenewalBlocked(scene)));
  await using publisher = await scene.openPublisher({ address, lingerMs: 100 });
  await publishMany(publisher, 10);
  const head = (): Promise<number> => headOf(scene, 'late');
  await Promise.race([archiver.failed, until('it is archived', async () => (await head()) === 10)]);
});

async function publishMany(publisher: ChannelPublisher, count: number): Promise<void> {
  for (let index = 1; index <= count; index += 1) {
    await publisher.publish(PAYLOAD);
    if (index % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

async function channelIdOf(scene: Scene): Promise<number> {
  const { channel_id: channelId } = await scene.database
    .selectFrom('channels')
    .select('channel_id')
    .where('name', '=', scene.channel)
    .executeTakeFirstOrThrow();
  return channelId;
}

async function leaseOf(scene: Scene): Promise<{ epoch: number; head: number }> {
  return scene.database.selectFrom('leases').select(['epoch', 'head']).executeTakeFirstOrThrow();
}

async function headOf(scene: Scene, channel: string): Promise<number> {
  const { head } = await scene.database
    .selectFrom('leases')
    .innerJoin('channels', 'channels.channel_id', 'leases.channel_id')
    .where('channels.name', '=', channel)
    .select('head')
    .executeTakeFirstOrThrow();
  return head;
}

/** Holds the row of a lease until disposed. */
async function lockLease(scene: Scene, channelId: number): Promise<AsyncDisposable> {
  const client = new Client({ connectionString: scene.databaseUrl });
  await client.connect();
  await client.query('BEGIN');
  await client.query('SELECT 1 FROM leases WHERE channel_id = $1 FOR UPDATE', [channelId]);
  let ended: Promise<void> | undefined;
  return { [Symbol.asyncDispose]: () => (ended ??= client.end()) };
}

async function isRenewalBlocked(scene: Scene): Promise<boolean> {
  const { rows } = await sql`
    SELECT 1 FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
      AND query LIKE '%UPDATE leases SET expires_at%' AND query NOT LIKE '%pg_stat_activity%'
  `.execute(scene.database);
  return rows.length > 0;
}
