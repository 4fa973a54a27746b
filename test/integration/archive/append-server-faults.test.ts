// What a server may answer to an append that it does not take: locks, deadlocks, limits of time,
// revoked rights, changed tables, too many connections, a standby that was not promoted. Each time
// the caller is told whether to try again, nothing is left on the server, and when the cause is
// gone, the same batch goes in once.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from 'pg';
import {
  acquireLease,
  Appender,
  type AppenderOptions,
  type AppendResult,
  type ArchiveBatch,
  audit,
  type OpenDatabase,
} from '#archive/mod.ts';
import { BackcastError, type ErrorCode } from '#base/mod.ts';
import {
  batchOf,
  makeChannel,
  messagesOf,
  openTestDatabase,
  SESSION_A,
} from '#test/support/archive.ts';
import { startCuttingProxy } from '#test/support/cutting-proxy.ts';
import { createTestDatabase, execute } from '#test/support/postgres.ts';
import { until } from '#test/support/until.ts';

const NAME = 'faulted appender';

interface Stage extends AsyncDisposable {
  readonly url: string;
  readonly opened: OpenDatabase;
  /** Ten messages for an empty channel. */
  readonly batch: ArchiveBatch;
  appender(options?: Partial<AppenderOptions>): Appender;
  /** The batch is stored once, all is accounted for, and no connection of an appender is left. */
  settled(): Promise<void>;
}

