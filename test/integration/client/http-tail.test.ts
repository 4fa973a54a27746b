// The tail over HTTP as a recovering subscriber follows it: what is archived later comes by itself,
// and whatever ends the stream is an error that may be tried again.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { BackcastError } from '#base/mod.ts';
import {
  openReplaySource,
  subscribe,
  type SubscribedItem,
  type SubscribeFrom,
  type TailEntry,
} from '#client/mod.ts';
import { setScene } from '#test/support/archiving.ts';
import { startTestApi } from '#test/support/listening-api.ts';
import { until } from '#test/support/until.ts';

const CHANNEL = 'orders';

test('a tail tells what was archived before, what comes later, and how far it is', async () => {
  await using scene = await setScene();
  await using _archiver = await scene.startArchiver();
  await using api = await startTestApi(scene.databaseUrl);
  const publisher = await scene.openPublisher({ source: 'gateway-7' });
  for (const text of ['one', 'two']) await publisher.publish(Buffer.from(text));
  await scene.accounted(2);
  const stop = new AbortController();
  const tail = openReplaySource({ url: api.url }, CHANNEL).tail(1, stop.signal);
  const heard: TailEntry[] = [];
  await assert.rejects(async () => {
    for await (const entry of tail) {
      heard.push(entry);
      if (entry.kind === 'end' && entry.archivedThrough === 2) {
        await publisher.publish(Buffer.from('three'));
      }
      if (entry.kind === 'end' && entry.archivedThrough === 3) stop.abort(new Error('enough'));
    }
  }, /enough/);
  await publisher.close();
  const runs = heard.filter((entry) => entry.kind === 'messages');
  assert.deepEqual(
    runs.map(({ firstPosition, firstSequence, source }) => [firstPosition, firstSequence, source]),
    [
      [2, 2, 'gateway-7'],
      [3, 3, 'gateway-7'],
    ],
  );
  assert.deepEqual(
    runs.map(({ payloads }) => Buffer.from(payloads).toString()),
    ['two', 'three'],
  );
  assert.ok(heard.some((entry) => entry.kind === 'session' && entry.session === publisher.session));
});

test('a session begins and ends by the name of its publisher', async () => {
  await using scene = await setScene();
  await using _archiver = await scene.startArchiver();
  await using api = await startTestApi(scene.databaseUrl);
  const publisher = await scene.openPublisher({ source: 'gateway-7', lingerMs: 300 });
  await publisher.publish(Buffer.from('one'));
  await scene.accounted(1);
  const archive = { url: api.url };
  await using subscription = await subscribe({ channel: CHANNEL, archive, from: 'start' });
  const told: (readonly [string, string | undefined])[] = [];
  for await (const one of subscription) {
    if (one.kind === 'session') told.push([one.state, one.source]);
    if (one.kind === 'live') await publisher.close();
    if (told.length === 2) break;
  }
  assert.deepEqual(told, [
    ['open', 'gateway-7'],
    ['closed', 'gateway-7'],
  ]);
});

test('who ended while nobody listened is told as over by its name, once', async () => {
  await using scene = await setScene();
  await using _archiver = await scene.startArchiver();
  await using api = await startTestApi(scene.databaseUrl);
  const publisher = await scene.openPublisher({ source: 'gateway-7', lingerMs: 300 });
  await publisher.publish(Buffer.from('one'));
  await scene.accounted(1);
  const options = { channel: CHANNEL, archive: { url: api.url } };
  const follow = async (from: SubscribeFrom, isLast: (one: SubscribedItem) => boolean) => {
    await using subscription = await subscribe({ ...options, from });
    const texts: string[] = [];
    for await (const one of subscription) {
      if (one.kind === 'session') texts.push(`${one.source} ${one.state}`);
      if (isLast(one)) break;
    }
    return { texts, cursor: subscription.cursor ?? '' };
  };
  const before = await follow('start', ({ kind }) => kind === 'message');
  await publisher.close();
  await until('its end is archived', async () => {
    const listed = await fetch(`${api.url}/v1/channels/${CHANNEL}/sessions`);
    return (await listed.text()).includes('"state":"closed"');
  });
  const behind = await follow(before, ({ kind }) => kind === 'session');
  await using other = await scene.openPublisher({ source: 'gateway-8', lingerMs: 300 });
  await other.publish(Buffer.from('two'));
  await scene.accounted(2);
  const last = await follow(behind, ({ kind }) => kind === 'message');
  assert.deepEqual(
    [before.texts, behind.texts, last.texts],
    [['gateway-7 open'], ['gateway-7 closed'], ['gateway-8 open']],
  );
});

test('a quiet channel is followed for longer than the archive is waited for', async () => {
  await using scene = await setScene();
  await using _archiver = await scene.startArchiver();
  await using api = await startTestApi(scene.databaseUrl);
  await using publisher = await scene.openPublisher({ lingerMs: 1 });
  await publisher.publish(Buffer.from('one'));
  await scene.accounted(1);
  const options = { channel: CHANNEL, archive: { url: api.url }, stallMs: 1_000 };
  await using subscription = await subscribe({ ...options, from: 'live' });
  let last = '';
  for await (const told of subscription) {
    if (told.kind === 'message') last = Buffer.from(told.payload).toString();
    if (told.kind === 'message') break;
    if (told.kind !== 'live') continue;
    const quietMs = performance.now();
    const isOver = (): boolean => performance.now() - quietMs > 2.5 * options.stallMs;
    void until('the patience is over', isOver).then(() => publisher.publish(Buffer.from('two')));
  }
  assert.equal(last, 'two');
});

/** The code of the error that the tail ends with which `answer` serves. */
async function endOf(answer: RequestListener): Promise<unknown> {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const source = openReplaySource({ url: `http://127.0.0.1:${port}` }, CHANNEL);
  try {
    for await (const entry of source.tail(0, new AbortController().signal)) void entry;
    return undefined;
  } catch (error) {
    return error instanceof BackcastError ? error.code : error;
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const STREAM = { 'content-type': 'text/event-stream' };

test('a tail that ends without a word was cut off', async () => {
  const code = await endOf((_, response) => void response.writeHead(200, STREAM).end(': hi\n\n'));
  assert.equal(code, 'BACKCAST_ANSWER_TRUNCATED');
});

for (const [why, code] of [
  ['"BACKCAST_HISTORY_GONE"', 'BACKCAST_HISTORY_GONE'],
  ['null', 'BACKCAST_ANSWER_TRUNCATED'],
])
  test(`a tail that the server ends with ${why} fails with ${code}`, async () => {
    const frame = `event: end\ndata: {"kind":"end","position":1,"code":${why},"detail":"so"}\n\n`;
    const found = await endOf((_, response) => void response.writeHead(200, STREAM).end(frame));
    assert.equal(found, code);
  });

test('what is no tail of Backcast is told as one that broke off', async () => {
  for (const text of ['{"position":1}', 'nonsense', '{"session":"x"}']) {
    const frame = `id: 1\nevent: message\ndata: ${text}\n\n`;
    const code = await endOf((_, response) => void response.writeHead(200, STREAM).end(frame));
    assert.equal(code, 'BACKCAST_ANSWER_TRUNCATED', text);
  }
});
