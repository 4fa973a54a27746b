// Who read which messages. Written in batches by whoever serves readings, listed for those who
// answer for the archive, and forgotten after a while. A reading has one row, which is written when
// it begins and again when it has ended; a row that stays `running` is of a process that did not
// live to say how its reading ended.

import { sql } from 'kysely';
import { formatInstant } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import type { AccessOutcome } from './database-types.ts';
import { explained, instantValue, rowsOf } from './read-sql.ts';

/** One reading of messages. */
export interface Access {
  /** The id of the request, a UUID. */
  readonly id: string;
  readonly startedAtUs: number;
  /** Null while it runs. */
  readonly endedAtUs: number | null;
  readonly outcome: AccessOutcome;
  /** The operation of the API. */
  readonly operation: string;
  readonly who: string;
  readonly remote: string;
  /** What was asked for, as the caller wrote it. */
  readonly request: string;
  /** Messages that were handed over to be sent. */
  readonly messageCount: number;
  /** Bounds of their positions, in a streak or not. */
  readonly firstPosition: number | null;
  readonly lastPosition: number | null;
}

/** A reading to write down. */
export interface NewAccess extends Access {
  readonly channelId: number;
}

/** A reading with the name of its channel. */
export interface ListedAccess extends Access {
  readonly channel: string;
}

/** Where a page of readings ended. */
export type AccessKeyset = Pick<Access, 'startedAtUs' | 'id'>;

/** Which readings. */
export interface AccessFilter {
  readonly channel: string | undefined;
  readonly who: string | undefined;
  /** Begun at or after this instant. */
  readonly fromUs: number | undefined;
  /** Begun before this instant. */
  readonly toUs: number | undefined;
  /** Older than this one. */
  readonly after: AccessKeyset | undefined;
  readonly limit: number;
}

/** Writes all of them, in one statement; what is there already is brought up to date. */
export async function writeAccesses(
  db: ArchiveDatabase,
  accesses: readonly NewAccess[],
): Promise<void> {
  if (accesses.length === 0) return;
  const values = accesses.map((access) => ({
    channel_id: access.channelId,
    started_at: formatInstant(access.startedAtUs),
    access_id: access.id,
    ended_at: access.endedAtUs === null ? null : formatInstant(access.endedAtUs),
    message_count: access.messageCount,
    first_position: access.firstPosition,
    last_position: access.lastPosition,
    outcome: access.outcome,
    operation: access.operation,
    who: access.who,
    remote: access.remote,
    request: access.request,
  }));
  await explained(
    db
      .insertInto('accesses')
      .values(values)
      .onConflict((conflict) =>
        conflict.columns(['channel_id', 'started_at', 'access_id']).doUpdateSet((eb) => ({
          ended_at: eb.ref('excluded.ended_at'),
          message_count: eb.ref('excluded.message_count'),
          first_position: eb.ref('excluded.first_position'),
          last_position: eb.ref('excluded.last_position'),
          outcome: eb.ref('excluded.outcome'),
        })),
      )
      .execute(),
  );
}

/** Readings that match, the latest first. */
export function listAccesses(db: ArchiveDatabase, filter: AccessFilter): Promise<ListedAccess[]> {
  const { channel, who, fromUs, toUs, after, limit } = filter;
  const wanted = [
    ...(channel === undefined ? [] : [sql`channels.name = ${channel}`]),
    ...(who === undefined ? [] : [sql`who = ${who}`]),
    ...(fromUs === undefined ? [] : [sql`started_at >= ${instantValue(fromUs)}`]),
    ...(toUs === undefined ? [] : [sql`started_at < ${instantValue(toUs)}`]),
    ...(after === undefined
      ? []
      : [sql`(started_at, access_id) < (${instantValue(after.startedAtUs)}, ${after.id}::uuid)`]),
  ];
  const where = wanted.length === 0 ? sql`true` : sql.join(wanted, sql` AND `);
  return rowsOf(
    sql<ListedAccess>`
      SELECT channels.name AS channel, access_id AS id, started_at AS "startedAtUs",
             ended_at AS "endedAtUs", outcome, operation, who, remote, request,
             message_count AS "messageCount", first_position AS "firstPosition",
             last_position AS "lastPosition"
      FROM accesses JOIN channels USING (channel_id)
      WHERE ${where} ORDER BY started_at DESC, access_id DESC LIMIT ${limit}`.execute(db),
  );
}

/** Forgotten in one statement: seconds of work where a thousand readings begin in a second. */
const FORGET_SLICE_US = 600_000_000;

/**
 * Forgets the readings that began before `beforeUs`, the oldest first, a slice of time in each
 * statement: after the bound was lowered it may be most of a year.
 */
export async function forgetAccesses(db: ArchiveDatabase, beforeUs: number): Promise<void> {
  for (;;) {
    const [{ oldestUs }] = await rowsOf(
      sql<{ oldestUs: number | null }>`
        SELECT min(started_at) AS "oldestUs" FROM accesses
        WHERE started_at < ${instantValue(beforeUs)}`.execute(db),
    );
    if (oldestUs === null) return;
    const endUs = Math.min(oldestUs + FORGET_SLICE_US, beforeUs);
    await explained(
      sql`DELETE FROM accesses WHERE started_at < ${instantValue(endUs)}`.execute(db),
    );
  }
}
