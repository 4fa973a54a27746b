// Starts the PostgreSQL that tests use and migrates a template database on it. Knows nothing of
// tests: global-setup.ts starts one for a whole run, postgres.ts one for a file that is run alone.

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { migrateToLatest, startEmbeddedPostgres } from '#archive/mod.ts';

/** How the global setup tells the test processes where the server is. */
export const SERVER_VARIABLE = 'BACKCAST_TEST_SERVER';
export const TEMPLATE_VARIABLE = 'BACKCAST_TEST_TEMPLATE';

/** A server that tests may make databases on, and the name of the migrated template there. */
export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly template: string;
}

/** Starts a server (or takes the one of TEST_DATABASE_URL) and migrates a template on it. */
export async function startTestServer(): Promise<TestServer> {
  const given = process.env['TEST_DATABASE_URL'];
  const own = given === undefined ? await startOwnServer() : undefined;
  const url = given ?? own?.url ?? '';
  const template = uniqueName('template');
  const stop = async (): Promise<void> => {
    if (given !== undefined) await execute(url, `DROP DATABASE IF EXISTS ${template}`);
    await own?.[Symbol.asyncDispose]();
  };
  try {
    await execute(url, `CREATE DATABASE ${template}`);
    await migrateToLatest({ url: withDatabase(url, template) });
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, template, [Symbol.asyncDispose]: stop };
}

/** Runs `statements` on a connection of their own and returns the rows of the last one. */
export async function execute(
  url: string,
  ...statements: readonly string[]
): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    let rows: Record<string, unknown>[] = [];
    for (const statement of statements) {
      rows = (await client.query<Record<string, unknown>>(statement)).rows;
    }
    return rows;
  } finally {
    await client.end();
  }
}

async function startOwnServer(): Promise<AsyncDisposable & { readonly url: string }> {
  const homeDir = await mkdtemp(join(tmpdir(), 'backcast-test-'));
  const remove = (): Promise<void> => rm(homeDir, { recursive: true, force: true });
  try {
    const postgres = await startEmbeddedPostgres({ homeDir });
    return {
      url: postgres.url,
      [Symbol.asyncDispose]: async () => {
        await postgres.stop();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** A database name that no other run has. */
export function uniqueName(kind: string): string {
  return `backcast_${kind}_${randomBytes(6).toString('hex')}`;
}

/** The URL of another database on the same server. */
export function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}
