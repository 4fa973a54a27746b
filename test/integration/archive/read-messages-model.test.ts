// Reading against a model: random courses of deliveries are read in random ways and page sizes, by
// one reader and by several who share their reads; the model picks the same from a plain list.
// Losses in an interval of publish times are a matter of judgement and have tests of their own.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as fc from 'fast-check';
import {
  audit,
  firstPositionOf,
  type MessageRequest,
  openDatabase,
  type OpenDatabase,
  openChannel,
  openReading,
  type PositionRequest,
  type ReadDatabase,
  type SequenceRequest,
  type SharedReads,
  shareReads,
} from '#archive/mod.ts';
import type { SequenceRange, SessionId } from '#base/mod.ts';
import {
  type Course,
  FOREIGN,
  FOREIGN_FIRST,
  play,
  request,
  step,
  type Step,
} from '#test/support/archive-course.ts';
import { fillChannel, type SentMessage } from '#test/support/filled-archive.ts';
import { createTestDatabase, type TestDatabase } from '#test/support/postgres.ts';

let database: TestDatabase;
let opened: OpenDatabase;
let shared: SharedReads;
before(async () => {
  database = await createTestDatabase();
  opened = openDatabase({
    url: database.url,
    poolConnectionsMax: 4,
    applicationName: 'read test',
    statementTimeoutMs: 10_000,
  });
  shared = shareReads(opened, 16 * 1_048_576);
});
after(async () => {
  await opened.close();
  await database[Symbol.asyncDispose]();
});

interface Expected {
  readonly key: number;
  readonly text: string;
}

/**
 * What should come, in order, as text: "position:session:sequence" and "lost session first–last".
 */
function expected(course: Course, wanted: MessageRequest): string[] {
  const found =
    wanted.kind === 'sequences' ? expectedOf(course, wanted) : expectedAt(course, wanted);
  const texts = found.toSorted((a, b) => a.key - b.key).map((entry) => entry.text);
  return wanted.order === 'asc' ? texts : texts.toReversed();
}

function expectedOf(course: Course, wanted: SequenceRequest): Expected[] {
  const lost = course.losses.filter((loss) => loss.session === wanted.session);
  const stored = course.messages.filter((message) => message.session === wanted.session);
  const ends = [
    ...lost.map((loss) => loss.last),
    ...stored.map((one) => one.throughSequence ?? one.sequence),
  ];
  const isForeign = wanted.session === FOREIGN;
  const first = wanted.first ?? (isForeign ? FOREIGN_FIRST : 1);
  const last = Math.min(wanted.last ?? Infinity, Math.max(...ends));
  const messages = stored
    .filter(({ sequence }) => sequence >= first && sequence <= last)
    .map((message) => ({ key: message.sequence, text: messageText(message) }));
  const losses = lost
    .map((loss) => ({ first: Math.max(loss.first, first), last: Math.min(loss.last, last) }))
    .filter((range) => range.first <= range.last)
    .map((range) => ({ key: range.first, text: lossText({ ...wanted, ...range }) }));
  const before = { ...wanted, first, last: Math.min(last, FOREIGN_FIRST - 1) };
  const isBefore = isForeign && first <= before.last;
  const neverHeard = isBefore ? [{ key: 0, text: lossText(before) }] : [];
  return [...neverHeard, ...messages, ...losses];
}

function expectedAt(course: Course, wanted: PositionRequest): Expected[] {
  const { after = 0, before = Infinity } = wanted;
  const { publishedFromUs = -Infinity, publishedToUs = Infinity } = wanted;
  const end = Math.min(before, course.messages.length + 1);
  const messages = course.messages
    .filter(({ position }) => position > after && position < end)
    .filter((one) => one.publishedAtUs >= publishedFromUs && one.publishedAtUs < publishedToUs)
    .map((message) => ({ key: message.position, text: messageText(message) }));
  if (isTimed(wanted)) return messages;
  const losses = course.losses
    .toSorted((a, b) =>
      a.session < b.session ? -1 : a.session > b.session ? 1 : a.first - b.first,
    )
    .map((loss) => ({ place: course.lossPlaces.get(loss) ?? 0, loss }))
    .filter(({ place }) => place >= after && place < Math.max(end, after + 1))
    .map(({ place, loss }) => ({ key: place + 0.5, text: lossText(loss) }));
  return [...messages, ...losses];
}

