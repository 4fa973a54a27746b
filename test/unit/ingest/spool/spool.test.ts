// The spool on a disk that is full, fails, forgets or has been tampered with.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackcastError, seededRandom } from '#base/mod.ts';
import { Spool } from '#ingest/spool/mod.ts';
import { SimulatedDisk } from '#test/support/simulated-disk.ts';

const FILE_BYTES = 1_024;
/** With headers, four entries of this size fill a file. */
const CONTENT_BYTES = 192;
const HEADER_BYTES = 40;

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

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** The files with entries in them. */
function filled(disk: SimulatedDisk): string[] {
  return disk.names.filter((name) => name.endsWith('.spool'));
}

/** Where in the first file the content of its nth entry begins. */
function contentBit(nth: number): number {
  return (HEADER_BYTES + (nth - 1) * (32 + CONTENT_BYTES) + 32) * 8;
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
    const missing = again.damaged.flatMap(({ first, last }) => range(first, last));
    assert.ok(missing.every((number) => number >= 5 && number <= 8));
    const all = [...numbers, ...missing].toSorted((a, b) => a - b);
    assert.deepEqual(all, range(1, 12));
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

test('damage within what was written at once is damage, if more was written later', async () => {
  const disk = new SimulatedDisk();
  const spool = await openOn(disk);
  await fill(spool, 3);
  await fill(spool, 1);
  disk.flip(filled(disk)[0] ?? '', contentBit(2) + 5);
  const again = await openOn(disk);
  assert.deepEqual(again.damaged, [{ first: 2, last: 2 }]);
  assert.deepEqual(await numbersOf(again), [1, 3, 4]);
});

test('a header that is damaged is read from its copy', async () => {
  for (const index of [0, 1, 2]) {
    const disk = new SimulatedDisk();
    await fill(await openOn(disk), 12);
    disk.flip(filled(disk)[index] ?? '', 3);
    const again = await openOn(disk);
    assert.deepEqual(again.damaged, []);
    assert.deepEqual(await numbersOf(again), range(1, 12));
  }
});

test('a file without a header is kept aside and its entries are damage', async () => {
  const disk = new SimulatedDisk();
  await fill(await openOn(disk), 12);
  const [, second = ''] = filled(disk);
  disk.flip(second, 3);
  disk.flip(second, (FILE_BYTES - HEADER_BYTES) * 8 + 3);
  const again = await openOn(disk);
  assert.deepEqual(again.damaged, [{ first: 5, last: 8 }]);
  assert.deepEqual(await numbersOf(again), [1, 2, 3, 4, 9, 10, 11, 12]);
  assert.ok(disk.names.includes(`${second}.damaged`));
});

test('damage in the first file is known by its name', async () => {
  const disk = new SimulatedDisk();
  await fill(await openOn(disk), 8);
  const [first = ''] = filled(disk);
  disk.flip(first, 3);
  disk.flip(first, (FILE_BYTES - HEADER_BYTES) * 8 + 3);
  const again = await openOn(disk);
  assert.deepEqual(again.damaged, [{ first: 1, last: 4 }]);
  assert.deepEqual(await numbersOf(again), [5, 6, 7, 8]);
});

test('damage to the last entry is damage and not a torn end', async () => {
  for (const count of [1, 3, 4, 6]) {
    const disk = new SimulatedDisk();
    await fill(await openOn(disk), count);
    disk.flip(filled(disk).at(-1) ?? '', contentBit(((count - 1) % 4) + 1) + 5);
    const again = await openOn(disk);
    assert.deepEqual(again.damaged, [{ first: count, last: count }]);
    assert.equal(again.lastNumber, count);
  }
});

test('files are kept aside only for a while', async () => {
  const disk = new SimulatedDisk();
  for (let round = 0; round < 5; round += 1) {
    await fill(await openOn(disk), 2);
    const last = filled(disk).at(-1) ?? '';
    disk.flip(last, 3);
    disk.flip(last, (FILE_BYTES - HEADER_BYTES) * 8 + 3);
  }
  await openOn(disk);
  const aside = disk.names.filter((name) => name.endsWith('.damaged'));
  assert.ok(aside.length <= 3, aside.join());
});

test('a disk that cannot even hold a file makes the spool full', async () => {
  const disk = new SimulatedDisk();
  disk.faults.bytesMax = 0;
  const spool = await openOn(disk);
  spool.append(content(1));
  await assert.rejects(spool.flush(), isUnusable);
  assert.equal(spool.isDiskFull, true);
  assert.equal(spool.append(content(1)), undefined);
  assert.equal(spool.append(content(1), true), undefined);
  disk.faults.bytesMax = 2 * FILE_BYTES;
  await spool.revive();
  assert.equal(spool.append(content(2)), 2);
  await spool.flush();
  assert.equal(spool.durableThrough, 2);
});

test('a disk that is full in the middle still takes what is urgent', async () => {
  const disk = new SimulatedDisk();
  disk.faults.bytesMax = 3 * FILE_BYTES;
  const spool = await openOn(disk, 10);
  await fill(spool, 8);
  assert.equal(spool.isDiskFull, false);
  spool.append(content(9));
  await spool.flush();
  assert.equal(spool.isDiskFull, true);
  assert.equal(spool.append(content(10)), undefined);
  assert.equal(spool.append(content(10), true), 10);
  await spool.flush();
  assert.deepEqual(await numbersOf(spool), range(1, 10));
  await spool.trim(8);
  assert.equal(spool.append(content(11)), 11);
});

test('what was accepted and finds no room is forgotten, and is no damage', async () => {
  const disk = new SimulatedDisk();
  disk.faults.bytesMax = 2 * FILE_BYTES;
  const spool = await openOn(disk, 10);
  for (let index = 1; index <= 12; index += 1) spool.append(content(index));
  await assert.rejects(spool.flush(), isUnusable);
  assert.equal(spool.durableThrough, 8);
  disk.faults.bytesMax = 5 * FILE_BYTES;
  await spool.revive();
  assert.equal(spool.append(content(13)), 13);
  await spool.flush();
  const again = await openOn(disk);
  assert.deepEqual(again.damaged, []);
  assert.deepEqual(await numbersOf(again), [...range(1, 8), 13]);
});

test('a disk that fails twice makes the spool unusable until it is tried again', async () => {
  const disk = new SimulatedDisk();
  const spool = await openOn(disk);
  await fill(spool, 3);
  disk.faults.failAll = true;
  spool.append(content(4));
  await assert.rejects(spool.flush(), isUnusable);
  await assert.rejects(spool.revive(), isUnusable);
  await assert.rejects(spool.flush(), isUnusable);
  disk.faults.failAll = false;
  assert.deepEqual(await numbersOf(spool), [1, 2, 3]);
  await spool.revive();
  spool.append(content(5));
  await spool.flush();
  assert.deepEqual(await numbersOf(spool), [1, 2, 3, 5]);
  const again = await openOn(disk);
  assert.deepEqual(again.damaged, []);
  assert.deepEqual(await numbersOf(again), [1, 2, 3, 5]);
});

test('a file that the disk does not give costs itself only', async () => {
  const disk = new SimulatedDisk();
  await fill(await openOn(disk), 12);
  disk.faults.unreadable = filled(disk)[1];
  const again = await openOn(disk);
  assert.deepEqual(again.damaged, [{ first: 5, last: 8 }]);
  assert.deepEqual(await numbersOf(again), [1, 2, 3, 4, 9, 10, 11, 12]);
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
