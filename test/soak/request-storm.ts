// Ten thousand connections at once, twice: with requests of every kind, and with requests that
// never come to an end. The API answers, refuses in words or closes each, stays within its memory,
// and serves as soon as they are gone:
//
//   node test/soak/request-storm.ts [--connections 10000]

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { SessionId } from '#base/mod.ts';
import { type ApiProcess, startApiProcess } from '#test/support/api-process.ts';
import { fillChannel, instantAt } from '#test/support/filled-archive.ts';
import { createTestDatabase } from '#test/support/postgres.ts';
import { requestOf, storm, tallyOf } from '#test/support/request-storm.ts';
import { soakOptions } from '#test/support/soak-options.ts';
import { until } from '#test/support/until.ts';

const options = soakOptions('Sends more at once to an API than it takes.', {
  connections: [10_000, 'connections at once'],
});
const SESSION = '00000000000000aa' as SessionId;
const NDJSON = 'application/x-ndjson';
const MEBIBYTE = 1_048_576;
/** Beside the process at rest: 4,096 connections, and 256 answers of some mebibytes. */
const MEMORY_BYTES_MAX = 1_024 * MEBIBYTE;
/** A request has ten seconds; a busy machine takes its time beside. */
const ENDED_MS_MAX = 60_000;
const PATHS = [
  ['/v1/channels', '*/*'],
  ['/v1/channels/past/messages', NDJSON],
  ['/v1/channels/past/messages?limit=100', 'application/json'],
  ['/v1/channels/past/completeness?session=00000000000000aa', '*/*'],
  ['/v1/channels/past/export?format=csv', '*/*'],
  ['/v1/nothing', '*/*'],
] as const;

function residentBytesMost(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1_024;
}

/** Served without a refusal, however often one was refused before. */
async function servedAgain({ url }: ApiProcess): Promise<void> {
  await until('history is served again', async () => {
    const [{ status }] = await storm(url, [requestOf('/v1/channels/past/messages', NDJSON)]);
    return status === 200;
  });
}

test(`${options.connections} connections at once leave the API as it was`, async (t) => {
  await using created = await createTestDatabase();
  const messages = Array.from({ length: 256 }, (_, index) => {
    const publishedAtUs = instantAt(0);
    return { session: SESSION, sequence: index + 1, publishedAtUs, payload: Buffer.alloc(4_096) };
  });
  const deliveries = [{ kind: 'segment' as const, archivedAtUs: instantAt(0), messages }];
  await fillChannel(created.url, { name: 'past', deliveries });
  await using api = await startApiProcess(created.url, {});
  const bytesAtRest = residentBytesMost(api.pid);
  const counts = Array.from({ length: options.connections }, (_, index) => index);

  const asked = await storm(
    api.url,
    counts.map((index) => {
      const [path, accept] = PATHS[index % PATHS.length];
      return requestOf(path, accept);
    }),
  );
  t.diagnostic(`requests: ${JSON.stringify(tallyOf(asked))}`);
  for (const { status, hasRetryAfter } of asked) {
    assert.ok([200, 404, 429, 503, undefined].includes(status), `status ${status}`);
    assert.equal(hasRetryAfter, status === 429 || status === 503);
  }
  await servedAgain(api);

  const endless = 'GET /v1/channels HTTP/1.1\r\nHost: x\r\nX-Drip: ';
  const late = await storm(
    api.url,
    counts.map(() => endless),
  );
  t.diagnostic(`without end: ${JSON.stringify(tallyOf(late))}`);
  for (const { status, afterMs } of late) {
    assert.ok(status === undefined || status === 408, `status ${status}`);
    assert.ok(afterMs < ENDED_MS_MAX, `ended after ${afterMs} ms`);
  }
  await servedAgain(api);

  const bytesMost = residentBytesMost(api.pid);
  t.diagnostic(`memory: ${bytesAtRest >> 20} MiB at rest, ${bytesMost >> 20} MiB at most`);
  assert.ok(bytesMost - bytesAtRest <= MEMORY_BYTES_MAX, `${bytesMost} bytes`);
});
