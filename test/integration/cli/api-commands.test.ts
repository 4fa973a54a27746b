// The commands that ask the replay API, against HTTP servers that answer as an API does when things
// go wrong: truncated, refused, slow, not an API at all. (What a healthy API answers is tested end
// to end.)

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { endOf, runBackcast, startBackcast } from '#test/support/cli.ts';

const MESSAGE = '{"kind":"message","position":1,"payload":"é"}\n';
const END = '{"kind":"end","complete":true,"status":"complete","count":1}\n';

interface TestServer extends AsyncDisposable {
  readonly env: { readonly BACKCAST_API: string };
}

async function serve(answer: RequestListener): Promise<TestServer> {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    env: { BACKCAST_API: `http://127.0.0.1:${port}` },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A server that answers everything with `body`. */
function serveBody(body: string, status = 200, type = 'application/x-ndjson'): Promise<TestServer> {
  return serve((_, response) => {
    response.writeHead(status, { 'content-type': type }).end(body);
  });
}

test('history prints exactly the bytes of the answer', async () => {
  await using server = await serveBody(MESSAGE + END);
  const { end, stdout, stderr } = await runBackcast(['history', 'orders'], server);
  assert.deepEqual([end, stdout, stderr], [0, MESSAGE + END, '']);
});

test('history asks for what its options say, and for NDJSON', async () => {
  const asked: unknown[] = [];
  await using server = await serve((request, response) => {
    asked.push(request.url, request.headers.accept);
    response.end(END);
  });
  const args = ['--from', '2026-11-22T14:00:00+01:00', '--limit', '5', '--order', 'desc'];
  await runBackcast(['history', 'a.b', ...args], server);
  assert.deepEqual(asked, [
    '/v1/channels/a.b/messages?from=2026-11-22T14%3A00%3A00%2B01%3A00&order=desc&limit=5',
    'application/x-ndjson',
  ]);
});

for (const [what, body] of [
  ['no end record', MESSAGE],
  ['half an end record', MESSAGE + END.slice(0, -9)],
  ['an end record without its line end', MESSAGE + END.trimEnd()],
  ['nothing', ''],
  ['a message last', END + MESSAGE],
])
  test(`an answer with ${what} was cut off, and history fails`, async () => {
    await using server = await serveBody(body);
    const { end, stdout, stderr } = await runBackcast(['history', 'orders'], server);
    assert.deepEqual([end, stdout], [1, body]);
    assert.match(
      stderr,
      /^backcast: .*broke off after \d+ bytes.*\(BACKCAST_ANSWER_TRUNCATED\)\n$/,
    );
  });

test('an answer whose connection breaks was cut off, and history fails', async () => {
  await using server = await serve((_, response) => {
    response.write(MESSAGE, () => response.destroy());
  });
  const { end, stdout, stderr } = await runBackcast(['history', 'orders'], server);
  assert.deepEqual([end, stdout], [1, MESSAGE]);
  assert.match(stderr, /\(BACKCAST_ANSWER_TRUNCATED\)\n$/);
});

test('a long answer comes through whole', async () => {
  const body = MESSAGE.repeat(100_000) + END;
  await using server = await serveBody(body);
  const { end, stdout } = await runBackcast(['history', 'orders'], server);
  assert.equal(end, 0);
  assert.ok(stdout === body);
});

test('a reader that has seen enough ends history without a word', async () => {
  await using server = await serveBody(MESSAGE.repeat(200_000) + END);
  const command = startBackcast(['history', 'orders'], server);
  await once(command.stdout, 'data');
  command.stdout.destroy();
  const [end, stderr] = await Promise.all([once(command, 'exit'), command.stderr.toArray()]);
  assert.deepEqual([end[0], Buffer.concat(stderr).toString()], [0, '']);
});

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)
  test(`${signal} in the middle of an answer ends history with exit code ${code}`, async () => {
    await using server = await serve((_, response) => {
      response.write(MESSAGE);
    });
    const command = startBackcast(['history', 'orders'], server);
    await once(command.stdout, 'data');
    command.kill(signal);
    const { end, stderr } = await endOf(command);
    assert.deepEqual([end, stderr], [code, '']);
  });

function problem(code: string): string {
  return JSON.stringify({
    type: 'about:blank',
    title: 'T',
    status: 400,
    detail: 'this is why',
    code,
  });
}

test('what the API refuses comes through with its code and its sentence', async () => {
  const type = 'application/problem+json';
  await using unknown = await serveBody(problem('BACKCAST_CHANNEL_UNKNOWN'), 404, type);
  const first = await runBackcast(['history', 'orders'], unknown);
  assert.deepEqual(
    [first.end, first.stderr],
    [1, 'backcast: this is why (BACKCAST_CHANNEL_UNKNOWN)\n'],
  );
  await using invalid = await serveBody(problem('BACKCAST_RANGE_INVALID'), 400, type);
  const second = await runBackcast(['history', 'orders', '--from', 'now'], invalid);
  assert.deepEqual(
    [second.end, second.stderr],
    [2, 'backcast: this is why (BACKCAST_RANGE_INVALID)\n'],
  );
});

for (const [what, body, status] of [
  ['a page of something else', '<html>', 200],
  ['an error of something else', 'Bad gateway', 502],
  ['JSON of something else', '{"code":"OTHER"}', 404],
] as const)
  test(`${what} is told as not being the API`, async () => {
    await using server = await serveBody(body, status, 'text/html');
    const { end, stdout, stderr } = await runBackcast(['channels'], server);
    assert.deepEqual([end, stdout], [1, '']);
    assert.match(
      stderr,
      /^backcast: the replay API at http:.* cannot be used: .*\(BACKCAST_API_UNREACHABLE\)\n$/,
    );
  });

test('a list is followed page by page and printed as a table or as JSON', async () => {
  const pages: Record<string, unknown> = {
    '/v1/channels': {
      items: [{ channel: 'a', port: 7, archivedThrough: 12 }],
      next: '/v1/channels?cursor=a',
    },
    '/v1/channels?cursor=a': {
      items: [{ channel: 'bb', port: 80, archivedThrough: null }],
      next: null,
    },
  };
  await using server = await serve((request, response) => {
    response.end(JSON.stringify(pages[request.url ?? '']));
  });
  const table = await runBackcast(['channels'], server);
  assert.equal(table.end, 0);
  assert.deepEqual(
    table.stdout.split('\n').map((line) => line.split(/ {2,}/).map((cell) => cell.trim())[0]),
    ['CHANNEL', 'a', 'bb', ''],
  );
  assert.match(table.stdout, /^a .* 7 .* 12 /m);
  const json = await runBackcast(['channels', '--json'], server);
  const rows = JSON.parse(json.stdout) as { channel: string }[];
  assert.deepEqual(
    rows.map(({ channel }) => channel),
    ['a', 'bb'],
  );
});
