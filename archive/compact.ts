// Empties the DEFAULT partition, merges small segments of quiet channels, a group at a time, and
// gives back the space of days that have ended. Each channel's day is walked once: the map of days
// says how far it has been looked at. The last minutes are left alone, and an hour of archive time
// is merged when it is over.

import { type RawBuilder, sql } from 'kysely';
import { COMPACTED_SPAN_MS, formatInstant } from '#base/mod.ts';
import { mergeGroup } from './compact-group.ts';
import { planMerges, type SegmentShape } from './compact-plan.ts';
import type { ArchiveDatabase, OpenDatabase } from './connect.ts';
import { emptyDefault } from './empty-default.ts';
import { partitionName } from './partitions.ts';
import { rewritePartition } from './rewrite-partition.ts';
import { explained, rowsOf } from './read-sql.ts';

/** What a pass is to do, and how gently. */
export interface CompactionOptions {
  /** Only this channel, and then no day is moved or rewritten. */
  readonly channel?: string | undefined;
  /** Only finds out what there is to do. */
  readonly isDryRun?: boolean;
  /** Waited for before each piece of work; ends the pass when it gives false. */
  readonly mayGoOn?: () => Promise<boolean>;
}

/** What a pass did to one channel, or would do. */
export interface ChannelCompaction {
  readonly channel: string;
  /** Segments that were merged, and those that came of them. */
  readonly mergedSegments: number;
  readonly madeSegments: number;
}

/** A day that a pass rewrote, or would. */
export interface DayCompaction {
  /** Midnight UTC. */
  readonly startMs: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/** What a pass did. */
export interface CompactionResult {
  readonly channels: readonly ChannelCompaction[];
  readonly days: readonly DayCompaction[];
  /** Days, as their midnights UTC, that were moved out of the DEFAULT partition. */
  readonly movedDaysMs: readonly number[];
  /** Whether something was left for the next time because it was in use. */
  readonly wasBusy: boolean;
}

/** The last five minutes are left alone: something may be on its way still, and clocks differ. */
const SETTLED_MS = 300_000;
/** Rows of `segments` that are looked at in one step. */
const STEP_SEGMENTS = 4_096;
/** A late append into a day that has ended is rare, and rarer after an hour. */
const DAY_ENDED_MS = 3_600_000;
/** A day with fewer rows deleted is as small as it will get. */
const DELETED_SEGMENTS_MIN = 256;
const DAY_MS = 86_400_000;

/**
 * One pass over all channels, or one. Errors: BACKCAST_DATABASE_UNREACHABLE,
 * BACKCAST_SCHEMA_MISSING, BACKCAST_DATABASE_REFUSED.
 */
export async function compact(
  opened: OpenDatabase,
  options: CompactionOptions = {},
): Promise<CompactionResult> {
  const pass = new Pass(opened, options);
  await explained(pass.run());
  return pass;
}

/** A channel's day with segments that were not looked at. */
interface DueDay {
  readonly channelId: number;
  readonly channel: string;
  readonly startUs: number;
  /** What was archived before it is looked at now. */
  readonly endUs: number;
  readonly compactedThrough: number;
}

class Pass implements CompactionResult {
  readonly channels: (ChannelCompaction & { mergedSegments: number; madeSegments: number })[] = [];
  readonly days: DayCompaction[] = [];
  movedDaysMs: readonly number[] = [];
  wasBusy = false;
  readonly #opened: OpenDatabase;
  readonly #options: CompactionOptions;

  constructor(opened: OpenDatabase, options: CompactionOptions) {
    this.#opened = opened;
    this.#options = options;
  }

