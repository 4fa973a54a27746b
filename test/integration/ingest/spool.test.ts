// The spool on a real disk, with a process that is killed.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat, readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BackcastError } from '#base/mod.ts';
import { diskStorage, Spool } from '#ingest/spool/mod.ts';
import { createTestFolder } from '#test/support/folder.ts';

const WRITER = fileURLToPath(new URL('../../support/spool-writer.ts', import.meta.url));
const OPTIONS = { fileBytes: 65_536, filesMax: 64 };

test('what was durable is there after kill -9, ten times', { timeout: 60_000 }, async () => {
  await using folder = await createTestFolder();
  const path = join(folder.path, 'spool');
  let durable = 0;
  for (let round = 0; round < 10; round += 1) {
    const writer = spawn(process.execPath, [WRITER, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const closed = once(writer, 'close');
    let lines = 0;
    for await (const line of createInterface({ input: writer.stdout })) {
      durable = Number(line);
      lines += 1;
      if (lines === 3 + round) writer.kill('SIGKILL');
    }
    await closed;
    await using spool = await Spool.open({ storage: diskStorage(path), ...OPTIONS });
    assert.deepEqual(spool.damaged, []);
    assert.ok(spool.durableThrough >= durable);
    let last = 0;
    for (let entries = await spool.read(0); entries.length > 0; entries = await spool.read(last)) {
      for (const { number, content } of entries) {
        assert.equal(number, last + 1);
        assert.equal(Buffer.from(content).toString(), `entry ${number} `.repeat(20));
        last = number;
      }
    }
    assert.equal(last, spool.durableThrough);
  }
});

test('a folder in use is refused, and says by whom; a dead holder does not block', async () => {
  await using folder = await createTestFolder();
  const storage = diskStorage(folder.path);
  const first = await Spool.open({ storage, ...OPTIONS });
  await assert.rejects(Spool.open({ storage, ...OPTIONS }), (error) => {
    assert.ok(error instanceof BackcastError);
    assert.equal(error.code, 'BACKCAST_SPOOL_UNUSABLE');
    assert.match(error.message, new RegExp(`process ${process.pid} `));
    return true;
  });
  await first[Symbol.asyncDispose]();
  await using writer = new AsyncDisposableStack();
  const child = spawn(process.execPath, [WRITER, folder.path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  writer.defer(async () => {
    child.kill('SIGKILL');
    await closed;
  });
  await once(child.stdout, 'data');
  await assert.rejects(Spool.open({ storage, ...OPTIONS }), {
    message: new RegExp(`process ${child.pid} `),
  });
  child.kill('SIGKILL');
  await closed;
  await using spool = await Spool.open({ storage, ...OPTIONS });
  assert.ok(spool.lastNumber > 0);
});

test('a lock of another container holds as long as it is touched', async () => {
  await using folder = await createTestFolder();
  const lock = join(folder.path, 'lock');
  await writeFile(lock, '1 elsewhere elsewhere/boot/pid 5 1\n');
  const touching = setInterval(() => void utimes(lock, new Date(), new Date()), 500);
  const storage = diskStorage(folder.path);
  await assert.rejects(Spool.open({ storage, ...OPTIONS }), { message: /process 1 on elsewhere/ });
  clearInterval(touching);
  await using spool = await Spool.open({ storage, ...OPTIONS });
  assert.equal(spool.isOpen, true);
});

test('a file takes its room from the disk when it is made', async () => {
  await using folder = await createTestFolder();
  await using spool = await Spool.open({ storage: diskStorage(folder.path), ...OPTIONS });
  spool.append(Buffer.from('one'));
  await spool.flush();
  const [name = ''] = (await readdir(folder.path)).filter((it) => it.endsWith('.spool'));
  const { size, blocks } = await stat(join(folder.path, name));
  assert.equal(size, OPTIONS.fileBytes);
  assert.ok(blocks * 512 >= OPTIONS.fileBytes);
  assert.equal((await readFile(join(folder.path, name))).length, OPTIONS.fileBytes);
});

test('a folder that cannot be used is an error that says what to do', async () => {
  await using folder = await createTestFolder();
  const path = join(folder.path, 'file', 'spool');
  await writeFile(join(folder.path, 'file'), '');
  await assert.rejects(Spool.open({ storage: diskStorage(path), ...OPTIONS }), (error) => {
    assert.ok(error instanceof BackcastError);
    assert.equal(error.code, 'BACKCAST_SPOOL_UNUSABLE');
    return true;
  });
});
