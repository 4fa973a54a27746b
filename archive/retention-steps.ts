// Deletes by policy, a transaction at a time. A day that nobody keeps is dropped as a whole, which
// costs the same however much it holds; of a day that others keep, a channel's part is deleted in
// bounded pieces. Either way the same transaction notes what goes, finds out about holds under the
// lock that adding one takes too, and waits for locks so briefly that whoever comes behind it
// hardly waits. Knows nothing of policies beyond their name.

import { setTimeout as delay } from 'node:timers/promises';
import { sql, type Transaction } from 'kysely';
import type { ArchiveDatabase } from './connect.ts';
import type { ArchiveTables } from './database-types.ts';
import {
  amountIn,
  type DeletedAmount,
  deleteSegments,
  findPartEnd,
  narrowBounds,
  noteDeletions,
  type PartLimits,
  takeBounds,
} from './deletion-statements.ts';
import { loadHolds } from './holds.ts';
import { partitionName } from './partitions.ts';
import { instantValue } from './read-sql.ts';
import { DAY_US, type DueDay, touches } from './retention-plan.ts';
import { sqlStateOf } from './sqlstate.ts';

/**
 * What became of a step. `deleted`: committed, and `isDone` if nothing is left of it. `held`: a
 * hold came in between. `kept`: somebody keeps something of a day that was to be dropped. `gone`:
 * another was faster. `elsewhere`: another process deletes at the moment. `busy`: the tables were
 * in use all the time; nothing was changed.
 */
export type StepOutcome =
  | ({ readonly kind: 'deleted'; readonly isDone: boolean } & DeletedAmount)
  | { readonly kind: 'held'; readonly by: readonly string[] }
  | { readonly kind: 'kept' | 'gone' | 'elsewhere' | 'busy' };

/** Four million messages at most; their payloads are a second's work. */
const PART_LIMITS: PartLimits = { segmentsMax: 1_024, bytesMax: 67_108_864 };
/** Reading the runs of a very large day takes a while; nobody waits for it. */
const STATEMENT_MS_MAX = 300_000;
/** For rows, and for partitions that only a vacuum still looks at. */
const LOCK_MS_MAX = 2_000;
/** For the tables as a whole: while it waits, every reader and every append waits behind it. */
const TABLE_LOCK_MS_MAX = 300;
const ATTEMPTS_MAX = 8;
const ATTEMPT_PAUSE_MS = 500;
/** Lock not available in time; deadlock, in which we were the one to give way. */
const BUSY_STATES = ['55P03', '40P01'];
/** Any number, as long as nobody else takes it: "retent" in ASCII. */
const ADVISORY_KEY = '125779835777652';

/** Deletes the next piece of a channel's day. */
export function deletePart(
  database: ArchiveDatabase,
  day: DueDay,
  limits: PartLimits = PART_LIMITS,
): Promise<StepOutcome> {
  return step(database, async (transaction) => {
    await takeDay(transaction, day);
    const endPosition = await findPartEnd(transaction, day, limits);
    const part = { ...day, endPosition };
    const noted = await noteDeletions(transaction, part);
    const amount = await deleteSegments(transaction, part);
    assertAllNoted(noted, amount);
    await narrowBounds(transaction, part);
    return { kind: 'deleted', isDone: endPosition === undefined, ...amount };
  });
}

/** Drops a day of which `days` are the parts of all channels that have anything in it. */
export function dropDay(
  database: ArchiveDatabase,
  startUs: number,
  days: readonly DueDay[],
): Promise<StepOutcome> {
  return step(database, async (transaction) => {
    const tables = dayTables(startUs);
    for (const day of days) await takeDay(transaction, day);
    await lockPartitions(transaction, tables);
    let noted = 0;
    for (const day of days) {
      const part = { ...day, endPosition: undefined };
      noted += await noteDeletions(transaction, part);
      await narrowBounds(transaction, part);
    }
    const inPartition = await amountIn(transaction, tables.segments);
    const inDefault = await deleteFromDefault(transaction, startUs);
    const amount = {
      messages: inPartition.messages + inDefault.messages,
      bytes: inPartition.bytes + inDefault.bytes,
    };
    assertAllNoted(noted, amount);
    await assertNobodyElse(transaction, startUs);
    await sql.raw(`SET LOCAL lock_timeout = ${TABLE_LOCK_MS_MAX}`).execute(transaction);
    await sql.raw(`DROP TABLE ${tables.segments}, ${tables.index}`).execute(transaction);
    return { kind: 'deleted', isDone: true, ...amount };
  });
}

/** Thrown to roll a step back with this outcome. */
class StepEnded extends Error {
  override readonly name = 'StepEnded';
  readonly outcome: StepOutcome;

