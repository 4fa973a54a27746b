// Segments that are fetched ahead of a reader who keeps up: by few statements, and never other
// messages than he would have got without.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openChannel, openReading, type SharedReads, shareReads } from '#archive/mod.ts';
import { openTestDatabase, SESSION_A } from '#test/support/archive.ts';
import { fillChannel, instantAt } from '#test/support/filled-archive.ts';
import { createTestDatabase, type TestDatabase } from '#test/support/postgres.ts';
import { EVERYTHING } from '#test/support/whole-reading.ts';

const SEGMENTS = 120;
const SEGMENT_MESSAGES = 1_000;
const MESSAGES = SEGMENTS * SEGMENT_MESSAGES;
const MEBIBYTE = 1_048_576;

let cloned: TestDatabase;
before(async () => {
  cloned = await createTestDatabase();
  const payload = Buffer.alloc(140, 'x');
  const deliveries = Array.from({ length: SEGMENTS }, (_, index) => ({
    kind: 'segment' as const,
    archivedAtUs: instantAt(index),
    messages: Array.from({ length: SEGMENT_MESSAGES }, (_unused, nth) => ({
      session: SESSION_A,
      sequence: index * SEGMENT_MESSAGES + nth + 1,
      publishedAtUs: instantAt(index),
      payload,
    })),
  }));
  await fillChannel(cloned.url, { name: 'busy', deliveries });
});
after(() => cloned[Symbol.asyncDispose]());

/** Reads on from `after`, with the next segments fetched ahead; gives the pages it took. */
async function readAhead(reads: SharedReads, after: number): Promise<number> {
  const view = reads.begin();
  const channel = await openChannel(view, 'busy');
  const reading = await openReading(view, channel, { ...EVERYTHING, after });
  let next = after + 1;
  for (let pages = 1; ; pages += 1) {
    const page = await reading.nextPage(MESSAGES);
    for (const entry of page.entries) {
      assert.ok(entry.kind === 'messages');
      assert.equal(entry.segment.firstPosition + entry.firstIndex, next);
      assert.equal(entry.firstSequence, next);
      next += entry.messageCount;
    }
    page.letGo?.();
    if (page.isLast) {
      assert.equal(next, MESSAGES + 1);
      return pages;
    }
    reading.prepare?.(MESSAGES);
  }
}

test('what is fetched ahead comes many segments to a statement', async () => {
  await using opened = openTestDatabase(cloned.url);
  let statements = 0;
  opened.pool.on('acquire', () => {
    statements += 1;
  });
  const pages = await readAhead(shareReads(opened, 64 * MEBIBYTE), 500);
  assert.ok(pages > SEGMENTS / 4, `${pages} pages`);
  assert.ok(statements < pages / 2, `${statements} statements for ${pages} pages`);
});

test('readers for whom little can be kept get everything as well', async () => {
  await using opened = openTestDatabase(cloned.url);
  const reads = shareReads(opened, 16 * MEBIBYTE);
  const places = Array.from({ length: 12 }, (_, index) => index * 7_777);
  await Promise.all(places.map((place) => readAhead(reads, place)));
});
