// A database that refuses one channel of a running archiver: a rule of it forbids the rows. The
// channel waits and is told of, its neighbour in the same thread goes on, nothing is lost.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import type { ChannelAddress } from '#base/mod.ts';
import type { ChannelPublisher } from '#client/mod.ts';
import { keptLog, setScene } from '#test/support/archiving.ts';
import { reserveGroup } from '#test/support/multicast.ts';
import { until } from '#test/support/until.ts';

async function publishMany(publisher: ChannelPublisher, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) await publisher.publish(Buffer.from('x'));
}

test('a channel that is refused waits, tells it, and loses nothing; others go on', async () => {
  await using scene = await setScene();
  await using other = await reserveGroup();
  const address: ChannelAddress = { ...other, dport: 7_500, framing: 'native' };
  const known = new Map([
    [scene.channel, scene.address],
    ['other', address],
  ]);
  const log = keptLog();
  const archiver = await scene.startArchiver({
    channels: ['*'],
    registry: { list: () => Promise.resolve(known) },
    log,
  });
  await archiver.recording('other');
  await using refused = await scene.openPublisher({ lingerMs: 100 });
  await using neighbour = await scene.openPublisher({ address, lingerMs: 100 });
  await publishMany(refused, 10);
  await scene.accounted(10);
  const { channel_id: channelId } = await scene.database
    .selectFrom('channels')
    .select('channel_id')
    .where('name', '=', scene.channel)
    .executeTakeFirstOrThrow();
  await sql`ALTER TABLE sessions ADD CONSTRAINT refused
    CHECK (channel_id <> ${sql.lit(channelId)}) NOT VALID`.execute(scene.database);
  await publishMany(refused, 10);
  await until('the refusal is told', () =>
    log.messages.includes('the database refuses the channel'),
  );
  await publishMany(refused, 10);
  await publishMany(neighbour, 10);
  await until(
    'the neighbour is archived',
    () => archiver.counters['other']?.archivedMessages === 10,
  );
  await until('it is counted', () => archiver.counters[scene.channel]?.refused);
  assert.equal(archiver.counters['other']?.refused, false);
  assert.ok(!log.messages.includes('database is away'));
  await sql`ALTER TABLE sessions DROP CONSTRAINT refused`.execute(scene.database);
  await archiver.stop();
  const { storedCount, lostCount } = await scene.audited();
  assert.deepEqual([storedCount, lostCount], [30, 0]);
  assert.ok(log.messages.includes('the database takes the channel again'));
});
