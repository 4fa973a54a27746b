// Merging against what was there before: random quiet channels (interleaved publishers, losses, a
// foreign source with numbers that name no message, hours and nights between segments) are read in
// many ways, then merged in random pieces, in random order, and read again. Not a letter of an
// answer may differ, and the auditor must find no more than before.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as fc from 'fast-check';
import {
  audit,
  findChannel,
  firstPositionOf,
  mergeGroup,
  type MessageRequest,
  type OpenDatabase,
  openReading,
  planMerges,
  type SegmentShape,
} from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import { openTestDatabase } from '#test/support/archive.ts';
import {
  type Delivery,
  fillChannel,
  instantAt,
  type SentMessage,
} from '#test/support/filled-archive.ts';
import { createTestDatabase, execute, type TestDatabase } from '#test/support/postgres.ts';

const SESSIONS = ['0000000000000001', '7fffffffffffffff', '0123456789abcdef'] as SessionId[];
const FOREIGN = SESSIONS[2];

let database: TestDatabase;
let opened: OpenDatabase;
before(async () => {
  database = await createTestDatabase();
  opened = openTestDatabase(database.url);
});
after(async () => {
  await opened.close();
  await database[Symbol.asyncDispose]();
});

/** A message, or what is lost of a session before it. */
const told = fc.record({
  session: fc.constantFrom(...SESSIONS),
  lost: fc.constantFrom(0, 0, 0, 0, 2),
  unused: fc.constantFrom(0, 0, 3),
  jitterSeconds: fc.integer({ min: -300, max: 300 }),
  payloadBytes: fc.constantFrom(0, 1, 40),
});

/** A segment, so long after the one before. */
const step = fc.record({
  afterSeconds: fc.constantFrom(1, 10, 600, 3_000, 40_000),
  told: fc.array(told, { minLength: 1, maxLength: 3 }),
});

/** Which segments are merged, as shares of all: from where, and how many at most. */
const piece = fc.record({
  from: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.integer({ min: 2, max: 12 }),
});

function play(steps: readonly (typeof step extends fc.Arbitrary<infer One> ? One : never)[]) {
  const next = new Map(SESSIONS.map((session) => [session, session === FOREIGN ? 4 : 1]));
  const deliveries: Delivery[] = [];
  let seconds = 0;
  for (const { afterSeconds, told: all } of steps) {
    seconds += afterSeconds;
    const messages: SentMessage[] = [];
    const losses: Extract<Delivery, { kind: 'loss' }>[] = [];
    for (const [index, { session, lost, unused, jitterSeconds, payloadBytes }] of all.entries()) {
      const first = next.get(session) ?? 1;
      const sequence = first + lost;
      const throughSequence = sequence + (session === FOREIGN ? unused : 0);
      next.set(session, throughSequence + 1);
      const detectedAtUs = instantAt(seconds);
      const positionsBehind = all.length - index;
      const range = { session, first, last: sequence - 1, detectedAtUs, positionsBehind };
      if (lost > 0) losses.push({ kind: 'loss', cause: 'corrupt', ...range });
      const publishedAtUs = instantAt(seconds + jitterSeconds);
      const payload = Buffer.alloc(payloadBytes, sequence);
      messages.push({ session, sequence, throughSequence, publishedAtUs, payload });
    }
    deliveries.push({ kind: 'segment', archivedAtUs: instantAt(seconds), messages }, ...losses);
  }
  return { deliveries, seconds };
}

const EVERYWHERE = { after: undefined, before: undefined };
const ALWAYS = { publishedFromUs: undefined, publishedToUs: undefined };

function requests(seconds: number): MessageRequest[] {
  const orders = ['asc', 'desc'] as const;
  const shares = [0.1, 0.45, 0.8, 1.2];
  const times = shares.map((share) => instantAt(seconds * share));
  return orders.flatMap((order): MessageRequest[] => [
    { kind: 'positions', ...EVERYWHERE, ...ALWAYS, order },
    { kind: 'positions', after: 2, before: 9, ...ALWAYS, order },
    ...times.flatMap((from, index) =>
      times.slice(index).map(
        (to): MessageRequest => ({
          kind: 'positions',
          ...EVERYWHERE,
          publishedFromUs: from,
          publishedToUs: to + 1,
          order,
        }),
      ),
    ),
    ...SESSIONS.flatMap((session): MessageRequest[] => [
      { kind: 'sequences', session, first: undefined, last: undefined, order },
      { kind: 'sequences', session, first: 5, last: 11, order },
    ]),
  ]);
}

