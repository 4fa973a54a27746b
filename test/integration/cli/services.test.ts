// The services when they cannot run, or are told to end before they do: one clear line, the exit
// code, and nothing left behind.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { endOf, type RunningCommand, runBackcast, startBackcast } from '#test/support/cli.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { createEmptyDatabase, createTestDatabase } from '#test/support/postgres.ts';
import { until } from '#test/support/until.ts';

const SERVICES = ['archive', 'serve', 'up'];
const END_MS_MAX = 5_000;

/** Runs each service with `env`, which must end with `exitCode` and one line that fits `line`. */
async function refused(
  env: Readonly<Record<string, string>>,
  services: readonly string[],
  exitCode: number,
  line: RegExp,
): Promise<void> {
  for (const service of services) {
    const args = service === 'archive' ? [service] : [service, '--port', '0'];
    const { end, stdout, stderr } = await runBackcast(args, { env });
    assert.deepEqual([service, end, stdout], [service, exitCode, '']);
    assert.match(stderr, line);
    assert.equal(stderr.split('\n').length, 2, stderr);
  }
}

test('a database that is not there is told by who does not wait, without password', async () => {
  await using folder = await createTestFolder();
  const DATABASE_URL = 'postgres://user:geheim@127.0.0.1:1/x';
  const line = /^backcast: (?!.*geheim).*127\.0\.0\.1:1\/x.*\(BACKCAST_DATABASE_UNREACHABLE\)\n$/;
  await refused({ DATABASE_URL, BACKCAST_HOME: folder.path }, ['serve', 'up'], 1, line);
});

test('a database URL that is none is a fault of the configuration', async () => {
  const line = /^backcast: .*DATABASE_URL.*\(BACKCAST_CONFIG_INVALID\)\n$/;
  await refused({ DATABASE_URL: 'somewhere' }, SERVICES, 2, line);
});

test('a database without our tables is told what to run; up makes them itself', async () => {
  await using folder = await createTestFolder();
  await using empty = await createEmptyDatabase();
  const env = { DATABASE_URL: empty.url, BACKCAST_HOME: folder.path };
  const line = /^backcast: .*backcast migrate.*\(BACKCAST_SCHEMA_MISSING\)\n$/;
  await refused(env, ['archive', 'serve'], 1, line);
});

test('a home that cannot be made is told by every service that needs one', async () => {
  const line = /^backcast: .*\/proc\/nowhere.*BACKCAST_HOME.*\(BACKCAST_HOME_UNUSABLE\)\n$/;
  await refused({ BACKCAST_HOME: '/proc/nowhere' }, SERVICES, 1, line);
});

test('up that is told to end while it starts does not go on starting', async () => {
  await using folder = await createTestFolder();
  const up = startBackcast(['up', '--demo', '--home', folder.path, '--port', '0']);
  const said: string[] = [];
  const pid = await lineOf(up, said, /PostgreSQL runs on .* \(process (\d+)\)/);
  const startedAtMs = performance.now();
  up.kill('SIGTERM');
  const { end, stdout } = await endOf(up);
  assert.deepEqual([end, stdout], [143, '']);
  assert.ok(performance.now() - startedAtMs < END_MS_MAX);
  assert.equal(said.join('\n').includes('replay API  '), false);
  await until('the server is gone', () => isGone(Number(pid)));
});

test('up --demo says so when its channels are not to be recorded', async () => {
  await using folder = await createTestFolder();
  await using database = await createTestDatabase();
  await mkdir(join(folder.path, 'home'));
  const file = join(folder.path, 'backcast.yaml');
  await writeFile(file, 'archiver: { channels: ["orders.*"] }\nlog: { level: error }\n');
  const up = await runBackcast(
    ['up', '--demo', '--config', file, '--home', join(folder.path, 'home'), '--port', '0'],
    { env: { DATABASE_URL: database.url } },
  );
  assert.equal(up.end, 2);
  assert.match(up.stderr, /demo\.orders .*archiver\.channels \(orders\.\*\).*CONFIG_INVALID\)\n$/);
});

/** Reads what the command says until a line fits; the first group of that. */
async function lineOf(command: RunningCommand, said: string[], fit: RegExp): Promise<string> {
  const lines = createInterface(command.stderr);
  const found = Promise.withResolvers<string>();
  lines.on('line', (line) => {
    said.push(line);
    const group = fit.exec(line)?.[1];
    if (group !== undefined) found.resolve(group);
  });
  void once(command, 'close').then(() => found.reject(new Error(said.join('\n'))));
  return await found.promise;
}

async function isGone(pid: number): Promise<boolean> {
  return await access(`/proc/${pid}`).then(
    () => false,
    () => true,
  );
}
