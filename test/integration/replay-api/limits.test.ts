// What the server takes on from callers who mean no good, or too much: each is refused or ended in
// time, and whoever else asks is served.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import type { SessionId } from '#base/mod.ts';
import { type ApiLimits, type ReplayServer, startReplayServer } from '#replay-api/mod.ts';
import { type Delivery, instantAt } from '#test/support/filled-archive.ts';
import { openTestApi, silentLogger, type TestApi } from '#test/support/replay-api.ts';

const SESSION = '00000000000000aa' as SessionId;
const MEBIBYTE = 1_048_576;
const NDJSON = { accept: 'application/x-ndjson' };
/** A request has ten seconds, and is looked at every second. */
const LATE_MS_MAX = 14_000;

let api: TestApi;
before(async () => {
  api = await openTestApi();
  const deliveries = Array.from({ length: 24 }, (_, index): Delivery => {
    const publishedAtUs = instantAt(index);
    const payload = Buffer.alloc(MEBIBYTE);
    const message = { session: SESSION, sequence: index + 1, publishedAtUs, payload };
    return { kind: 'segment', archivedAtUs: publishedAtUs, messages: [message] };
  });
  await api.addChannel({ name: 'large', deliveries });
});
after(() => api[Symbol.asyncDispose]());

function listen(limits: Partial<ApiLimits> = {}): Promise<ReplayServer> {
  const logger = silentLogger;
  return startReplayServer({ database: api.opened, logger, limits, host: '127.0.0.1', port: 0 });
}

async function refusal(answer: Response): Promise<string> {
  assert.match(answer.headers.get('retry-after') ?? '', /^[0-9]+$/);
  return ((await answer.json()) as { code: string }).code;
}

/** Asks until there is room again; whoever has left is noticed a moment later. */
async function untilServed(address: string): Promise<void> {
  for (;;) {
    const answer = await fetch(address);
    await answer.body?.cancel();
    if (answer.status === 200) return;
    assert.equal(answer.status, 429);
  }
}

function open(server: ReplayServer): Socket {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  return socket;
}

/** What the server says before it ends the connection, and after how long. */
async function untilEnd(socket: Socket): Promise<{ text: string; afterMs: number }> {
  const startMs = performance.now();
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return { text: Buffer.concat(chunks).toString(), afterMs: performance.now() - startMs };
}

test('a caller with too many answers under way is told so, until one has ended', async () => {
  await using server = await listen({ readersPerCallerMax: 2 });
  const address = `${server.url}/v1/channels/large/messages`;
  const under = [
    await fetch(address, { headers: NDJSON }),
    await fetch(address, { headers: NDJSON }),
  ];
  const refused = await fetch(address, { headers: NDJSON });
  assert.equal(refused.status, 429);
  assert.equal(await refusal(refused), 'BACKCAST_TOO_MANY_READERS');
  const listed = await fetch(`${server.url}/v1/channels`);
  assert.equal(listed.status, 200, 'what is not history is served');
  await listed.body?.cancel();
  await under[0].body?.cancel();
  await untilServed(`${address}?limit=1`);
  await under[1].body?.cancel();
});

test('who asks too often is told when to come again, also where there is nothing', async () => {
  await using server = await listen({ requestsPerSecMax: 5 });
  for (const path of ['/v1/channels', '/nowhere']) {
    const statuses: number[] = [];
    for (let count = 0; count < 12; count += 1) {
      const answer = await fetch(`${server.url}${path}`);
      statuses.push(answer.status);
      if (answer.status === 429) assert.equal(await refusal(answer), 'BACKCAST_RATE_LIMITED');
      else await answer.body?.cancel();
    }
    assert.ok(statuses.includes(429), statuses.join());
    const health = await fetch(`${server.url}/healthz`);
    assert.equal(health.status, 200, 'who watches the process is not kept from it');
    await health.body?.cancel();
  }
});

test('connections beyond the bound are closed at once, and others are served', async () => {
  await using server = await listen({ connectionsMax: 3 });
  const held = [open(server), open(server), open(server)];
  await Promise.all(held.map((socket) => once(socket, 'connect')));
  const { text } = await untilEnd(open(server));
  assert.equal(text, '');
  held[0].write('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  assert.match((await untilEnd(held[0])).text, /^HTTP\/1\.1 200 /);
  for (const socket of held) socket.destroy();
});

test('headers without end are refused before they are stored', async () => {
  await using server = await listen();
  const socket = open(server);
  socket.write(`GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(17 * 1_024)}`);
  assert.match((await untilEnd(socket)).text, /^HTTP\/1\.1 431 /);
});

test('many small headers are refused as well', async () => {
  await using server = await listen();
  const socket = open(server);
  const lines = Array.from({ length: 1_600 }, (_, index) => `X-${index}: 1\r\n`);
  socket.write(`GET /healthz HTTP/1.1\r\nHost: x\r\n${lines.join('')}\r\n`);
  assert.match((await untilEnd(socket)).text, /^HTTP\/1\.1 431 /);
});

test('a body that nobody asked for is refused before it is read', async () => {
  await using server = await listen();
  const socket = open(server);
  const bytes = 64 * MEBIBYTE;
  socket.write(`POST /v1/channels HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n`);
  socket.write(`Content-Length: ${bytes}\r\n\r\n{`);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1\.1 4\d\d /);
  socket.destroy();
});

test('a connection that says nothing, or never comes to an end, is ended in time', async () => {
  await using server = await listen();
  const silent = open(server);
  const slow = open(server);
  slow.write('GET /healthz HTTP/1.1\r\nHost: x\r\n');
  const drip = setInterval(() => slow.write('X-Drip: 1\r\n'), 200);
  const body = open(server);
  body.write('POST /v1/channels HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n');
  const ends = await Promise.all([silent, slow, body].map(untilEnd));
  clearInterval(drip);
  for (const { afterMs } of ends) assert.ok(afterMs < LATE_MS_MAX, `ended after ${afterMs} ms`);
  assert.match(ends[1].text, /^HTTP\/1\.1 408 /);
});

test('requests one behind another on a connection that reads nothing are bounded too', async () => {
  await using server = await listen({ readersMax: 4, readersPerCallerMax: 4, stallMsMax: 500 });
  const socket = open(server);
  socket.pause();
  const request = 'GET /v1/channels/large/messages HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n';
  socket.write(request.repeat(50));
  const address = `${server.url}/v1/channels/large/messages?limit=1`;
  await untilServed(address);
  socket.destroy();
});