/** Everything that an answer says, line by line. */
async function answer(name: string, request: MessageRequest, pageMessages: number) {
  const channel = await findChannel(opened.database, name);
  const reading = await openReading(opened, channel, request);
  const lines = [`through ${reading.archivedThrough} ${JSON.stringify(reading.unsettled)}`];
  for (;;) {
    const page = await reading.nextPage(pageMessages);
    for (const entry of page.entries) {
      if (entry.kind !== 'messages') {
        lines.push(JSON.stringify(entry));
        continue;
      }
      const { segment, archivedAtUs, session, firstSequence } = entry;
      for (let count = 0; count < entry.messageCount; count += 1) {
        const step = request.order === 'asc' ? count : entry.messageCount - 1 - count;
        const index = entry.firstIndex + step;
        const bytes = segment.bytes.subarray(
          segment.payloadStarts[index],
          segment.payloadEnds[index],
        );
        lines.push(
          `${firstPositionOf(entry) + step} ${session} ${firstSequence + step} ` +
            `${segment.publishedAtUs[index]} ${archivedAtUs} ${bytes.toString('hex')}`,
        );
      }
    }
    if (page.isLast) return lines;
  }
}

async function everything(name: string, seconds: number): Promise<unknown> {
  const known = await execute(
    database.url,
    `SELECT lpad(to_hex(session_id), 16, '0') AS session FROM sessions
     JOIN channels USING (channel_id) WHERE name = '${name}'`,
  );
  const sessions = new Set(known.map((row) => row['session']));
  const answers: unknown[] = [];
  for (const request of requests(seconds)) {
    if (request.kind === 'sequences' && !sessions.has(request.session)) continue;
    answers.push([request, await answer(name, request, 4)]);
  }
  const [{ problems }] = await audit(opened.database, { channel: name });
  const view = await execute(
    database.url,
    `SELECT position, session, sequence, published_at::text, archived_at::text, payload
     FROM messages WHERE channel = '${name}' ORDER BY position`,
  );
  const between = await execute(
    database.url,
    `SELECT position, archived_at::text FROM messages_between('${name}', 3, 8)`,
  );
  return { answers, problems, view, between };
}

async function shapesOf(channelId: number): Promise<SegmentShape[]> {
  const { rows } = await opened.pool.query<SegmentShape>(
    `SELECT first_position AS "firstPosition", message_count AS "messageCount",
            payload_bytes AS "payloadBytes", archived_at AS "archivedAtUs"
     FROM segments WHERE channel_id = $1 ORDER BY first_position`,
    [channelId],
  );
  return rows;
}

let made = 0;

test('merged in whatever pieces, a channel gives the same answers to every question', async () => {
  let mergedCount = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 10, maxLength: 20 }),
      fc.array(piece, { minLength: 3, maxLength: 6 }),
      async (steps, pieces) => {
        const { deliveries, seconds } = play(steps);
        const name = `quiet-${(made += 1)}`;
        const sessions = new Map([[FOREIGN, { isForeign: true }]]);
        const channelId = await fillChannel(database.url, { name, deliveries, sessions });
        const before = await everything(name, seconds);
        for (const { from, length } of pieces) {
          const shapes = await shapesOf(channelId);
          const start = Math.floor(from * (shapes.length - 1));
          for (const parts of planMerges(shapes.slice(start, start + length), 2)) {
            assert.equal(await mergeGroup(opened.pool, { channelId, parts }), 'merged');
            mergedCount += parts.length;
          }
        }
        assert.deepEqual(await everything(name, seconds), before);
      },
    ),
    { numRuns: 12, interruptAfterTimeLimit: 60_000 },
  );
  assert.ok(mergedCount > 50, `${mergedCount} segments were merged`);
});
