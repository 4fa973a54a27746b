import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { BackcastError } from '#base/mod.ts';
import { Appender, connectDedicated, migrateToLatest, openDatabase } from '#archive/mod.ts';
import { batchOf, openTestDatabase } from '#test/support/archive.ts';
import { startCuttingProxy } from '#test/support/cutting-proxy.ts';
import { startDatabaseGate } from '#test/support/gate.ts';
import { createEmptyDatabase, createTestDatabase, execute } from '#test/support/postgres.ts';
import { until } from '#test/support/until.ts';

const SECRET = 'sesame-open';

function changed(url: string, change: (parsed: URL) => void): string {
  const parsed = new URL(url);
  change(parsed);
  return parsed.href;
}

async function errorOf(work: Promise<unknown>): Promise<BackcastError> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof BackcastError, 'a BackcastError is thrown');
  return error;
}

async function query(url: string): Promise<void> {
  await using opened = openTestDatabase(url);
  await sql`SELECT 1`.execute(opened.database);
}

const WRONG: Record<string, (url: URL) => void> = {
  'a wrong password': (url) => (url.password = SECRET),
  'an unknown database': (url) => ((url.password ||= SECRET), (url.pathname = '/no_such_database')),
  'an unknown user': (url) => ((url.username = 'nobody_here'), (url.password = SECRET)),
  'a port where nothing listens': (url) => (url.port = '1'),
  'a host that does not exist': (url) => (url.hostname = 'no-such-host.invalid'),
};

for (const [what, change] of Object.entries(WRONG)) {
  test(`${what} is one error that says where, and never the password`, async () => {
    await using cloned = await createTestDatabase();
    const url = changed(cloned.url, change);
    const password = new URL(url).password;
    const appender = new Appender({ url, applicationName: 'test', holder: 'test' });
    const batch = batchOf({ channelId: 1, epoch: 1, expectedHead: 0 });
    const attempts = [
      () => query(url),
      () => connectDedicated({ url, applicationName: 'test', statementTimeoutMs: 0 }),
      () => migrateToLatest({ url }),
      () => appender.append(batch),
    ];
    for (const attempt of attempts) {
      const error = await errorOf(attempt());
      assert.equal(error.code, 'BACKCAST_DATABASE_UNREACHABLE');
      assert.ok(error.isRetryable);
      assert.ok(error.message.includes(`:${new URL(url).port}`), error.message);
      assert.ok(password === '' || !error.message.includes(password), error.message);
    }
  });
}

test('a text that is no PostgreSQL URL is refused without being repeated', () => {
  for (const url of ['', 'localhost', `mysql://u:${SECRET}@h/d`, `postgres//u:${SECRET}@h`]) {
    assert.throws(
      () => openTestDatabase(url),
      (error) =>
        error instanceof BackcastError &&
        error.code === 'BACKCAST_CONFIG_INVALID' &&
        !error.message.includes(SECRET),
    );
  }
});

test('a bigint arrives as a number, and as an error where it would lose digits', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  const exact = await sql<{ n: number }>`SELECT 9007199254740991::bigint AS n`.execute(
    opened.database,
  );
  assert.deepEqual(exact.rows, [{ n: Number.MAX_SAFE_INTEGER }]);
  const wide = sql`SELECT 9007199254740992::bigint AS n`.execute(opened.database);
  await assert.rejects(wide, { name: 'AssertionError' });
});

test('an instant arrives as microseconds, in whatever zone the server shows it', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openDatabase({
    url: cloned.url,
    poolConnectionsMax: 1,
    applicationName: 'test',
    statementTimeoutMs: 5_000,
  });
  for (const zone of ['UTC', 'Asia/Kathmandu', 'America/New_York']) {
    await sql.raw(`SET TimeZone = '${zone}'`).execute(opened.database);
    const { rows } = await sql<{ at: number }>`
      SELECT '2026-11-22T14:05:00.000001Z'::timestamptz AS at`.execute(opened.database);
    assert.deepEqual(rows, [{ at: 1_795_356_300_000_001 }], zone);
  }
});

test('a statement that runs too long is ended by the server', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openDatabase({
    url: cloned.url,
    poolConnectionsMax: 1,
    applicationName: 'test',
    statementTimeoutMs: 50,
  });
  await assert.rejects(sql`SELECT pg_sleep(20)`.execute(opened.database), { code: '57014' });
});

test('a server that says nothing more is noticed, and its connection is cut', async () => {
  await using cloned = await createTestDatabase();
  for (let at = 1; at <= 5; at += 1) {
    await using proxy = await startCuttingProxy(cloned.url, { harm: 'stall', at });
    await using opened = openDatabase({
      url: proxy.url,
      poolConnectionsMax: 1,
      applicationName: 'silenced',
      statementTimeoutMs: 0,
      silenceMsMax: 300,
    });
    const ask = (): Promise<boolean> =>
      sql`SELECT 1`.execute(opened.database).then(
        () => true,
        () => false,
      );
    const startedMs = performance.now();
    const answers = [await ask(), await ask(), await ask()];
    assert.equal(answers.filter((isAnswered) => !isAnswered).length, 1, `message ${at}`);
    assert.ok(performance.now() - startedMs < 5_000, `message ${at}`);
  }
  const left = `SELECT 1 FROM pg_stat_activity WHERE application_name = 'silenced'`;
  await until('none is left', async () => (await execute(cloned.url, left)).length === 0);
});

test('an append to a database without schema says that it must be migrated', async () => {
  await using empty = await createEmptyDatabase();
  await using appender = new Appender({ url: empty.url, applicationName: 'test', holder: 'test' });
  const batch = batchOf({ channelId: 1, epoch: 1, expectedHead: 0 });
  const error = await errorOf(appender.append(batch));
  assert.equal(error.code, 'BACKCAST_SCHEMA_MISSING');
  assert.match(error.message, /backcast migrate/);
});

test('a connection that breaks under a statement fails that and nothing else', async () => {
  await using created = await createTestDatabase();
  await using gate = await startDatabaseGate(created.url);
  await using opened = openTestDatabase(gate.url);
  const waiting = sql`SELECT pg_sleep(60)`.execute(opened.database);
  const isWaiting = async (): Promise<boolean> => {
    const rows = await execute(
      created.url,
      `SELECT 1 FROM pg_stat_activity
       WHERE datname = current_database() AND query LIKE '%pg_sleep(60)' AND state = 'active'`,
    );
    return rows.length > 0;
  };
  await until('the statement runs', isWaiting);
  const failed = assert.rejects(waiting);
  gate.shut();
  await failed;
  gate.open();
  await sql`SELECT 1`.execute(opened.database);
});
