// The judge after a fault: the auditor that operators run, the label of every message, the order of
// each session, and what publishers themselves say they have published.

import assert from 'node:assert/strict';
import { sql } from 'kysely';
import type { SessionId } from '#base/mod.ts';
import type { ChannelPublisher } from '#client/mod.ts';
import type { Scene } from './archiving.ts';
import { checkLabels } from './labelled-messages.ts';

/** What one session has published, and what of it may be missing. */
export interface Published {
  readonly session: SessionId;
  readonly lastSequence: number;
  /** Losses up to this sequence are no fault: it was gone before anybody could have heard it. */
  readonly mayLoseThrough?: number;
}

/** What `publisher` has published so far. */
export function publishedBy(publisher: ChannelPublisher, mayLoseThrough = 0): Published {
  const { session, lastSequence } = publisher;
  return { session, lastSequence, mayLoseThrough };
}

/** What the archive has. */
export interface Judgement {
  readonly storedCount: number;
  readonly lostCount: number;
}

interface LossRow {
  readonly session: string;
  readonly first: number;
  readonly last: number;
  readonly cause: string;
}

/**
 * Fails unless each of `published` is accounted for to its end, stored once and in order or lost
 * where that is allowed, and nothing else is there.
 */
export async function judge(scene: Scene, published: readonly Published[]): Promise<Judgement> {
  const { storedCount, lostCount } = await scene.audited();
  await checkLabels(scene.database, scene.channel);
  await checkOrder(scene);
  const { rows: sessions } = await sql<{ session: string; first: number; watermark: number }>`
    SELECT lpad(to_hex(session_id), 16, '0') AS session, first_archived AS first, watermark
    FROM sessions ORDER BY 1`.execute(scene.database);
  const due = published
    .filter(({ lastSequence }) => lastSequence > 0)
    .map(({ session, lastSequence }) => ({ session, first: 1, watermark: lastSequence }))
    .toSorted((left, right) => (left.session < right.session ? -1 : 1));
  assert.deepEqual(sessions, due);
  const { rows: losses } = await sql<LossRow>`
    SELECT lpad(to_hex(session_id), 16, '0') AS session,
           first_sequence AS first, last_sequence AS last, cause
    FROM losses WHERE healed_at IS NULL ORDER BY 1, 2`.execute(scene.database);
  const allowed = new Map(published.map((it) => [it.session as string, it.mayLoseThrough ?? 0]));
  const wrong = losses.filter(({ session, last }) => last > (allowed.get(session) ?? 0));
  assert.deepEqual(wrong, [], 'lost although it was there to be heard');
  return { storedCount, lostCount };
}

/** Sequences of a session rise with the position. */
async function checkOrder(scene: Scene): Promise<void> {
  const query = sql<{ session: string; first: number; before: number }>`
    SELECT lpad(to_hex(session_id), 16, '0') AS session, first, before FROM (
      SELECT run.session_id, run.first,
             lag(run.first + run.length - 1) OVER (
               PARTITION BY run.session_id ORDER BY segment.first_position, run.place) AS before
      FROM segments segment,
           unnest(segment.run_session, segment.run_first, segment.run_length)
             WITH ORDINALITY AS run (session_id, first, length, place)) AS runs
    WHERE first <= before LIMIT 3`;
  const { rows } = await scene.database.transaction().execute(async (reading) => {
    await sql`SET LOCAL statement_timeout = 0`.execute(reading);
    return await query.execute(reading);
  });
  assert.deepEqual(rows, [], 'archived out of order');
}
