// The spool on a real disk that is full: a small tmpfs of this file's own.

import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { diskStorage, Spool } from '#ingest/spool/mod.ts';
import { diskOf, smallDisk, testInNamespace } from '#test/support/namespace.ts';

const MEBIBYTE = 1_048_576;
const DISK_BYTES = 4 * MEBIBYTE;
const OPTIONS = { fileBytes: MEBIBYTE, filesMax: 64 };
const CONTENT = Buffer.alloc(10_000, 'x');

testInNamespace({
  file: import.meta.filename,
  kind: 'disk',
  surroundings: (resources) => diskOf(resources, DISK_BYTES),
  otherwise: async () => undefined,
  define: () => {
    test('a disk that fills makes the spool full, with room for what is urgent', async () => {
      const path = join(smallDisk(), 'filled');
      await using spool = await Spool.open({ storage: diskStorage(path), ...OPTIONS });
      while (spool.append(CONTENT) !== undefined) {
        await spool.flush();
      }
      assert.equal(spool.isDiskFull, true);
      assert.ok(spool.lastNumber > 200, `${spool.lastNumber} entries`);
      for (let count = 0; count < 20; count += 1) assert.ok(spool.append(CONTENT, true));
      await spool.flush();
      await spool[Symbol.asyncDispose]();
      await using again = await Spool.open({ storage: diskStorage(path), ...OPTIONS });
      assert.deepEqual(again.damaged, []);
      assert.equal(again.lastNumber, spool.lastNumber);
      await rm(path, { recursive: true });
    });

    test('a disk that is full already takes nothing, until there is room', async () => {
      const path = join(smallDisk(), 'late');
      const ballast = join(smallDisk(), 'ballast');
      await writeFile(ballast, Buffer.alloc(DISK_BYTES - 200_000));
      await using spool = await Spool.open({ storage: diskStorage(path), ...OPTIONS });
      spool.append(CONTENT);
      await assert.rejects(spool.flush(), { code: 'BACKCAST_SPOOL_UNUSABLE', message: /ENOSPC/ });
      assert.equal(spool.append(CONTENT), undefined);
      await assert.rejects(spool.revive(), { code: 'BACKCAST_SPOOL_UNUSABLE' });
      await rm(ballast);
      await spool.revive();
      assert.ok(spool.append(CONTENT));
      await spool.flush();
      assert.equal(spool.durableThrough, spool.lastNumber);
    });
  },
});
