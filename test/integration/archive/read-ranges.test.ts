// Many ranges in one pass against each of them read alone: on random courses of deliveries they
// tell the same, in any order of the ranges; and where they lie near each other they cost few
// statements.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as fc from 'fast-check';
import {
  findChannel,
  type MessageReading,
  openDatabase,
  type OpenDatabase,
  openRanges,
  openReading,
  type SessionRange,
} from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import { FOREIGN, play, SESSIONS, step } from '#test/support/archive-course.ts';
import { type Delivery, fillChannel, instantAt } from '#test/support/filled-archive.ts';
import { createTestDatabase, type TestDatabase } from '#test/support/postgres.ts';

const A = SESSIONS[0];
const UNHEARD = '00000000000000ff' as SessionId;

let database: TestDatabase;
let opened: OpenDatabase;
before(async () => {
  database = await createTestDatabase();
  opened = openDatabase({
    url: database.url,
    poolConnectionsMax: 2,
    applicationName: 'ranges test',
    statementTimeoutMs: 10_000,
  });
});
after(async () => {
  await opened.close();
  await database[Symbol.asyncDispose]();
});

/** What a reading tells, message by message, and what it says of the rest. */
async function told(reading: MessageReading | undefined): Promise<readonly string[]> {
  if (reading === undefined) return ['never heard'];
  const texts: string[] = [];
  for (let isLast = false; !isLast; ) {
    const page = await reading.nextPage(Number.MAX_SAFE_INTEGER);
    ({ isLast } = page);
    for (const entry of page.entries) {
      if (entry.kind !== 'messages') {
        texts.push(`${entry.kind} ${entry.session} ${entry.first}–${entry.last}`);
        continue;
      }
      const { firstSequence: first, throughSequence, segment, firstIndex } = entry;
      for (let index = 0; index < entry.messageCount; index += 1) {
        const at = segment.firstPosition + firstIndex + index;
        texts.push(`${at}:${entry.session}:${first + index}`);
      }
      texts.push(`through ${throughSequence}`);
    }
  }
  return [...texts, JSON.stringify(reading.unsettled ?? 'settled')];
}

const someRanges = fc.array(
  fc.record({
    session: fc.constantFrom(...SESSIONS, UNHEARD),
    first: fc.integer({ min: 1, max: 20 }),
    count: fc.integer({ min: 1, max: 6 }),
  }),
  { minLength: 1, maxLength: 9 },
);
let made = 0;

test('many ranges in one pass tell what each of them tells alone', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 12 }),
      someRanges,
      fc.boolean(),
      async (steps, drawn, isSorted) => {
        const name = `ranges-${(made += 1)}`;
        const sessions = new Map([[FOREIGN, { isForeign: true }]]);
        await fillChannel(database.url, { name, deliveries: play(steps).deliveries, sessions });
        const channel = await findChannel(opened.database, name);
        const all = drawn.map(({ session, first, count }): SessionRange => {
          return { session, first, last: first + count - 1 };
        });
        const ranges = isSorted ? all.toSorted((one, other) => one.first - other.first) : all;
        const answers = await openRanges(opened, channel, ranges);
        assert.deepEqual(
          answers.map(({ range }) => range),
          ranges,
        );
        for (const { range, reading } of answers) {
          const request = { kind: 'sequences', ...range, order: 'asc' } as const;
          const alone = await openReading(opened, channel, request).catch(() => undefined);
          assert.deepEqual(await told(reading), await told(alone), JSON.stringify(range));
        }
      },
    ),
    { numRuns: 60, interruptAfterTimeLimit: 30_000 },
  );
});

async function statementsOf(work: () => Promise<unknown>): Promise<number> {
  let count = 0;
  const counted = (): void => {
    count += 1;
  };
  opened.pool.on('acquire', counted);
  await work();
  opened.pool.off('acquire', counted);
  return count;
}

test('a hundred ranges of a few segments cost a few statements', async (t) => {
  const perSegment = 1_000;
  const deliveries = [0, 1, 2].map((segment): Delivery => {
    const messages = Array.from({ length: perSegment }, (_, index) => {
      const sequence = segment * perSegment + index + 1;
      const payload = Buffer.from('x');
      return { session: A, sequence, publishedAtUs: instantAt(segment), payload };
    });
    return { kind: 'segment', archivedAtUs: instantAt(segment + 1), messages };
  });
  await fillChannel(database.url, { name: 'dense', deliveries });
  const channel = await findChannel(opened.database, 'dense');
  const ranges = Array.from({ length: 100 }, (_, index) => {
    return { session: A, first: 30 * index + 3, last: 30 * index + 5 };
  });
  let count = 0;
  const statements = await statementsOf(async () => {
    for (const { reading } of await openRanges(opened, channel, ranges)) {
      assert.ok(reading !== undefined);
      for (let isLast = false; !isLast; ) {
        const page = await reading.nextPage(Number.MAX_SAFE_INTEGER);
        ({ isLast } = page);
        count += page.messageCount;
      }
    }
  });
  t.diagnostic(`${statements} statements`);
  assert.equal(count, 300);
  assert.ok(statements <= 12, `${statements} statements`);
});
