// Real PostgreSQL for tests: one server for the whole run, one database per test, cloned from a
// template that was migrated once. The server is the one that global-setup.ts started; a test file
// that is run alone starts its own and stops it after its last test. TEST_DATABASE_URL names
// another server to use, whose user must be allowed to create databases.

import { after } from 'node:test';
import { migrateToLatest } from '#archive/mod.ts';
import type { Compression } from '#archive/mod.ts';
import {
  execute,
  SERVER_VARIABLE,
  startTestServer,
  TEMPLATE_VARIABLE,
  uniqueName,
  withDatabase,
} from './postgres-server.ts';
import type { TestServer } from './postgres-server.ts';

export { execute } from './postgres-server.ts';

/** A database of one test's own. Disposing drops it, whoever is still connected. */
export interface TestDatabase extends AsyncDisposable {
  readonly url: string;
  readonly name: string;
}

/** A migrated and otherwise empty database. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const server = await theServer();
  return createDatabase(server, `TEMPLATE ${server.template}`);
}

/** A database without any table; with `compression`, one migrated with it. */
export async function createEmptyDatabase(compression?: Compression): Promise<TestDatabase> {
  const created = await createDatabase(await theServer(), '');
  if (compression !== undefined) await migrateToLatest({ url: created.url, compression });
  return created;
}

async function createDatabase(server: TestServer, from: string): Promise<TestDatabase> {
  const name = uniqueName('test');
  await execute(server.url, `CREATE DATABASE ${name} ${from}`);
  return {
    url: withDatabase(server.url, name),
    name,
    [Symbol.asyncDispose]: async () => {
      if (isServerGone) return;
      await execute(server.url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}

let server: Promise<TestServer> | undefined;
/** The server of a file that is run alone stops before the file's own `after` hooks are called. */
let isServerGone = false;

function theServer(): Promise<TestServer> {
  server ??= findServer();
  return server;
}

async function findServer(): Promise<TestServer> {
  const url = process.env[SERVER_VARIABLE];
  const template = process.env[TEMPLATE_VARIABLE];
  if (url !== undefined && template !== undefined) {
    return { url, template, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
  return startTestServer();
}

after(async () => {
  const running = await server?.catch(() => undefined);
  isServerGone = [SERVER_VARIABLE, 'TEST_DATABASE_URL'].every((name) => !(name in process.env));
  await running?.[Symbol.asyncDispose]();
});
