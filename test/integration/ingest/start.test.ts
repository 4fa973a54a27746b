// An archiver that is started before its database.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { migrateToLatest, startEmbeddedPostgres } from '#archive/mod.ts';
import { setScene } from '#test/support/archiving.ts';
import { startBackcast } from '#test/support/cli.ts';
import { createTestFolder } from '#test/support/folder.ts';

const END_MS_MAX = 3_000;

test('an archiver waits for its database, says so, and records when it is there', async () => {
  await using folder = await createTestFolder();
  const homeDir = folder.path;
  let server = await startEmbeddedPostgres({ homeDir });
  await using _server = { [Symbol.asyncDispose]: () => server.stop() };
  const { url: databaseUrl } = server;
  await migrateToLatest({ url: databaseUrl });
  await using scene = await setScene({ databaseUrl });
  const config = { databaseUrl, channels: [{ name: scene.channel, ...scene.address }] };
  const configFile = join(homeDir, 'backcast.yaml');
  await writeFile(configFile, JSON.stringify(config));
  await server.stop();
  const archiver = startBackcast(['archive', '--config', configFile, '--home', homeDir]);
  const said: string[] = [];
  for await (const line of createInterface(archiver.stderr)) {
    const { msg } = JSON.parse(line) as { readonly msg: string };
    said.push(msg);
    if (msg === 'database is away, waiting for it')
      server = await startEmbeddedPostgres({ homeDir });
    if (msg === 'recording') archiver.kill('SIGTERM');
  }
  assert.deepEqual(
    said.filter((msg) => msg.startsWith('database')),
    ['database is away, waiting for it', 'database is there'],
  );
  assert.ok(said.includes('recording'));
});

test('an archiver that waits for its database ends at once when it is told to', async () => {
  await using folder = await createTestFolder();
  const args = ['archive', '--home', folder.path, '--database-url', 'postgres://127.0.0.1:1/none'];
  const archiver = startBackcast(args);
  await once(createInterface(archiver.stderr), 'line');
  const closed = once(archiver, 'close');
  const startedAtMs = performance.now();
  archiver.kill('SIGTERM');
  await closed;
  assert.ok(performance.now() - startedAtMs < END_MS_MAX);
});
