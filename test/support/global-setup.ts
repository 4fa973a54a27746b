// What `npm test` starts once for all test files, and stops when they are done: node:test calls
// these two functions in the process of the runner, and the test processes inherit its environment.

import { compiledPeers } from './peers.ts';
import { REDIS_VARIABLE, startRedisForTests } from './redis.ts';
import { SERVER_VARIABLE, startTestServer, TEMPLATE_VARIABLE } from './postgres-server.ts';
import { findTshark } from './tshark.ts';

const running = new AsyncDisposableStack();

/** Fetches what is missing, starts the servers and tells the test processes where they are. */
export async function globalSetup(): Promise<void> {
  const postgres = running.use(await startTestServer());
  process.env[SERVER_VARIABLE] = postgres.url;
  process.env[TEMPLATE_VARIABLE] = postgres.template;
  const redis = running.use(await startRedisForTests());
  process.env[REDIS_VARIABLE] = redis.url;
  // Fetched once rather than by each test file; where that fails, the tests that need it say so.
  await findTshark().catch(() => undefined);
  await compiledPeers().catch(() => undefined);
}

/** Stops them and removes their files. */
export async function globalTeardown(): Promise<void> {
  await running.disposeAsync();
}
