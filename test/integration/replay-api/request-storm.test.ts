// Many more connections at once than the server takes: each is answered, refused in words that say
// when to come again, or closed; the server stays, and serves as soon as they are gone.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SessionId } from '#base/mod.ts';
import { startApiProcess } from '#test/support/api-process.ts';
import { fillChannel, instantAt } from '#test/support/filled-archive.ts';
import { createTestDatabase } from '#test/support/postgres.ts';
import { requestOf, storm, tallyOf } from '#test/support/request-storm.ts';

const SESSION = '00000000000000aa' as SessionId;
const CONNECTIONS = 1_500;
const LIMITS = {
  connectionsMax: 600,
  requestsPerSecMax: 400,
  readersMax: 24,
  readersPerCallerMax: 16,
  tails: { readersMax: 8, readersPerCallerMax: 8 },
};
const REFUSALS = ['BACKCAST_RATE_LIMITED', 'BACKCAST_TOO_MANY_READERS', 'BACKCAST_BUSY'];
const NDJSON = 'application/x-ndjson';

test('fifteen hundred at once are each served or refused, and then others are', async (t) => {
  await using created = await createTestDatabase();
  const payload = Buffer.alloc(4_096, 'x');
  const messages = Array.from({ length: 256 }, (_, index) => {
    return { session: SESSION, sequence: index + 1, publishedAtUs: instantAt(0), payload };
  });
  const deliveries = [{ kind: 'segment' as const, archivedAtUs: instantAt(0), messages }];
  await fillChannel(created.url, { name: 'past', deliveries });
  await using api = await startApiProcess(created.url, LIMITS);
  const paths = ['/v1/channels', '/v1/channels/past/messages', '/v1/channels/past/losses'];
  const requests = Array.from({ length: CONNECTIONS }, (_, index) => {
    return requestOf(paths[index % paths.length], index % paths.length === 1 ? NDJSON : '*/*');
  });
  const ends = await storm(api.url, requests);
  t.diagnostic(JSON.stringify(tallyOf(ends)));
  for (const { status, code, hasRetryAfter } of ends) {
    assert.ok([200, 429, 503, undefined].includes(status), `status ${status}`);
    if (status !== 429 && status !== 503) continue;
    assert.ok(REFUSALS.includes(code ?? ''), `${status} ${code}`);
    assert.ok(hasRetryAfter, `${code} says when to come again`);
  }
  const statuses = new Set(ends.map(({ status }) => status));
  for (const status of [200, 429, undefined]) assert.ok(statuses.has(status), `some ${status}`);
  await servedAgain(api.url);
});

/** The window of the rate may still be full of those who were refused. */
async function servedAgain(url: string): Promise<void> {
  for (;;) {
    const [{ status }] = await storm(url, [requestOf('/v1/channels/past/messages', NDJSON)]);
    if (status === 200) return;
    assert.equal(status, 429);
  }
}
