// Deletions that lie inside an answer. They are asked for only where something is missing, and
// after it was found missing: rows and what notes their deletion change in one transaction, so what
// was not there to be read is noted by the time that this looks.

import { type RawBuilder, sql } from 'kysely';
import type { SequenceRange, SessionId } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import { sessionText } from './database-types.ts';
import type { ArchivedSession } from './read.ts';
import type { Deletion } from './read-entries.ts';
import { instantValue, rowsOf, sessionKey } from './read-sql.ts';

/** Deletions that one look takes in, but for those that reach into the last place looked at. */
const LOOK_DELETIONS = 1_000;

/** Deletions and the positions up to which they are all there are. */
export interface DeletedStretch {
  readonly deletions: readonly Deletion[];
  /** Which positions they cover without a hole, from the end where reading goes on. */
  readonly positions: SequenceRange;
}

/**
 * The deletions at the end of `positions` where reading goes on: its first for 'asc', its last for
 * 'desc'. Undefined if that position is not deleted.
 */
export async function deletedStretch(
  db: ArchiveDatabase,
  channelId: number,
  positions: SequenceRange,
  order: 'asc' | 'desc',
): Promise<DeletedStretch | undefined> {
  const { first, last } = positions;
  const within = sql`channel_id = ${channelId} AND last_position`;
  const ahead =
    order === 'asc'
      ? sql`${within} >= ${first} ORDER BY last_position`
      : sql`${within} <= ${last} ORDER BY last_position DESC`;
  const bound = sql`SELECT ${order === 'asc' ? sql`max` : sql`min`}(last_position)
    FROM (SELECT last_position FROM deletions WHERE ${ahead} LIMIT ${LOOK_DELETIONS + 1}) AS next
    HAVING count(*) > ${LOOK_DELETIONS}`;
  const looked =
    order === 'asc'
      ? sql`${within} >= ${first}
            AND first_position <= least(${last}, coalesce((${bound}), ${last}))`
      : sql`${within} >= greatest(${first}, coalesce((${bound}), ${first}))
            AND first_position <= ${last}`;
  const deletions = await select(db, looked);
  const covered = stretchAt(deletions, order === 'asc' ? first : last);
  if (covered === undefined) return undefined;
  const reached = reachOf(deletions, positions, order);
  const stretch = {
    first: Math.max(covered.first, reached.first),
    last: Math.min(covered.last, reached.last),
  };
  const touching = deletions.filter(
    ({ firstPosition, lastPosition }) =>
      firstPosition <= stretch.last && lastPosition >= stretch.first,
  );
  return { deletions: touching, positions: stretch };
}

/** The deletions among `positions` that may have been published within `published`. */
export function deletionsByTime(
  db: ArchiveDatabase,
  channelId: number,
  positions: SequenceRange,
  published: { readonly startUs: number; readonly endUs: number },
): Promise<Deletion[]> {
  return select(
    db,
    sql`channel_id = ${channelId}
      AND last_position >= ${positions.first} AND first_position <= ${positions.last}
      AND max_published_at >= ${instantValue(published.startUs)}
      AND min_published_at < ${instantValue(published.endUs)}`,
  );
}

/** The deletions of one session that touch `sequences`, cut to them, in order. */
export async function deletionsBySequence(
  db: ArchiveDatabase,
  { channelId }: { readonly channelId: number },
  session: ArchivedSession,
  sequences: SequenceRange,
): Promise<Deletion[]> {
  if (sequences.first > sequences.last) return [];
  const found = await select(
    db,
    sql`channel_id = ${channelId} AND session_id = ${sessionKey(session.session)}
      AND first_sequence <= ${sequences.last} AND last_sequence >= ${sequences.first}`,
  );
  return found
    .map((deletion) => {
      const first = Math.max(deletion.first, sequences.first);
      const last = Math.min(deletion.last, sequences.last);
      const isWhole = first === deletion.first && last === deletion.last;
      const cutCount = session.isForeign ? null : last - first + 1;
      return { ...deletion, first, last, messageCount: isWhole ? deletion.messageCount : cutCount };
    })
    .toSorted((one, other) => one.first - other.first);
}

/** Whether anything before `position` has been deleted. */
export async function isDeletedBefore(
  db: ArchiveDatabase,
  channelId: number,
  position: number,
): Promise<boolean> {
  const found = sql`SELECT 1 FROM deletions
    WHERE channel_id = ${channelId} AND last_position < ${position} LIMIT 1`;
  return (await rowsOf(found.execute(db))).length > 0;
}

/** Where a page of deletions goes on: behind this one. */
export interface DeletionKeyset {
  readonly lastPosition: number;
  readonly session: SessionId;
  readonly first: number;
}

/** At most `limit` deletions by last position, of one session or all, those behind `after`. */
export function listDeletions(
  db: ArchiveDatabase,
  { channelId }: { readonly channelId: number },
  page: {
    readonly session: SessionId | undefined;
    readonly after: DeletionKeyset | undefined;
    readonly limit: number;
  },
): Promise<Deletion[]> {
  const { session, after, limit } = page;
  const own = session === undefined ? sql`` : sql` AND session_id = ${sessionKey(session)}`;
  const behind =
    after === undefined
      ? sql``
      : sql` AND (last_position, session_id, first_sequence)
          > (${after.lastPosition}::bigint, ${sessionKey(after.session)}, ${after.first}::bigint)`;
  return select(
    db,
    sql`channel_id = ${channelId}${own}${behind}`,
    sql`ORDER BY last_position, session_id, first_sequence LIMIT ${limit}`,
  );
}

function select(
  db: ArchiveDatabase,
  where: RawBuilder<unknown>,
  order: RawBuilder<unknown> = sql`ORDER BY first_position, session_id, first_sequence`,
): Promise<Deletion[]> {
  return rowsOf(
    sql<Deletion>`
      SELECT 'deletion' AS kind, ${sessionText('session_id')} AS session,
             first_sequence AS first, last_sequence AS last, message_count AS "messageCount",
             first_position AS "firstPosition", last_position AS "lastPosition",
             min_published_at AS "minPublishedAtUs", max_published_at AS "maxPublishedAtUs",
             deleted_at AS "deletedAtUs", policy
      FROM deletions WHERE ${where} ${order}`.execute(db),
  );
}

/** The positions around `position` that `deletions`, in order of where they begin, cover. */
function stretchAt(deletions: readonly Deletion[], position: number): SequenceRange | undefined {
  let stretch: SequenceRange | undefined;
  for (const { firstPosition, lastPosition } of deletions) {
    if (stretch !== undefined && firstPosition <= stretch.last + 1) {
      stretch = { first: stretch.first, last: Math.max(stretch.last, lastPosition) };
    } else if (stretch === undefined || stretch.last < position) {
      stretch = { first: firstPosition, last: lastPosition };
    }
  }
  if (stretch === undefined || stretch.first > position || stretch.last < position)
    return undefined;
  return stretch;
}

/**
 * How far a look may be trusted to have seen every deletion: where it was cut short, no further
 * than to the end of the last one that it was cut at.
 */
function reachOf(
  deletions: readonly Deletion[],
  { first, last }: SequenceRange,
  order: 'asc' | 'desc',
): SequenceRange {
  if (deletions.length <= LOOK_DELETIONS) return { first, last };
  const ends = deletions.map(({ lastPosition }) => lastPosition).toSorted((a, b) => a - b);
  if (order === 'asc') return { first, last: Math.min(last, ends[LOOK_DELETIONS]) };
  return { first: Math.max(first, Math.min(last, ends[ends.length - 1 - LOOK_DELETIONS])), last };
}
