// The API as a server: listening, closing, readers that stall or leave, a database that goes and
// comes.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { get } from 'node:http';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { after, before, test } from 'node:test';
import { pino } from 'pino';
import { migrateToLatest, openDatabase, startEmbeddedPostgres } from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import {
  AccessControl,
  type ApiLimits,
  createReplayApi,
  startReplayServer,
} from '#replay-api/mod.ts';
import { openTestDatabase } from '#test/support/archive.ts';
import { tokenWith } from '#test/support/controlled-api.ts';
import { type Delivery, fillChannel, instantAt } from '#test/support/filled-archive.ts';
import { createTestDatabase } from '#test/support/postgres.ts';
import { openTestApi, silentLogger, type TestApi } from '#test/support/replay-api.ts';

const SESSION = '00000000000000aa' as SessionId;
const MEBIBYTE = 1_048_576;
const PAGES = 24;
const NDJSON = { accept: 'application/x-ndjson' };

let api: TestApi;
before(async () => {
  api = await openTestApi();
  await api.addChannel({ name: 'large', deliveries: largeSegments(PAGES) });
});
after(() => api[Symbol.asyncDispose]());

/** Segments of one message each; its zero bytes take six characters each in JSON. */
function largeSegments(count: number): Delivery[] {
  return Array.from({ length: count }, (_, index) => ({
    kind: 'segment',
    archivedAtUs: instantAt(index),
    messages: [
      {
        session: SESSION,
        sequence: index + 1,
        publishedAtUs: instantAt(index),
        payload: Buffer.alloc(MEBIBYTE),
      },
    ],
  }));
}

interface ListenOptions {
  readonly stallMsMax?: number;
  readonly readersMax?: number;
  readonly limits?: Partial<ApiLimits>;
  readonly log?: Writable;
}

function listen(options: ListenOptions = {}) {
  const logger = options.log === undefined ? silentLogger : pino({}, options.log);
  const { stallMsMax = 10_000, readersMax = 10, limits } = options;
  return startReplayServer({
    database: api.opened,
    logger,
    limits: { stallMsMax, readersMax, ...limits },
    host: '127.0.0.1',
    port: 0,
  });
}

/** Log lines, and a promise for the first that says `message`. */
function logOf(message: string): { readonly log: Writable; readonly seen: Promise<void> } {
  const { promise: seen, resolve } = Promise.withResolvers<void>();
  const log = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (chunk.includes(`"msg":"${message}"`)) resolve();
      done();
    },
  });
  return { log, seen };
}

test('a listening server answers at its address and stops with close', async () => {
  const server = await listen();
  const answer = await fetch(`${server.url}/healthz`);
  assert.deepEqual(await answer.json(), { status: 'ok' });
  await server.close();
  await server.close();
  await assert.rejects(fetch(`${server.url}/healthz`));
});

test('a port that somebody else has is named, with what to do', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const options = { database: api.opened, logger: silentLogger, host: '127.0.0.1', port };
  await assert.rejects(startReplayServer(options), {
    code: 'BACKCAST_PORT_IN_USE',
    message: new RegExp(`^Port ${port} of 127.0.0.1 is in use`),
  });
  other.close();
});

test('an address that is none of this host’s is a matter of configuration', async () => {
  await using created = await createTestDatabase();
  await using opened = openTestDatabase(created.url);
  await tokenWith(opened, ['read:*']);
  await using access = await AccessControl.open({ database: opened, logger: silentLogger });
  const options = { database: opened, logger: silentLogger, access, host: '192.0.2.1', port: 0 };
  await assert.rejects(startReplayServer(options), { code: 'BACKCAST_CONFIG_INVALID' });
});

test('a stream of large messages comes whole', async () => {
  await using server = await listen();
  const answer = await fetch(`${server.url}/v1/channels/large/messages`, { headers: NDJSON });
  const lines = (await answer.text()).trimEnd().split('\n');
  assert.equal(lines.length, PAGES + 1);
  assert.equal((JSON.parse(lines[PAGES]) as { complete: boolean }).complete, true);
});

test('a reader that stalls holds no connection to the database and is cut off', async () => {
  const { log, seen } = logOf('reader stalled, connection cut');
  await using server = await listen({ stallMsMax: 300, log });
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  socket.pause();
  socket.write(
    'GET /v1/channels/large/messages HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\n\r\n',
  );
  await seen;
  assert.equal(api.opened.pool.totalCount - api.opened.pool.idleCount, 0);
  socket.destroy();
});

test('one reader too many is asked to come back, and is served when another is done', async () => {
  await using server = await listen({ readersMax: 1 });
  const address = `${server.url}/v1/channels/large/messages`;
  const first = await fetch(address, { headers: NDJSON });
  const refused = await fetch(address);
  assert.equal(refused.status, 503);
  assert.match(refused.headers.get('retry-after') ?? '', /^[0-9]+$/);
  assert.equal(((await refused.json()) as { code: string }).code, 'BACKCAST_BUSY');
  await first.text();
  const served = await fetch(address);
  assert.equal(served.status, 200);
  await served.body?.cancel();
});

test('a reader that leaves ends the reading', async () => {
  const server = await listen();
  let fetches = 0;
  const count = (): void => {
    fetches += 1;
  };
  api.opened.pool.on('acquire', count);
  await new Promise<void>((resolve, reject) => {
    const request = get(
      `${server.url}/v1/channels/large/messages`,
      { headers: NDJSON },
      (answer) => {
        answer.once('data', () => answer.destroy());
        answer.on('close', resolve);
      },
    );
    request.on('error', reject);
  });
  await server.close();
  api.opened.pool.off('acquire', count);
  assert.ok(fetches < PAGES, `${fetches} connections were taken`);
});

test('closing lets a running answer end', async () => {
  const server = await listen();
  const answer = await fetch(`${server.url}/v1/channels/large/messages?limit=4`, {
    headers: NDJSON,
  });
  const [text] = await Promise.all([answer.text(), server.close()]);
  assert.match(text.slice(-400), /"kind":"end"/);
});

test('a request that is not HTTP gets an answer and no more', async () => {
  await using server = await listen();
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.end('garbage\r\n\r\n');
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  assert.match(Buffer.concat(chunks).toString(), /^HTTP\/1\.1 400 /);
});

test('the API recovers by itself when the database comes back, and says each once', async () => {
  const homeDir = await mkdtemp(join(tmpdir(), 'backcast-api-'));
  const lines: string[] = [];
  const log = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push((JSON.parse(chunk.toString()) as { msg: string }).msg);
      done();
    },
  });
  let postgres = await startEmbeddedPostgres({ homeDir });
  try {
    const { url } = postgres;
    await migrateToLatest({ url });
    await fillChannel(url, { name: 'small', deliveries: largeSegments(1) });
    await using opened = openDatabase({
      url,
      poolConnectionsMax: 2,
      applicationName: 'outage test',
      statementTimeoutMs: 5_000,
    });
    const app = await createReplayApi({ database: opened, logger: pino({}, log) });
    const statuses: number[] = [];
    const ask = async (): Promise<void> => {
      const answer = await app.inject('/v1/channels/small/messages');
      statuses.push(answer.statusCode);
    };
    await ask();
    await postgres.stop();
    await ask();
    await ask();
    postgres = await startEmbeddedPostgres({ homeDir });
    await ask();
    await app.close();
    assert.deepEqual(statuses, [200, 503, 503, 200]);
    assert.deepEqual(lines, ['database unreachable', 'database reachable again']);
  } finally {
    await postgres.stop();
    await rm(homeDir, { recursive: true, force: true });
  }
});
