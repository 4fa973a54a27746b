// Makes batches durable: one batch, one transaction, on one connection of its own.
//
//   BEGIN
//   COPY                the segments, archived_at = the transaction's time
//   fence               UPDATE leases … WHERE epoch = mine AND head = expected: one row, or stop
//   index and state     segment_sessions, partition_bounds, sessions, losses, conflicts, heals
//   COMMIT              acknowledged: archived
//
// The fence is the serialisation (the row is locked until COMMIT), the idempotence (a batch that is
// in already finds another head) and the exclusion of an archiver that lost its lease. It comes
// after the COPY because no time limit of the server ends a COPY that waits for its client: of one
// that froze in it, the row must be free. Between statements the server's limits hold. A connection
// on which anything went wrong is cut, never repaired. When the answer to COMMIT is lost, the head
// says on a new connection whether it happened.

import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { from as copyFrom } from 'pg-copy-streams';
import type { Client, QueryResult } from 'pg';
import { assert, AssertionError, BackcastError, SEGMENT_MESSAGES_MAX } from '#base/mod.ts';
import { healLosses } from './append-heals.ts';
import { batchStatements, beginStatements, fence } from './append-statements.ts';
import type { TransactionLimits } from './append-statements.ts';
import { connectDedicated } from './connect.ts';
import type { DedicatedConnection } from './connect.ts';
import { copySegmentRows, copySegmentsStatement } from './copy-binary.ts';
import { toDatabaseError } from './sqlstate.ts';
import type { AppendResult, ArchiveBatch } from './types.ts';

/** Where to write, and for how long to try. */
export interface AppenderOptions {
  /** postgres://user:password@host:port/database */
  readonly url: string;
  readonly applicationName: string;
  /** Who holds the leases: the name of this archiver. */
  readonly holder: string;
  /** After this long an append fails, whatever the connection does. */
  readonly deadlineMs?: number;
  /** What the server allows a transaction, where it differs from LIMITS. */
  readonly limits?: Partial<TransactionLimits>;
}

/**
 * Longer than the server's own limits below, so that the server's answer comes first when there is
 * one.
 */
const DEADLINE_MS_DEFAULT = 30_000;
/**
 * A statement has as long as a slow disk may take. A lock is held by a dying transaction or for
 * milliseconds. Between two statements we need no time: who does is frozen, and holds the row of
 * the lease.
 */
const LIMITS: TransactionLimits = { statementMs: 20_000, lockMs: 2_000, idleMs: 5_000 };

/** Writes the batches of any channels, one after the other. Not for concurrent calls. */
export class Appender implements AsyncDisposable {
  readonly #options: AppenderOptions;
  #connection: DedicatedConnection | undefined;
  #isBusy = false;

  constructor(options: AppenderOptions) {
    this.#options = options;
  }