  constructor(outcome: StepOutcome) {
    super(outcome.kind);
    this.outcome = outcome;
  }
}

async function step(
  database: ArchiveDatabase,
  work: (transaction: Transaction<ArchiveTables>) => Promise<StepOutcome>,
): Promise<StepOutcome> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await database.transaction().execute(async (transaction) => {
        await prepare(transaction);
        return work(transaction);
      });
    } catch (error) {
      if (error instanceof StepEnded) return error.outcome;
      if (!BUSY_STATES.includes(sqlStateOf(error) ?? '')) throw error;
      if (attempt === ATTEMPTS_MAX) return { kind: 'busy' };
      await delay(ATTEMPT_PAUSE_MS * attempt);
    }
  }
}

/**
 * The advisory lock is a hint that spares two from doing the same; the rows taken are the truth.
 * The lock of the table keeps those apart who move or delete rows that are stored; appends, readers
 * and holds do not meet it.
 */
async function prepare(transaction: Transaction<ArchiveTables>): Promise<void> {
  await sql.raw(`SET LOCAL statement_timeout = ${STATEMENT_MS_MAX}`).execute(transaction);
  await sql.raw(`SET LOCAL lock_timeout = ${LOCK_MS_MAX}`).execute(transaction);
  const { rows } = await sql<{ isOurs: boolean }>`
    SELECT pg_try_advisory_xact_lock(${ADVISORY_KEY}::bigint) AS "isOurs"`.execute(transaction);
  if (!rows[0].isOurs) throw new StepEnded({ kind: 'elsewhere' });
  await sql`LOCK TABLE partition_bounds IN SHARE UPDATE EXCLUSIVE MODE`.execute(transaction);
}

/** Whoever adds a hold waits for the bounds that this takes, or has committed it before. */
async function takeDay(transaction: Transaction<ArchiveTables>, day: DueDay): Promise<void> {
  const bounds = await takeBounds(transaction, day);
  if (bounds === undefined) throw new StepEnded({ kind: 'gone' });
  const holds = await loadHolds(transaction, day.channelId);
  const by = holds.filter((hold) => touches(hold, { ...day, ...bounds })).map(({ name }) => name);
  if (by.length > 0) throw new StepEnded({ kind: 'held', by });
}

interface DayTables {
  readonly segments: string;
  readonly index: string;
}

function dayTables(startUs: number): DayTables {
  const startMs = startUs / 1000;
  return {
    segments: partitionName('segments', startMs),
    index: partitionName('segment_sessions', startMs),
  };
}

/** Readers go on; an append that is dated in the past by a clock that was put back has to wait. */
async function lockPartitions(
  transaction: Transaction<ArchiveTables>,
  { segments, index }: DayTables,
): Promise<void> {
  const found = await sql`
    SELECT 1 FROM pg_inherits
    WHERE inhrelid IN (to_regclass(${segments}), to_regclass(${index}))
      AND inhparent IN ('segments'::regclass, 'segment_sessions'::regclass)`.execute(transaction);
  if (found.rows.length < 2) throw new StepEnded({ kind: 'kept' });
  await sql
    .raw(`LOCK TABLE ${segments}, ${index} IN SHARE ROW EXCLUSIVE MODE`)
    .execute(transaction);
}

async function deleteFromDefault(
  transaction: Transaction<ArchiveTables>,
  startUs: number,
): Promise<DeletedAmount> {
  const ofDay = sql`archived_at >= ${instantValue(startUs)}
    AND archived_at < ${instantValue(startUs + DAY_US)}`;
  const { rows } = await sql<DeletedAmount>`
    WITH gone AS (
      DELETE FROM segments_default WHERE ${ofDay} RETURNING message_count, payload_bytes)
    SELECT coalesce(sum(message_count), 0)::bigint AS messages,
           coalesce(sum(payload_bytes), 0)::bigint AS bytes FROM gone`.execute(transaction);
  await sql`DELETE FROM segment_sessions_default WHERE ${ofDay}`.execute(transaction);
  return rows[0];
}

function assertAllNoted(noted: number, { messages }: DeletedAmount): void {
  if (noted !== messages) throw new StepEnded({ kind: 'kept' });
}

async function assertNobodyElse(
  transaction: Transaction<ArchiveTables>,
  startUs: number,
): Promise<void> {
  const { rows } = await sql`
    SELECT 1 FROM partition_bounds WHERE partition_start = ${instantValue(startUs)}
    LIMIT 1`.execute(transaction);
  if (rows.length > 0) throw new StepEnded({ kind: 'kept' });
}
