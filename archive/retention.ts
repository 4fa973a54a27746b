// Retention as a whole: plans what is due from what the database knows now, and carries the plan
// out, oldest first. The plan may be old by the time a step comes to its day; each step finds out
// for itself whether the day is there still and no hold is on it.

import { sql } from 'kysely';
import type { ArchiveDatabase } from './connect.ts';
import { loadHolds } from './holds.ts';
import { partitionDays } from './partitions.ts';
import { explained, rowsOf } from './read-sql.ts';
import {
  type ChannelDay,
  type DueDay,
  planRetention,
  type RetentionPlan,
  type RetentionPolicy,
} from './retention-plan.ts';
import { deletePart, dropDay, type StepOutcome } from './retention-steps.ts';

/** Which channels, and what holds for each. */
export interface RetentionOptions {
  readonly policyOf: (channel: string) => RetentionPolicy;
  /** Only this channel. */
  readonly channel?: string | undefined;
}

/** How to carry a plan out. */
export interface RetentionRun {
  /** Called after each transaction that deleted something. */
  readonly onProgress?: (progress: RetentionProgress) => void;
  /** Ends the run after the transaction that is on its way. */
  readonly signal?: AbortSignal;
}

/** What a transaction deleted, of one channel or of all that had something in the day. */
export interface RetentionProgress {
  readonly startUs: number;
  readonly channel: string | undefined;
  readonly messages: number;
  readonly bytes: number;
}

/** What a run did. */
export interface RetentionResult {
  readonly messages: number;
  readonly bytes: number;
  /** Days that were dropped as a whole; empty ones do not count. */
  readonly droppedDays: number;
  /** Parts of days that are due and stay: for a hold, or because the tables were in use. */
  readonly heldDays: number;
  readonly busyDays: number;
  /** Whether another process was deleting, so that this run ended early. */
  readonly isElsewhere: boolean;
}

/** What is due now. BACKCAST_DATABASE_UNREACHABLE, BACKCAST_SCHEMA_MISSING. */
export async function loadRetentionPlan(
  db: ArchiveDatabase,
  { policyOf, channel }: RetentionOptions,
): Promise<RetentionPlan> {
  const [{ nowUs }] = await rowsOf(sql<{ nowUs: number }>`SELECT now() AS "nowUs"`.execute(db));
  const days = await loadChannelDays(db);
  const holds = await loadHolds(db);
  const partitionsUs = await explained(partitionDays(db));
  const plan = planRetention({ nowUs, days, partitionsUs, holds, policyOf });
  if (channel === undefined) return plan;
  const others = new Set(
    days.filter((day) => day.channel !== channel).map(({ startUs }) => startUs),
  );
  return {
    days: plan.days.filter((day) => day.channel === channel),
    wholeDaysUs: plan.wholeDaysUs.filter((startUs) => !others.has(startUs)),
    emptyDaysUs: [],
  };
}

/** What each channel has of each day: one row each, whatever they hold. */
export function loadChannelDays(db: ArchiveDatabase): Promise<ChannelDay[]> {
  return rowsOf(
    db
      .selectFrom('partition_bounds')
      .innerJoin('channels', 'channels.channel_id', 'partition_bounds.channel_id')
      .select([
        'partition_bounds.channel_id as channelId',
        'channels.name as channel',
        'partition_start as startUs',
        'first_position as firstPosition',
        'last_position as lastPosition',
        'message_count as messageCount',
        'payload_bytes as payloadBytes',
        'min_published_at as minPublishedAtUs',
        'max_published_at as maxPublishedAtUs',
      ])
      .execute(),
  );
}

/**
 * Deletes what `plan` says. Safe beside appends, readers and other runs, and to be called again
 * after it failed: what was deleted is noted, what was not stays. Errors as loadRetentionPlan.
 */
export async function runRetention(
  db: ArchiveDatabase,
  plan: RetentionPlan,
  run: RetentionRun = {},
): Promise<RetentionResult> {
  const carrying = new Carrying(db, run);
  const whole = new Set(plan.wholeDaysUs);
  for (const [startUs, days] of Map.groupBy(plan.days, (day) => day.startUs)) {
    if (whole.has(startUs) && (await explained(carrying.drop(startUs, days)))) continue;
    for (const day of days) await explained(carrying.delete(day));
  }
  for (const startUs of plan.emptyDaysUs) await explained(carrying.dropEmpty(startUs));
  return carrying.result;
}

class Carrying {
  readonly #db: ArchiveDatabase;
  readonly #run: RetentionRun;
  #result: RetentionResult = {
    messages: 0,
    bytes: 0,
    droppedDays: 0,
    heldDays: 0,
    busyDays: 0,
    isElsewhere: false,
  };

  constructor(db: ArchiveDatabase, run: RetentionRun) {
    this.#db = db;
    this.#run = run;
  }

  get result(): RetentionResult {
    return this.#result;
  }

  get hasToEnd(): boolean {
    return this.#result.isElsewhere || this.#run.signal?.aborted === true;
  }

  /** Whether nothing is left to do for the day. */
  async drop(startUs: number, days: readonly DueDay[]): Promise<boolean> {
    if (this.hasToEnd) return true;
    const outcome = await dropDay(this.#db, startUs, days);
    this.#account(outcome, startUs, undefined);
    if (outcome.kind === 'deleted') this.#add({ droppedDays: 1 });
    return ['deleted', 'busy', 'elsewhere'].includes(outcome.kind);
  }

  /** If it is in use, or not empty after all, the next run sees it again. */
  async dropEmpty(startUs: number): Promise<void> {
    if (!this.hasToEnd) await dropDay(this.#db, startUs, []);
  }

  async delete(day: DueDay): Promise<void> {
    if (day.heldBy.length > 0) this.#add({ heldDays: 1 });
    else
      while (!this.hasToEnd) {
        const outcome = await deletePart(this.#db, day);
        this.#account(outcome, day.startUs, day.channel);
        if (outcome.kind === 'held') this.#add({ heldDays: 1 });
        if (outcome.kind !== 'deleted' || outcome.isDone) return;
      }
  }

  #account(outcome: StepOutcome, startUs: number, channel: string | undefined): void {
    if (outcome.kind === 'busy') this.#add({ busyDays: 1 });
    if (outcome.kind === 'elsewhere') this.#result = { ...this.#result, isElsewhere: true };
    if (outcome.kind !== 'deleted') return;
    const { messages, bytes } = outcome;
    this.#add({ messages, bytes });
    this.#run.onProgress?.({ startUs, channel, messages, bytes });
  }

  #add(amounts: Partial<Omit<RetentionResult, 'isElsewhere'>>): void {
    const sums = Object.entries(amounts).map(([name, amount]) => {
      return [name, this.#result[name as keyof typeof amounts] + amount] as const;
    });
    this.#result = { ...this.#result, ...Object.fromEntries(sums) };
  }
}