  /**
   * Commits `batch` as a whole or not at all. Throws BACKCAST_DATABASE_UNREACHABLE when it is not
   * known to be committed and may succeed later: repeat it verbatim, it is never written twice.
   * Throws BACKCAST_SCHEMA_MISSING or BACKCAST_DATABASE_REFUSED when repeating is of no use.
   * Settles within the deadline.
   */
  async append(batch: ArchiveBatch): Promise<AppendResult> {
    assert(!this.#isBusy, 'an appender writes one batch at a time');
    assertBatch(batch);
    this.#isBusy = true;
    try {
      return await this.#beforeDeadline((late) => this.#attempt(batch, late));
    } catch (error) {
      this.#cut();
      if (error instanceof AssertionError) throw error;
      throw toDatabaseError(error, `archiving a batch of channel ${batch.channelId}`);
    } finally {
      this.#isBusy = false;
    }
  }

  /** Ends the connection. */
  async close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.end().catch(() => undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #attempt(batch: ArchiveBatch, late: AbortSignal): Promise<AppendResult> {
    const { holder, limits } = this.#options;
    const client = await this.#connect(late);
    const newHead = headAfter(batch);
    const archivedAtUs = await begin(client, { ...LIMITS, ...limits });
    if (batch.segments.length > 0) await copySegments(client, batch, archivedAtUs);
    if (!(await takeFence(client, batch, { holder, newHead }))) {
      await client.query('ROLLBACK');
      return findOutcome(client, batch, holder);
    }
    for (const { text, values } of batchStatements(batch, holder, archivedAtUs)) {
      await client.query(text, [...values]);
    }
    await healLosses(client, batch, archivedAtUs);
    try {
      await commit(client);
    } catch {
      this.#cut();
      return findOutcome(await this.#connect(late), batch, holder);
    }
    return { outcome: 'committed', head: newHead, archivedAtUs };
  }

  /** An attempt that is late must not leave a connection behind it. */
  async #connect(late: AbortSignal): Promise<Client> {
    late.throwIfAborted();
    if (this.#connection !== undefined) return this.#connection.client;
    const connection = await connectDedicated(
      {
        url: this.#options.url,
        applicationName: this.#options.applicationName,
        statementTimeoutMs: LIMITS.statementMs,
      },
      late,
    );
    this.#connection = connection;
    return connection.client;
  }

  #cut(): void {
    this.#connection?.destroy();
    this.#connection = undefined;
  }

  async #beforeDeadline<Value>(work: (late: AbortSignal) => Promise<Value>): Promise<Value> {
    const deadlineMs = this.#options.deadlineMs ?? DEADLINE_MS_DEFAULT;
    const late = new AbortController();
    const message = `no answer from the database within ${deadlineMs} ms.`;
    const error = new BackcastError('BACKCAST_DATABASE_UNREACHABLE', message);
    const overdue = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      late.abort(error);
      overdue.reject(error);
    }, deadlineMs);
    const working = work(late.signal);
    // When the deadline wins, the work fails later on the connection that is cut then.
    working.catch(() => undefined);
    try {
      return await Promise.race([working, overdue.promise]);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The head of the channel once `batch` is committed. */
export function headAfter(batch: ArchiveBatch): number {
  const messages = batch.segments.reduce((sum, segment) => sum + segment.messageCount, 0);
  return batch.expectedHead + messages;
}

function assertBatch(batch: ArchiveBatch): void {
  let positionNext = batch.expectedHead + 1;
  for (const segment of batch.segments) {
    assert(segment.firstPosition === positionNext, 'the segments of a batch are consecutive');
    positionNext += segment.messageCount;
  }
  const isEmpty = batch.heals.length > 0 && batch.segments.length === 0;
  assert(!isEmpty, 'what a batch heals, it stores');
}

/** Opens the transaction and gives its time. */
async function begin(client: Client, limits: TransactionLimits): Promise<number> {
  // Several statements in one text give an array of results, which the types do not say.
  const results = (await client.query(beginStatements(limits))) as unknown;
  assert(Array.isArray(results), 'several statements give several results');
  const time = results[results.length - 1] as QueryResult<{ archived_at: number }>;
  return time.rows[0].archived_at;
}

/** Whether the batch may be written: the lease is still ours and the head is where we left it. */
async function takeFence(
  client: Client,
  batch: ArchiveBatch,
  options: { readonly holder: string; readonly newHead: number },
): Promise<boolean> {
  const { text, values } = fence(batch, options);
  const { rowCount } = await client.query(text, [...values]);
  return rowCount === 1;
}

/** A server may answer COMMIT with ROLLBACK, and no error. */
async function commit(client: Client): Promise<void> {
  const { command } = await client.query('COMMIT');
  if (command !== 'COMMIT') throw new Error(`COMMIT was answered with ${command}`);
}

/**
 * The pieces lie in the segments already and are not copied; no more of them is handed to the
 * socket than it takes.
 */
async function copySegments(
  client: Client,
  batch: ArchiveBatch,
  archivedAtUs: number,
): Promise<void> {
  const stream = client.query(copyFrom(copySegmentsStatement(batch.segments)));
  const done = finished(stream);
  done.catch(() => undefined);
  for (const piece of copySegmentRows(batch.channelId, archivedAtUs, batch.segments)) {
    if (!stream.write(piece)) await Promise.race([once(stream, 'drain'), done]);
  }
  stream.end();
  await done;
}

/** What became of a batch whose fence missed or whose COMMIT went unanswered. */
async function findOutcome(
  client: Client,
  batch: ArchiveBatch,
  holder: string,
): Promise<AppendResult> {
  const found = await client.query<LeaseRow>(
    'SELECT epoch, head, commits, holder FROM leases WHERE channel_id = $1',
    [batch.channelId],
  );
  const lease = found.rows[0] ?? { epoch: 0, head: 0, commits: 0, holder };
  const outcome = outcomeOf(batch, holder, lease);
  if (outcome === 'unknown') {
    const message = `a batch of channel ${batch.channelId} is not known to be committed yet.`;
    throw new BackcastError('BACKCAST_DATABASE_UNREACHABLE', message);
  }
  const { epoch, head } = lease;
  if (outcome === 'fenced') return { outcome };
  if (outcome === 'rolled_back') return { outcome, head, epoch };
  return { outcome, head, archivedAtUs: await findArchivedAt(client, batch) };
}

interface LeaseRow {
  readonly epoch: number;
  readonly head: number;
  readonly commits: number;
  readonly holder: string | null;
}

/**
 * Epochs, heads and the number of batches only grow. So a lease that is ours and older than the
 * batch, or whose head is, is that of a server which lacks what it had committed.
 */
function outcomeOf(
  batch: ArchiveBatch,
  holder: string,
  lease: LeaseRow,
): AppendResult['outcome'] | 'unknown' {
  if (lease.holder !== holder || lease.epoch > batch.epoch) return 'fenced';
  if (lease.epoch < batch.epoch || lease.head < batch.expectedHead) return 'rolled_back';
  const { expectedCommits = lease.commits - Number(lease.head > batch.expectedHead) } = batch;
  if (lease.commits < expectedCommits) return 'rolled_back';
  if (lease.commits === expectedCommits) return 'unknown';
  return lease.head === headAfter(batch) ? 'committed' : 'fenced';
}

async function findArchivedAt(client: Client, batch: ArchiveBatch): Promise<number> {
  const found = await client.query<{ archived_at: number }>(
    `SELECT coalesce(run_archived_at[array_length(run_archived_at, 1)], archived_at) AS archived_at
     FROM segments
     WHERE channel_id = $1 AND first_position <= $2 AND first_position > $2 - $3
       AND archived_at >=
           (SELECT min(partition_start) FROM partition_bounds
            WHERE channel_id = $1 AND $2 BETWEEN first_position AND last_position)
     ORDER BY first_position DESC LIMIT 1`,
    [batch.channelId, headAfter(batch), SEGMENT_MESSAGES_MAX],
  );
  const [row] = found.rows;
  assert(row !== undefined, 'the segments up to the head are stored');
  return row.archived_at;
}
