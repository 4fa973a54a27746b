// The command `tail`, against servers that send tails as one does when connections break, and
// against the real API.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { startReplayServer } from '#replay-api/mod.ts';
import { archiveMessages, makeChannel, messagesOf, SESSION_A } from '#test/support/archive.ts';
import { endOf, runBackcast, startBackcast } from '#test/support/cli.ts';
import { openTestApi, silentLogger } from '#test/support/replay-api.ts';

interface TestServer extends AsyncDisposable {
  readonly env: { readonly BACKCAST_API: string };
  readonly asked: string[];
}

async function serve(...answers: RequestListener[]): Promise<TestServer> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(String(request.url));
    const answer = answers[Math.min(asked.length, answers.length) - 1];
    answer?.(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    env: { BACKCAST_API: `http://127.0.0.1:${port}` },
    asked,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function message(position: number): string {
  const text = JSON.stringify({ kind: 'message', position });
  return `id: ${position}\nevent: message\ndata: ${text}\n\n`;
}

function state(name: string, position: number): string {
  const text = { kind: 'state', state: name, position, archivedThrough: position };
  return `id: ${position}\nevent: state\ndata: ${JSON.stringify(text)}\n\n`;
}

function end(code: string | null): string {
  const text = { kind: 'end', position: 1, code, detail: 'Because of the test.' };
  return `event: end\ndata: ${JSON.stringify(text)}\n\n`;
}

function send(response: ServerResponse, ...frames: string[]): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const frame of frames) response.write(frame);
}

function problem(status: number, code: string): RequestListener {
  return (_, response) => {
    response.writeHead(status, { 'content-type': 'application/problem+json' });
    response.end(JSON.stringify({ code, title: 'A test.', detail: 'Because of the test.' }));
  };
}

const lines = (...positions: number[]): string =>
  positions.map((position) => `{"kind":"message","position":${position}}\n`).join('');

test('however the connection is lost, tail connects again behind what it has', async () => {
  await using server = await serve(
    (_, response) => {
      send(response, state('live', 3), message(4), message(5));
      setImmediate(() => response.destroy());
    },
    (_, response) => {
      send(response, message(6));
      response.end();
    },
    (_, response) => {
      send(response, message(7), end(null));
      response.end();
    },
    problem(503, 'BACKCAST_DATABASE_UNREACHABLE'),
    (_, response) => send(response, message(8), message(9)),
  );
  const {
    end: code,
    stdout,
    stderr,
  } = await runBackcast(['tail', 'orders', '--count', '5'], server);
  assert.deepEqual([code, stdout], [0, lines(4, 5, 6, 7, 8)]);
  assert.deepEqual(
    server.asked,
    ['', '?after=5', '?after=6', '?after=7', '?after=7'].map(
      (search) => `/v1/channels/orders/tail${search}`,
    ),
  );
  assert.match(stderr, /^live behind position 3\n.*connection.*lost.*connecting again/);
});

test('a tail that was told where it begins goes on from there', async () => {
  await using server = await serve(
    (_, response) => {
      send(response, state('live', 3));
      setImmediate(() => response.end());
    },
    (_, response) => send(response, message(4)),
  );
  await runBackcast(['tail', 'orders', '--count', '1'], server);
  assert.deepEqual(server.asked, ['/v1/channels/orders/tail', '/v1/channels/orders/tail?after=3']);
});

test('what trying again does not mend ends tail', async () => {
  for (const last of [
    problem(410, 'BACKCAST_HISTORY_GONE'),
    ((_, response) => {
      send(response, end('BACKCAST_HISTORY_GONE'));
      response.end();
    }) satisfies RequestListener,
  ]) {
    await using server = await serve((_, response) => {
      send(response, message(1));
      response.end();
    }, last);
    const { end: code, stdout, stderr } = await runBackcast(['tail', 'orders'], server);
    assert.deepEqual([code, stdout], [1, lines(1)]);
    assert.match(stderr, /Because of the test\. \(BACKCAST_HISTORY_GONE\)\n$/);
  }
});

test('a first attempt that fails ends tail', async () => {
  await using server = await serve(problem(503, 'BACKCAST_DATABASE_UNREACHABLE'));
  const { end: code, stderr } = await runBackcast(['tail', 'orders'], server);
  assert.equal(code, 1);
  assert.match(stderr, /\(BACKCAST_DATABASE_UNREACHABLE\)\n$/);
});

test('Ctrl-C ends tail, also while it waits to connect again', async () => {
  for (const isConnected of [true, false]) {
    await using server = await serve(
      (_, response) => {
        send(response, message(1));
        if (!isConnected) response.end();
      },
      problem(503, 'BACKCAST_DATABASE_UNREACHABLE'),
    );
    const command = startBackcast(['tail', 'orders'], server);
    const ended = endOf(command);
    await once(isConnected ? command.stdout : command.stderr, 'data');
    command.kill('SIGINT');
    const { end: code, stdout } = await ended;
    assert.deepEqual([code, stdout], [130, lines(1)]);
  }
});

test('tail prints what the real API sends, through history and on', async () => {
  await using api = await openTestApi();
  const place = await makeChannel(api.opened, 'orders');
  let expectedHead = await archiveMessages(
    api.url,
    { ...place, expectedHead: 0 },
    messagesOf(SESSION_A, 1, 3),
  );
  const listening = { host: '127.0.0.1', port: 0 };
  await using server = await startReplayServer({
    database: api.opened,
    logger: silentLogger,
    ...listening,
  });
  const env = { BACKCAST_API: server.url };
  const command = startBackcast(['tail', 'orders', '--after', '1', '--count', '4'], { env });
  const ended = endOf(command);
  await once(command.stdout, 'data');
  const more = messagesOf(SESSION_A, 4, 2);
  expectedHead = await archiveMessages(api.url, { ...place, expectedHead }, more);
  const { end: code, stdout } = await ended;
  assert.deepEqual([code, expectedHead], [0, 5]);
  const printed = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { kind: string; position?: number });
  assert.deepEqual(
    printed.filter(({ kind }) => kind === 'message').map(({ position }) => position),
    [2, 3, 4, 5],
  );
});