  async run(): Promise<void> {
    const { channel, isDryRun = false } = this.#options;
    if (channel === undefined && !isDryRun && (await this.#mayGoOn())) await this.#emptyDefault();
    for (const day of await findDueDays(this.#opened.database, channel)) {
      if (!(await this.#mayGoOn())) return;
      await this.#compactDay(day);
    }
    if (channel !== undefined) return;
    for (const startMs of await findSpaciousDays(this.#opened.database)) {
      if (!(await this.#mayGoOn())) return;
      await this.#rewriteDay(startMs);
    }
  }

  async #mayGoOn(): Promise<boolean> {
    return (await this.#options.mayGoOn?.()) ?? true;
  }

  async #emptyDefault(): Promise<void> {
    const result = await emptyDefault(this.#opened.database, Date.now());
    if (result.outcome === 'busy') this.wasBusy = true;
    if (result.outcome === 'emptied') this.movedDaysMs = result.startsMs;
  }

  async #compactDay(day: DueDay): Promise<void> {
    const { database, pool } = this.#opened;
    const tally = this.#tallyOf(day.channel);
    let through = day.compactedThrough;
    for (;;) {
      const shapes = await readShapes(database, day, through);
      const settled = settledOf(shapes, day.endUs);
      const isStep = settled.length === STEP_SEGMENTS;
      const looked = isStep ? wholeHours(settled) : settled;
      for (const parts of planMerges(looked)) {
        if (this.#options.isDryRun !== true) {
          if (!(await this.#mayGoOn())) return;
          const outcome = await mergeGroup(pool, { channelId: day.channelId, parts });
          if (outcome === 'busy') this.wasBusy = true;
          if (outcome === 'busy') return;
          if (outcome === 'changed') continue;
        }
        tally.mergedSegments += parts.length;
        tally.madeSegments += 1;
      }
      through = looked.at(-1)?.firstPosition ?? through;
      if (looked.length > 0 && this.#options.isDryRun !== true) {
        await noteCompacted(database, day, through);
      }
      if (!isStep) return;
    }
  }

  #tallyOf(channel: string): Pass['channels'][number] {
    const last = this.channels.at(-1);
    if (last?.channel === channel) return last;
    const tally = { channel, mergedSegments: 0, madeSegments: 0 };
    this.channels.push(tally);
    return tally;
  }

  async #rewriteDay(startMs: number): Promise<void> {
    const { database } = this.#opened;
    if (this.#options.isDryRun === true) {
      const bytes = await bytesOf(database, startMs);
      this.days.push({ startMs, bytesBefore: bytes, bytesAfter: bytes });
      return;
    }
    const result = await rewritePartition(database, startMs);
    if (result.outcome === 'busy') this.wasBusy = true;
    if (result.outcome !== 'rewritten') return;
    const { bytesBefore, bytesAfter } = result;
    this.days.push({ startMs, bytesBefore, bytesAfter });
  }
}

/** By channel and day, so that what is oldest of a channel comes first. */
function findDueDays(database: ArchiveDatabase, channel: string | undefined): Promise<DueDay[]> {
  const hour = sql.raw(`interval '${COMPACTED_SPAN_MS} milliseconds'`);
  const settled = sql.raw(`now() - interval '${SETTLED_MS} milliseconds'`);
  const ended = sql`date_bin(${hour}, ${settled}, partition_start)`;
  const only: RawBuilder<unknown> = channel === undefined ? sql`true` : sql`name = ${channel}`;
  return rowsOf(
    sql<DueDay>`
    SELECT channel_id AS "channelId", name AS channel, partition_start AS "startUs",
           least(partition_start + interval '24 hours', ${ended}) AS "endUs",
           compacted_through AS "compactedThrough"
    FROM partition_bounds JOIN channels USING (channel_id)
    WHERE compacted_through < last_position AND ${ended} > partition_start AND ${only}
    ORDER BY name COLLATE "C", partition_start`.execute(database),
  );
}

function readShapes(
  database: ArchiveDatabase,
  { channelId, startUs }: DueDay,
  after: number,
): Promise<SegmentShape[]> {
  return rowsOf(
    sql<SegmentShape>`
    SELECT first_position AS "firstPosition", message_count AS "messageCount",
           payload_bytes AS "payloadBytes", archived_at AS "archivedAtUs"
    FROM segments
    WHERE channel_id = ${channelId} AND first_position > ${after}
      AND archived_at >= ${formatInstant(startUs)}::timestamptz
      AND archived_at < ${formatInstant(startUs + DAY_MS * 1000)}::timestamptz
    ORDER BY first_position LIMIT ${STEP_SEGMENTS}`.execute(database),
  );
}

/** Those before the first that is not to be looked at yet. */
function settledOf(shapes: readonly SegmentShape[], endUs: number): readonly SegmentShape[] {
  const end = shapes.findIndex(({ archivedAtUs }) => archivedAtUs >= endUs);
  return end === -1 ? shapes : shapes.slice(0, end);
}

/** Without the last hour, of which more may follow, unless it is all there is. */
function wholeHours(shapes: readonly SegmentShape[]): readonly SegmentShape[] {
  const lastHour = hourOf(shapes[shapes.length - 1]);
  const end = shapes.findLastIndex((shape) => hourOf(shape) !== lastHour);
  return end === -1 ? shapes : shapes.slice(0, end + 1);
}

function hourOf({ archivedAtUs }: SegmentShape): number {
  return Math.floor(archivedAtUs / 1000 / COMPACTED_SPAN_MS);
}

async function noteCompacted(
  database: ArchiveDatabase,
  { channelId, startUs }: DueDay,
  through: number,
): Promise<void> {
  await sql`
    UPDATE partition_bounds SET compacted_through = ${through}
    WHERE channel_id = ${channelId} AND partition_start = ${formatInstant(startUs)}::timestamptz
      AND compacted_through < ${through}`.execute(database);
}

/** The days that have ended and of whose rows more were deleted than are left, oldest first. */
async function findSpaciousDays(database: ArchiveDatabase): Promise<number[]> {
  const rows = await rowsOf(
    sql<{ startUs: number; name: string }>`
    SELECT DISTINCT partition_start AS "startUs"
    FROM partition_bounds
    WHERE partition_start + interval '24 hours'
          < now() - ${sql.raw(`interval '${DAY_ENDED_MS} milliseconds'`)}
    ORDER BY 1`.execute(database),
  );
  const tables = await rowsOf(
    sql<{ name: string }>`
    SELECT relname AS name FROM pg_stat_user_tables
    WHERE n_tup_del >= n_live_tup AND n_tup_del >= ${DELETED_SEGMENTS_MIN}`.execute(database),
  );
  const spacious = new Set(tables.map(({ name }) => name));
  return rows
    .map(({ startUs }) => startUs / 1000)
    .filter((startMs) => spacious.has(partitionName('segments', startMs)));
}

async function bytesOf(database: ArchiveDatabase, startMs: number): Promise<number> {
  const rows = await rowsOf(
    sql<{ bytes: number }>`
    SELECT pg_total_relation_size(${partitionName('segments', startMs)}::text::regclass)
           + pg_total_relation_size(${partitionName('segment_sessions', startMs)}::text::regclass)
             AS bytes`.execute(database),
  );
  return rows[0].bytes;
}
