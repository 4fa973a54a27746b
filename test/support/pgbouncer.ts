// PgBouncer before a test's database, from Debian's package, not installed.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchDebianPackages, findProgram } from './debian-packages.ts';
import { createTestFolder } from './folder.ts';
import { execute } from './postgres-server.ts';
import { until } from './until.ts';

const CACHE = fileURLToPath(new URL('../../.cache/pgbouncer', import.meta.url));

/** Settings of PgBouncer, by name. */
export type PoolerSettings = Readonly<Record<string, string>>;

/** A running pooler; disposing ends it. */
export interface Pooler extends AsyncDisposable {
  /** The URL of the same database through it. */
  readonly url: string;
}

/** Starts one before `url`. */
export async function startPooler(url: string, settings: PoolerSettings): Promise<Pooler> {
  const resources = new AsyncDisposableStack();
  const { path } = resources.use(await createTestFolder());
  await chmod(path, 0o755);
  const through = new URL(url);
  through.port = String(await freePort());
  const file = join(path, 'pgbouncer.ini');
  await writeFile(file, configurationOf(new URL(url), through.port, settings));
  const { root, binFolders, libraryPath } = await fetchDebianPackages({
    names: ['pgbouncer'],
    cacheFolder: CACHE,
  });
  const program = findProgram('pgbouncer', binFolders);
  if (program === undefined) throw new Error(`no pgbouncer in ${root}`);
  const asOther = process.getuid?.() === 0 ? ['--user', 'nobody'] : [];
  const env = { ...process.env, LD_LIBRARY_PATH: libraryPath };
  const child = spawn(program, [...asOther, file], { env, stdio: 'ignore' });
  const exited = once(child, 'exit');
  resources.defer(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  await until('the pooler listens', async () => {
    return execute(through.href, 'SELECT 1').then(
      () => true,
      () => false,
    );
  });
  return { url: through.href, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

function configurationOf(target: URL, port: string, settings: PoolerSettings): string {
  const { hostname, username, password } = target;
  const all = { listen_addr: '127.0.0.1', listen_port: port, auth_type: 'any', ...settings };
  const lines = Object.entries(all).map(([name, value]) => `${name} = ${value}`);
  const place = `host=${hostname} port=${target.port || '5432'}`;
  const account = `user=${username} password=${decodeURIComponent(password)}`;
  return `[databases]\n* = ${place} ${account}\n[pgbouncer]\n${lines.join('\n')}\n`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
