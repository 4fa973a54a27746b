// The spool on a disk that is full, fails, forgets or has been tampered with.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackcastError, seededRandom } from '#base/mod.ts';
import { Spool } from '#ingest/spool/mod.ts';
import { SimulatedDisk } from '#test/support/simulated-disk.ts';

const FILE_BYTES = 1_024;
/** With headers, four entries of this size fill a file. */
const CONTENT_BYTES = 200;

function openOn(disk: SimulatedDisk, filesMax = 4): Promise<Spool> {
  return Spool.open({ storage: disk.mount(), fileBytes: FILE_BYTES, filesMax });
}

function content(index: number): Uint8Array {
  return Buffer.alloc(CONTENT_BYTES, `entry ${index};`);
}

async function fill(spool: Spool, count: number): Promise<void> {
  for (let index = 1; index <= count; index += 1) spool.append(content(spool.lastNumber + 1));
  await spool.flush();
}

async function numbersOf(spool: Spool): Promise<number[]> {
  const numbers: number[] = [];
  for (;;) {
    const entries = await spool.read(numbers.at(-1) ?? 0);
    if (entries.length === 0) return numbers;
    for (const { number, content: found } of entries) {
      assert.deepEqual(found, content(number));
      numbers.push(number);
    }
  }
}

/** Where in the first file the content of its nth entry begins. */
function contentBit(nth: number): number {
  return (32 + (nth - 1) * (32 + CONTENT_BYTES) + 32) * 8;
}

test('a full spool takes nothing more, but for urgent entries', async () => {
  const disk = new SimulatedDisk();
  const spool = await openOn(disk, 2);
  await fill(spool, 4);
  assert.equal(spool.append(content(5)), undefined);
  assert.equal(spool.append(content(5), true), 5);
  await spool.flush();
  assert.equal(spool.diskBytes, 2 * FILE_BYTES);
  await spool.trim(4);
  assert.equal(spool.append(content(6)), 6);
});

test('what was trimmed gives its room to what comes', async () => {
  const disk = new SimulatedDisk();
  disk.faults.bytesMax = 3 * FILE_BYTES;
  const spool = await openOn(disk, 3);
  for (let round = 0; round < 20; round += 1) {
    await fill(spool, 4);
    await spool.trim(spool.durableThrough);
  }
  assert.equal(spool.lastNumber, 80);
  assert.ok(spool.diskBytes <= 3 * FILE_BYTES);
});

test('a flipped bit costs its entry and no other', async () => {
  const disk = new SimulatedDisk();
  await fill(await openOn(disk), 10);
  disk.flip(disk.names[0] ?? '', contentBit(2) + 5);
  const again = await openOn(disk);
  assert.deepEqual(again.damaged, [{ first: 2, last: 2 }]);
  assert.deepEqual(await numbersOf(again), [1, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test('any flipped bit of any file costs no more than that file', async () => {
  const random = seededRandom(7);
  for (let round = 0; round < 200; round += 1) {
    const disk = new SimulatedDisk();
    await fill(await openOn(disk), 12);
    const [, second = ''] = disk.names;
    disk.flip(second, Math.floor(random() * FILE_BYTES * 8));
    const again = await openOn(disk);
    const numbers = await numbersOf(again);
    const missing = again.damaged.flatMap(({ first, last }) => {
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
    assert.ok(missing.every((number) => number >= 5 && number <= 8));
    const all = [...numbers, ...missing].toSorted((a, b) => a - b);
    assert.deepEqual(
      all,
      Array.from({ length: 12 }, (_, index) => index + 1),
    );
  }
});

test('a file that is gone is damage, not an end', async () => {
  const disk = new SimulatedDisk();
  await fill(await openOn(disk), 12);
  disk.lose(disk.names[1] ?? '');
  const again = await openOn(disk);
  assert.deepEqual(again.damaged, [{ first: 5, last: 8 }]);
  assert.deepEqual(await numbersOf(again), [1, 2, 3, 4, 9, 10, 11, 12]);
});

test('a file whose header is damaged is kept aside and its entries are damage', async () => {
  const disk = new SimulatedDisk();
  await fill(await openOn(disk), 12);
  const [, second = ''] = disk.names;
  disk.flip(second, 3);
  const again = await openOn(disk);
  assert.deepEqual(again.damaged, [{ first: 5, last: 8 }]);
  assert.ok(disk.names.includes(`${second}.damaged`));
});

test('damage in the first file is known by its name', async () => {
  const disk = new SimulatedDisk();
  await fill(await openOn(disk), 8);
  disk.flip(disk.names[0] ?? '', 3);
  const again = await openOn(disk);
  assert.deepEqual(again.damaged, [{ first: 1, last: 4 }]);
  assert.deepEqual(await numbersOf(again), [5, 6, 7, 8]);
});

test('a disk without room makes the spool unusable, and what was durable stays', async () => {
  const disk = new SimulatedDisk();
  disk.faults.bytesMax = FILE_BYTES;
  const spool = await openOn(disk);
  await fill(spool, 4);
  spool.append(content(5));
  await assert.rejects(spool.flush(), isUnusable);
  await assert.rejects(spool.flush(), isUnusable);
  assert.equal(spool.durableThrough, 4);
  assert.deepEqual(await numbersOf(spool), [1, 2, 3, 4]);
});

test('after a failed sync everything not durable is written to another file', async () => {
  const disk = new SimulatedDisk();
  const spool = await openOn(disk);
  await fill(spool, 2);
  disk.faults.failSync = true;
  await fill(spool, 1);
  assert.equal(spool.durableThrough, 3);
  disk.crash(() => 0.9);
  const again = await openOn(disk);
  assert.deepEqual(again.damaged, []);
  assert.deepEqual(await numbersOf(again), [1, 2, 3]);
});

test('what was written but not synced before a crash is never half there', async () => {
  const disk = new SimulatedDisk();
  const spool = await openOn(disk);
  await fill(spool, 2);
  spool.append(content(3));
  spool.append(content(4));
  disk.faults.failSync = true;
  const flushing = spool.flush();
  for (let turn = 0; turn < 4; turn += 1) await Promise.resolve();
  disk.crash(seededRandom(3));
  const again = await openOn(disk);
  const numbers = await numbersOf(again);
  assert.deepEqual(numbers.slice(0, 2), [1, 2]);
  assert.deepEqual(again.damaged, []);
  void flushing;
});

function isUnusable(error: unknown): boolean {
  return error instanceof BackcastError && error.code === 'BACKCAST_SPOOL_UNUSABLE';
}
