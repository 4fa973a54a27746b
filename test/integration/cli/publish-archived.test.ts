// `publish --until archived` as a process, against a real archiver: what it says, and how it ends.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setScene } from '#test/support/archiving.ts';
import { runBackcast } from '#test/support/cli.ts';
import { createTestFolder } from '#test/support/folder.ts';

test('publish until archived says what is archived and after how long', async () => {
  await using scene = await setScene();
  await using folder = await createTestFolder();
  await using archiver = await scene.startArchiver({ acknowledge: ['*'] });
  const file = join(folder.path, 'backcast.yaml');
  await writeFile(file, 'publisher: { lingerMs: 50 }\n');
  const { group, port } = scene.address;
  const place = ['publish', scene.channel, '--config', file, '--group', `${group}:${port}`];
  const durable = [...place, '--until', 'archived', '--count', '50'];
  const all = await runBackcast(durable);
  assert.equal(all.end, 0, all.stderr);
  assert.match(all.stderr, /^archived 50, after \d+\.\d ms \(half\), \d+\.\d ms \(p99\)$/m);
  await archiver.stop();
  const none = await runBackcast([...durable, '--timeout-ms', '300']);
  assert.equal(none.end, 1);
  assert.match(none.stderr, /^archived 0, 50 BACKCAST_ARCHIVE_TIMEOUT$/m);
  const bound = ['--unarchived-bytes', '1000', '--size', '2000'];
  const stuck = await runBackcast([...durable, ...bound, '--timeout-ms', '300']);
  assert.equal(stuck.end, 1);
  assert.match(stuck.stderr, /\(BACKCAST_PUBLISH_TIMEOUT\)/);
});
