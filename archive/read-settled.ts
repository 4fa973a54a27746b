// Settles what an answer that takes long will be about, at one moment: how far it reaches, and what
// is lost in it. What a channel has changes while it is read: losses are healed, and what heals
// them is stored behind everything else. Who read the losses later than the end would miss a
// message and name no loss; read in one snapshot the two agree.

import { type RawBuilder, sql } from 'kysely';
import { SEGMENT_MESSAGES_MAX, type SequenceRange, type SessionId } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import { type Channel, findChannel, findSession } from './read.ts';
import type { PositionPlan } from './read-by-position.ts';
import type { Loss } from './read-entries.ts';
import { selectLosses } from './read-losses.ts';
import { planPositions } from './read-messages.ts';
import type { PositionRequest, Unsettled } from './read-page.ts';
import { rowsOf, sessionKey } from './read-sql.ts';
import type { ReadDatabase } from './shared-reads.ts';

/** What to settle. */
export interface RangeRequest {
  readonly channel: string;
  /** In the order of the channel. */
  readonly request: PositionRequest;
  /** Only what is of this session; undefined for all. */
  readonly session: SessionId | undefined;
}

/** What an answer covers. */
export interface SettledRange {
  /** As of that moment; with it a reading goes no further. */
  readonly channel: Channel;
  /** That moment, by the clock of the database. */
  readonly settledAtUs: number;
  /** Positions that hold everything asked for; empty if last < first. */
  readonly positions: SequenceRange;
  readonly unsettled: Unsettled | undefined;
}

/** Takes losses as they are read. */
export type KeepLosses = (losses: readonly Loss[], channel: Channel) => Promise<void>;

/** Losses that are held at once. */
const LOSSES_AT_ONCE = 1_000;

/**
 * Settles `range`, and hands its losses to `keep` before it returns, in the order of the channel
 * and a bounded number at a time. Holds a connection meanwhile, and no lock. Errors as findChannel,
 * findSession and openReading.
 */
export function settleRange(
  opened: ReadDatabase,
  range: RangeRequest,
  keep: KeepLosses,
): Promise<SettledRange> {
  return opened.database
    .transaction()
    .setIsolationLevel('repeatable read')
    .setAccessMode('read only')
    .execute(async (db) => {
      const channel = await findChannel(db, range.channel);
      const plan = await planPositions({ pool: opened.pool, database: db }, channel, range.request);
      const positions =
        range.session === undefined
          ? plan.positions
          : await positionsOfSession(db, channel, range.session, plan.positions);
      await keepLosses(db, plan, range, (losses) => keep(losses, channel));
      const now = sql<{ nowUs: number }>`SELECT now() AS "nowUs"`;
      const [{ nowUs }] = await rowsOf(now.execute(db));
      return { channel, settledAtUs: nowUs, positions, unsettled: plan.unsettled };
    });
}

/**
 * Of `within`, the positions that hold all of `session`: its messages, and the places of what is
 * lost or deleted of it. Empty if the archive has nothing of it there. BACKCAST_SESSION_UNKNOWN.
 */
export async function positionsOfSession(
  db: ArchiveDatabase,
  channel: Channel,
  session: SessionId,
  within: SequenceRange,
): Promise<SequenceRange> {
  await findSession(db, channel, session);
  const stored = await edges(db, channel, session, sql`segment_sessions`, {
    first: sql`min(first_position)`,
    last: sql`max(first_position) + ${SEGMENT_MESSAGES_MAX - 1}`,
  });
  const deleted = await edges(db, channel, session, sql`deletions`, {
    first: sql`min(first_position)`,
    last: sql`max(last_position)`,
  });
  const lost = await edges(db, channel, session, sql`losses`, {
    first: sql`min(after_position) + 1`,
    last: sql`max(after_position)`,
  });
  return {
    first: Math.max(within.first, Math.min(stored.first, deleted.first, lost.first)),
    last: Math.min(within.last, Math.max(stored.last, deleted.last, lost.last)),
  };
}

/** Where the rows of `session` in `table` begin and end; a range that is empty if it has none. */
async function edges(
  db: ArchiveDatabase,
  { channelId }: Channel,
  session: SessionId,
  table: RawBuilder<unknown>,
  edge: { readonly first: RawBuilder<unknown>; readonly last: RawBuilder<unknown> },
): Promise<SequenceRange> {
  const rows = await rowsOf(
    sql<{ first: number | null; last: number | null }>`
    SELECT ${edge.first} AS first, ${edge.last} AS last FROM ${table}
    WHERE channel_id = ${channelId} AND session_id = ${sessionKey(session)}`.execute(db),
  );
  const { first, last } = rows[0];
  return { first: first ?? Number.POSITIVE_INFINITY, last: last ?? 0 };
}

async function keepLosses(
  db: ArchiveDatabase,
  plan: PositionPlan,
  { session }: RangeRequest,
  keep: (losses: readonly Loss[]) => Promise<void>,
): Promise<void> {
  if (plan.losses !== undefined) {
    const losses = plan.losses.filter((loss) => session === undefined || loss.session === session);
    if (losses.length > 0) await keep(losses);
    return;
  }
  const places = { first: plan.positions.first - 1, last: plan.positions.last };
  let behind: Loss | undefined;
  for (;;) {
    const losses = await lossesBehind(db, plan, { places, session, behind });
    if (losses.length > 0) await keep(losses);
    if (losses.length < LOSSES_AT_ONCE) return;
    behind = losses.at(-1);
  }
}

function lossesBehind(
  db: ArchiveDatabase,
  { channelId, archivedThrough }: PositionPlan,
  {
    places,
    session,
    behind,
  }: {
    readonly places: SequenceRange;
    readonly session: SessionId | undefined;
    readonly behind: Loss | undefined;
  },
): Promise<Loss[]> {
  let query = selectLosses(db, channelId, archivedThrough)
    .where('losses.after_position', '>=', places.first)
    .where('losses.after_position', '<=', places.last);
  if (session !== undefined) query = query.where(isOf(session));
  if (behind !== undefined) query = query.where(isBehind(behind));
  return rowsOf(query.limit(LOSSES_AT_ONCE).execute());
}

function isOf(session: SessionId): RawBuilder<boolean> {
  return sql<boolean>`losses.session_id = ${sessionKey(session)}`;
}

function isBehind({ afterPosition, session, first }: Loss): RawBuilder<boolean> {
  return sql<boolean>`(losses.after_position, losses.session_id, losses.first_sequence)
    > (${afterPosition}::bigint, ${sessionKey(session)}, ${first}::bigint)`;
}
