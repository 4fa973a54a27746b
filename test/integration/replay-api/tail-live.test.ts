// From a publisher over multicast, an archiver and the database to the reader of a tail.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startReplayServer } from '#replay-api/mod.ts';
import { openTestDatabase } from '#test/support/archive.ts';
import { setScene } from '#test/support/archiving.ts';
import { silentLogger } from '#test/support/replay-api.ts';
import { isLive, openTail } from '#test/support/tail-reader.ts';

const COUNT = 200;

test('a publisher’s life: a session, its messages in order, an end behind the last', async () => {
  await using scene = await setScene();
  await using archiver = await scene.startArchiver();
  assert.ok(archiver);
  await using opened = openTestDatabase(scene.databaseUrl);
  const place = { host: '127.0.0.1', port: 0 };
  await using server = await startReplayServer({
    database: opened,
    logger: silentLogger,
    ...place,
  });
  await using tail = await openTail(`${server.url}/v1/channels/orders/tail`);
  await tail.through(isLive);
  const publisher = await scene.openPublisher({ source: 'gateway-7' });
  for (let number = 1; number <= COUNT; number += 1) {
    await publisher.publish(Buffer.from(String(number)));
  }
  await publisher.close();
  const frames = await tail.through(({ body }) => body['state'] === 'closed');
  const [begin, ...rest] = frames;
  const { session } = publisher;
  const named = { kind: 'session', session, source: 'gateway-7' };
  assert.deepEqual(begin.body, { ...named, state: 'open' });
  assert.deepEqual(rest.pop()?.body, { ...named, state: 'closed' });
  assert.deepEqual(
    rest.map(({ kind, body }) => [kind, body['session'], body['position'], body['payload']]),
    Array.from({ length: COUNT }, (_, index) => {
      return ['message', session, index + 1, String(index + 1)];
    }),
  );
});
