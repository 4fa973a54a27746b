// An archiver that has too many sessions behind it to remember them all: one that it has forgotten
// and that is heard again goes on where the archive has it, and a new one loses nothing by waiting.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { SESSIONS_REMEMBERED_MAX } from '#base/mod.ts';
import type { ChannelPublisher } from '#client/mod.ts';
import { type Scene, setScene } from '#test/support/archiving.ts';
import { until } from '#test/support/until.ts';

async function publishMany(publisher: ChannelPublisher, count: number): Promise<void> {
  for (let number = 1; number <= count; number += 1) {
    await publisher.publish(Buffer.from(`message ${number}`));
  }
}

function archived({ database }: Scene, count: number): Promise<boolean> {
  return until(`${count} messages are archived`, async () => {
    const { rows } = await sql<{ head: number }>`SELECT head FROM leases`.execute(database);
    return rows[0]?.head === count;
  });
}

/** The session there is fell silent, and more than can be remembered came and went since. */
async function forgetSessions({ database }: Scene): Promise<void> {
  await sql`UPDATE sessions SET state = 'expired', opened_at = now() - interval '1 day'`.execute(
    database,
  );
  await sql`
    INSERT INTO sessions (channel_id, session_id, tsi, is_foreign, state, first_archived,
      watermark, lead, resume_sqn, opened_at, seen_at, closed_at)
    SELECT channel_id, number, 'x.' || number, false, 'expired', 1, 0, 0, 0, now(), now(), now()
    FROM channels, generate_series(1, ${SESSIONS_REMEMBERED_MAX + 9}::int) AS number`.execute(
    database,
  );
}

test('a forgotten session goes on, and a new one is whole', async () => {
  await using scene = await setScene();
  await using before = await scene.startArchiver();
  await using returning = await scene.openPublisher();
  await publishMany(returning, 100);
  await archived(scene, 100);
  await before.stop();
  await forgetSessions(scene);
  await using _after = await scene.startArchiver();
  await using fresh = await scene.openPublisher();
  await publishMany(returning, 100);
  await publishMany(fresh, 100);
  await archived(scene, 300);
  const { rows } = await sql<{ session: string; count: number; last: number }>`
    SELECT session, count(*), max(sequence) AS last FROM messages
    GROUP BY session ORDER BY count(*) DESC`.execute(scene.database);
  assert.deepEqual(rows, [
    { session: returning.session, count: 200, last: 200 },
    { session: fresh.session, count: 100, last: 100 },
  ]);
  const { storedCount, lostCount } = await scene.audited();
  assert.deepEqual([storedCount, lostCount], [300, 0]);
});
