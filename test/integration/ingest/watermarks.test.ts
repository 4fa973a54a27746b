// What an archiver says of itself in the database: how far it has got, beside who it is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findChannel, listArchivers } from '#archive/mod.ts';
import { setScene } from '#test/support/archiving.ts';
import { until } from '#test/support/until.ts';

const COUNT = 50;

test('a writing archiver and one that stands by say how far they are', async () => {
  await using scene = await setScene();
  const { database, channel } = scene;
  await using writing = await scene.startArchiver({ holder: 'writes' });
  await using standing = await scene.startArchiver({ holder: 'stands by' });
  assert.ok(writing !== standing);
  const publisher = await scene.openPublisher();
  for (let number = 1; number <= COUNT; number += 1) await publisher.publish(Buffer.from('x'));
  await publisher.close();
  await scene.accounted(COUNT);
  const { channelId } = await findChannel(database, channel);
  const archivers = await until('both are through', async () => {
    const found = await listArchivers(database, [channelId]);
    return found.length === 2 && found.every(({ spooled }) => spooled === COUNT) && found;
  });
  assert.deepEqual(
    archivers.map(({ name, received }) => [name, received]),
    [
      ['stands by', COUNT],
      ['writes', COUNT],
    ],
  );
  assert.equal(archivers.filter(({ isWriting }) => isWriting).length, 1);
});