async function setStage(): Promise<Stage> {
  const resources = new AsyncDisposableStack();
  const { url } = resources.use(await createTestDatabase());
  const opened = resources.use(openTestDatabase(url));
  const place = await makeChannel(opened, 'orders');
  const appenders: Appender[] = [];
  return {
    url,
    opened,
    batch: batchOf({ ...place, expectedHead: 0 }, messagesOf(SESSION_A, 1, 10)),
    appender: (options = {}) => {
      const made = new Appender({ url, applicationName: NAME, holder: 'test', ...options });
      appenders.push(made);
      return made;
    },
    settled: async () => {
      for (const appender of appenders) await appender.close();
      await until('no connection is left', async () => (await backends(url)).length === 0);
      const [orders] = await audit(opened.database);
      assert.deepEqual([orders.storedCount, orders.lostCount, orders.problems], [10, 0, []]);
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

async function backends(url: string): Promise<Record<string, unknown>[]> {
  return execute(
    url,
    `SELECT pid, state FROM pg_stat_activity
     WHERE datname = current_database() AND application_name = '${NAME}'`,
  );
}

async function refusal(work: Promise<unknown>, code: ErrorCode, state: string): Promise<void> {
  await assert.rejects(work, (error: unknown) => {
    assert.ok(error instanceof BackcastError);
    assert.deepEqual([error.code, error.message.includes(state)], [code, true], error.message);
    return true;
  });
}

/** Holds what `statements` lock, until disposed. */
async function lock(url: string, ...statements: readonly string[]): Promise<AsyncDisposable> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  for (const statement of ['BEGIN', ...statements]) await client.query(statement);
  return { [Symbol.asyncDispose]: () => client.end() };
}

async function appendUntilCommitted(appender: Appender, batch: ArchiveBatch): Promise<void> {
  const result = await until<AppendResult>('it is committed', () =>
    appender.append(batch).catch((error: unknown) => {
      assert.ok(error instanceof BackcastError && error.isRetryable, String(error));
      return undefined;
    }),
  );
  assert.equal(result.outcome, 'committed');
}

test('a lock on the lease that stands is an error to try again', async () => {
  await using stage = await setStage();
  const appender = stage.appender();
  const locked = await lock(stage.url, 'SELECT 1 FROM leases FOR UPDATE');
  await refusal(appender.append(stage.batch), 'BACKCAST_DATABASE_UNREACHABLE', '55P03');
  await locked[Symbol.asyncDispose]();
  await appendUntilCommitted(appender, stage.batch);
  await stage.settled();
});

test('a deadlock ends, and the batch goes in', async () => {
  await using stage = await setStage();
  const appender = stage.appender({ limits: { lockMs: 8_000 } });
  await execute(
    stage.url,
    `INSERT INTO sessions SELECT ${BigInt(`0x${SESSION_A}`)}, 1, 0, 0, 0, now(), now(), NULL,
       channel_id, false, 'open', 'tsi', NULL FROM channels`,
  );
  const other = new Client({ connectionString: stage.url });
  await other.connect();
  await other.query('BEGIN');
  await other.query('SELECT 1 FROM sessions FOR UPDATE');
  const appending = appender.append(stage.batch);
  appending.catch(() => undefined);
  await until('the append waits', async () => {
    const waiting = `SELECT 1 FROM pg_stat_activity WHERE application_name = '${NAME}'
      AND wait_event_type = 'Lock' AND datname = current_database()`;
    return (await execute(stage.url, waiting)).length > 0;
  });
  const crossing = other.query('SELECT 1 FROM leases FOR UPDATE');
  const outcomes = await Promise.allSettled([appending, crossing]);
  assert.equal(outcomes.filter(({ status }) => status === 'rejected').length, 1);
  await other.end();
  await appendUntilCommitted(appender, stage.batch);
  await stage.settled();
});

test('a statement that takes too long is ended by the server, and tried again', async () => {
  await using stage = await setStage();
  const appender = stage.appender({ limits: { statementMs: 200, lockMs: 10_000 } });
  const locked = await lock(stage.url, 'SELECT 1 FROM leases FOR UPDATE');
  await refusal(appender.append(stage.batch), 'BACKCAST_DATABASE_UNREACHABLE', '57014');
  await locked[Symbol.asyncDispose]();
  await appendUntilCommitted(appender, stage.batch);
  await stage.settled();
});

test('rights that are revoked refuse, and rights that are given again take', async () => {
  await using stage = await setStage();
  const role = `faulted_${Math.floor(performance.now() * 1_000)}`;
  await execute(
    stage.url,
    `CREATE ROLE ${role} LOGIN PASSWORD 'x'`,
    `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${role}`,
  );
  const url = new URL(stage.url);
  Object.assign(url, { username: role, password: 'x' });
  const appender = stage.appender({ url: url.href });
  for (const [right, table] of [
    ['INSERT', 'segments'],
    ['UPDATE', 'leases'],
    ['INSERT', 'sessions'],
  ]) {
    await execute(stage.url, `REVOKE ${right} ON ${table} FROM ${role}`);
    await refusal(appender.append(stage.batch), 'BACKCAST_DATABASE_REFUSED', '42501');
    await execute(stage.url, `GRANT ${right} ON ${table} TO ${role}`);
  }
  await appendUntilCommitted(appender, stage.batch);
  await stage.settled();
  await execute(stage.url, `DROP OWNED BY ${role}`, `DROP ROLE ${role}`);
});

test('a table or column that is gone is a missing schema, until it is back', async () => {
  await using stage = await setStage();
  const appender = stage.appender();
  for (const [drift, repair] of [
    ['ALTER TABLE segments RENAME TO gone', 'ALTER TABLE gone RENAME TO segments'],
    ['ALTER TABLE sessions RENAME lead TO gone', 'ALTER TABLE sessions RENAME gone TO lead'],
  ]) {
    await execute(stage.url, drift);
    await refusal(appender.append(stage.batch), 'BACKCAST_SCHEMA_MISSING', '42');
    await execute(stage.url, repair);
  }
  await appendUntilCommitted(appender, stage.batch);
  await stage.settled();
});

test('a day without any partition refuses, and takes when there is one', async () => {
  await using stage = await setStage();
  const appender = stage.appender();
  await execute(stage.url, 'ALTER TABLE segments DETACH PARTITION segments_default');
  const gone = await execute(
    stage.url,
    `SELECT format('ALTER TABLE segments DETACH PARTITION %s', inhrelid::regclass) AS statement
     FROM pg_inherits WHERE inhparent = 'segments'::regclass`,
  );
  await execute(stage.url, ...gone.map(({ statement }) => String(statement)));
  await refusal(appender.append(stage.batch), 'BACKCAST_DATABASE_REFUSED', '23514');
  await execute(stage.url, 'ALTER TABLE segments ATTACH PARTITION segments_default DEFAULT');
  await appendUntilCommitted(appender, stage.batch);
  await stage.settled();
});

test('too many connections are an error to try again', async () => {
  await using stage = await setStage();
  const role = `crowded_${Math.floor(performance.now() * 1_000)}`;
  await execute(
    stage.url,
    `CREATE ROLE ${role} LOGIN PASSWORD 'x' CONNECTION LIMIT 1`,
    `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${role}`,
  );
  const url = new URL(stage.url);
  Object.assign(url, { username: role, password: 'x' });
  const crowd = await lock(url.href);
  const appender = stage.appender({ url: url.href });
  await assert.rejects(appender.append(stage.batch), {
    code: 'BACKCAST_DATABASE_UNREACHABLE',
    message: /too many connections/,
  });
  await crowd[Symbol.asyncDispose]();
  await appendUntilCommitted(appender, stage.batch);
  await stage.settled();
  await execute(stage.url, `DROP OWNED BY ${role}`, `DROP ROLE ${role}`);
});

test('a server that only reads is an error to try again', async () => {
  await using stage = await setStage();
  const database = new URL(stage.url).pathname.slice(1);
  await execute(stage.url, `ALTER DATABASE ${database} SET default_transaction_read_only = on`);
  const appender = stage.appender();
  await refusal(appender.append(stage.batch), 'BACKCAST_DATABASE_UNREACHABLE', '25006');
  await execute(
    stage.url,
    'SET default_transaction_read_only = off',
    `ALTER DATABASE ${database} RESET default_transaction_read_only`,
  );
  await appendUntilCommitted(appender, stage.batch);
  await stage.settled();
});

test('a server that hangs at any message costs a connection, and leaves none', async () => {
  await using stage = await setStage();
  for (let at = 1; at <= MESSAGES; at += 1) {
    await using proxy = await startCuttingProxy(stage.url, { harm: 'stall', at });
    const appender = stage.appender({ url: proxy.url, deadlineMs: 300 });
    const first = await appender.append(stage.batch).catch((error: unknown) => error);
    if (first instanceof Error) {
      assert.ok(first instanceof BackcastError && first.isRetryable, `message ${at}: ${first}`);
    }
    const patient = stage.appender();
    await appendUntilCommitted(patient, stage.batch);
    await appender.close();
    await patient.close();
    await until('no connection is left', async () => (await backends(stage.url)).length === 0);
  }
  await stage.settled();
});

/** What an append sends, roughly: startup, password, BEGIN, COPY, statements, COMMIT. */
const MESSAGES = 36;

/** Messages after which an append is in its COPY, and after which it has the fence. */
const IN_THE_COPY = 6;
const BEHIND_THE_FENCE = 12;

test('an archiver that froze in its COPY keeps nobody from taking the channel over', async () => {
  await using stage = await setStage();
  await using proxy = await startCuttingProxy(stage.url, { harm: 'stall', at: IN_THE_COPY });
  const frozen = stage.appender({ url: proxy.url, deadlineMs: 6_000 });
  const stuck = frozen.append(stage.batch);
  stuck.catch(() => undefined);
  await until('it waits in its COPY', async () => {
    const copying = `SELECT 1 FROM pg_stat_activity
      WHERE application_name = '${NAME}' AND query LIKE 'COPY%' AND datname = current_database()`;
    return (await execute(stage.url, copying)).length > 0;
  });
  await execute(stage.url, 'UPDATE leases SET expires_at = now()');
  const startedMs = performance.now();
  const { channelId } = stage.batch;
  const lease = await acquireLease(stage.opened.database, channelId, 'next', 60_000);
  assert.ok(lease.outcome === 'acquired');
  const next = stage.appender({ holder: 'next' });
  const taken = await next.append({ ...stage.batch, epoch: lease.epoch });
  assert.equal(taken.outcome, 'committed');
  assert.ok(performance.now() - startedMs < 4_000, 'nobody waited for the frozen one');
  await assert.rejects(stuck, { code: 'BACKCAST_DATABASE_UNREACHABLE' });
  assert.deepEqual(await frozen.append(stage.batch), { outcome: 'fenced' });
  await stage.settled();
});

test('of an archiver that froze behind the fence, the server frees the lease in time', async () => {
  await using stage = await setStage();
  await using proxy = await startCuttingProxy(stage.url, { harm: 'stall', at: BEHIND_THE_FENCE });
  const limits = { idleMs: 500 };
  const frozen = stage.appender({ url: proxy.url, deadlineMs: 8_000, limits });
  const stuck = frozen.append(stage.batch);
  stuck.catch(() => undefined);
  await until('it is idle in its transaction', async () => {
    return (await backends(stage.url)).some(({ state }) => state === 'idle in transaction');
  });
  await until('the server has ended it', async () => (await backends(stage.url)).length === 0);
  const next = stage.appender();
  await appendUntilCommitted(next, stage.batch);
  await assert.rejects(stuck);
  await stage.settled();
});