function messageText(message: SentMessage & { readonly position: number }): string {
  return `${message.position}:${message.session}:${message.sequence}`;
}

function lossText(loss: SequenceRange & { readonly session: SessionId }): string {
  return `lost ${loss.session} ${loss.first}–${loss.last}`;
}

/** What comes, page by page, each page begun afresh from `resume` if `isStateless`. */
async function actual(
  reads: ReadDatabase,
  name: string,
  wanted: MessageRequest,
  messagesMax: number,
  isStateless: boolean,
): Promise<string[]> {
  const channel = await openChannel(reads, name);
  let reading = await openReading(reads, channel, wanted);
  const texts: string[] = [];
  for (;;) {
    const page = await reading.nextPage(messagesMax);
    assert.ok(page.messageCount <= messagesMax, 'a page holds at most what was asked for');
    for (const entry of page.entries) {
      if (entry.kind === 'loss') {
        texts.push(lossText(entry));
        continue;
      }
      if (entry.kind === 'deletion') {
        texts.push(`deleted ${entry.session} ${entry.first}–${entry.last}`);
        continue;
      }
      for (let count = 0; count < entry.messageCount; count += 1) {
        const index = wanted.order === 'asc' ? count : entry.messageCount - 1 - count;
        const position = firstPositionOf(entry) + index;
        texts.push(`${position}:${entry.session}:${entry.firstSequence + index}`);
      }
    }
    if (page.isLast) return texts;
    if (isStateless) reading = await openReading(reads, channel, reading.resume);
  }
}

function isTimed(wanted: MessageRequest): boolean {
  if (wanted.kind === 'sequences') return false;
  return wanted.publishedFromUs !== undefined || wanted.publishedToUs !== undefined;
}

const EVERYWHERE = {
  kind: 'positions',
  publishedFromUs: undefined,
  publishedToUs: undefined,
} as const;
/** Seed 588526927: an empty interval read downwards left the loss at its edge out. */
const LOSS_AT_AN_EMPTY_EDGE: [Step[], { request: MessageRequest; messagesMax: number }[]] = [
  [
    {
      kind: 'segment',
      picks: [0, 0, 0],
      jitters: [0, 0, 0, 0, 0, 0],
      holes: [0, 0, 0],
      unused: [0, 0, 0],
    },
    { kind: 'loss', session: 0, count: 1 },
  ],
  [{ request: { ...EVERYWHERE, after: 3, before: 3, order: 'desc' }, messagesMax: 1 }],
];

/** As many messages as there are. */
const WIDE = 100_000;

let made = 0;

test('every way of reading, alone or with others, gives what the model gives', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 12 }),
      fc.array(fc.record({ request, messagesMax: fc.integer({ min: 1, max: 9 }) }), {
        minLength: 6,
        maxLength: 6,
      }),
      async (steps, questions) => {
        const course = play(steps);
        const name = `model-${(made += 1)}`;
        const sessions = new Map([[FOREIGN, { isForeign: true }]]);
        await fillChannel(database.url, { name, deliveries: course.deliveries, sessions });
        const known = new Set([...course.messages, ...course.losses].map((one) => one.session));
        for (const question of questions) {
          const wanted = question.request;
          if (wanted.kind === 'sequences' && !known.has(wanted.session)) continue;
          const want = expected(course, wanted);
          const { messagesMax } = question;
          const alone = await actual(opened, name, wanted, messagesMax, false);
          const together = [
            actual(shared.begin(), name, wanted, messagesMax, false),
            actual(shared.begin(), name, wanted, messagesMax, true),
            actual(shared.begin(), name, wanted, WIDE, false),
          ];
          for (const got of [alone, ...(await Promise.all(together))]) {
            const shown = isTimed(wanted) ? got.filter((text) => !text.startsWith('lost')) : got;
            assert.deepEqual(shown, want, JSON.stringify(wanted));
          }
        }
      },
    ),
    { numRuns: 50, interruptAfterTimeLimit: 60_000, examples: [LOSS_AT_AN_EMPTY_EDGE] },
  );
  const audits = await audit(opened.database);
  assert.deepEqual(
    audits.flatMap(({ problems }) => problems),
    [],
    'what was read is what an archiver writes',
  );
});
