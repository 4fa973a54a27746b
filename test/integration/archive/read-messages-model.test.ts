// Reading against a model: random courses of deliveries (interleaved publishers, losses, days,
// publish times out of order, a foreign session with numbers that name no message) are read in
// random ways and page sizes; the model picks the same from a plain list. Losses in an interval of
// publish times are a matter of judgement and have tests of their own.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as fc from 'fast-check';
import {
  audit,
  findChannel,
  firstPositionOf,
  type MessageRequest,
  openDatabase,
  type OpenDatabase,
  openReading,
  type PositionRequest,
  type SequenceRequest,
} from '#archive/mod.ts';
import type { SequenceRange, SessionId } from '#base/mod.ts';
import {
  type Delivery,
  fillChannel,
  instantAt,
  type SentMessage,
} from '#test/support/filled-archive.ts';
import { createTestDatabase, type TestDatabase } from '#test/support/postgres.ts';

const SESSIONS = ['0000000000000001', '7fffffffffffffff', '0123456789abcdef'] as SessionId[];
/** Its source is foreign: it begins anywhere, and not all of its numbers are messages. */
const FOREIGN = SESSIONS[2];
const FOREIGN_FIRST = 4;
const DAY_SECONDS = 86_400;

let database: TestDatabase;
let opened: OpenDatabase;
before(async () => {
  database = await createTestDatabase();
  opened = openDatabase({
    url: database.url,
    poolConnectionsMax: 4,
    applicationName: 'read test',
    statementTimeoutMs: 10_000,
  });
});
after(async () => {
  await opened.close();
  await database[Symbol.asyncDispose]();
});

type Step =
  | {
      readonly kind: 'segment';
      readonly picks: readonly number[];
      readonly jitters: readonly number[];
      /** Per message how many sequences before it are lost, and how many behind it are unused. */
      readonly holes: readonly number[];
      readonly unused: readonly number[];
    }
  | { readonly kind: 'loss'; readonly session: number; readonly count: number }
  /** Of an earlier loss, `count` sequences behind its first `skipped` ones turn up. */
  | {
      readonly kind: 'heal';
      readonly loss: number;
      readonly skipped: number;
      readonly count: number;
      readonly isReversed: boolean;
    }
  | { readonly kind: 'night' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('segment' as const),
      picks: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 6 }),
      jitters: fc.array(fc.integer({ min: -20, max: 20 }), { minLength: 6, maxLength: 6 }),
      holes: fc.array(fc.constantFrom(0, 0, 0, 3), { minLength: 6, maxLength: 6 }),
      unused: fc.array(fc.constantFrom(0, 0, 3), { minLength: 6, maxLength: 6 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('loss' as const),
      session: fc.integer({ min: 0, max: 2 }),
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('heal' as const),
      loss: fc.nat(9),
      skipped: fc.nat(2),
      count: fc.integer({ min: 1, max: 3 }),
      isReversed: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'night' as const }) },
);

const bounds = fc
  .record({
    after: fc.option(fc.integer({ min: 0, max: 30 }), { nil: undefined }),
    before: fc.option(fc.integer({ min: 1, max: 30 }), { nil: undefined }),
  })
  .filter(({ after = 0, before = 30 }) => after <= before);
const order = fc.constantFrom('asc' as const, 'desc' as const);
const published = fc.record({
  publishedFromUs: fc.option(fc.integer({ min: -20, max: 60 }).map(instantAt), { nil: undefined }),
  publishedToUs: fc.integer({ min: -20, max: 2 * DAY_SECONDS }).map(instantAt),
});
const always = fc.constant({ publishedFromUs: undefined, publishedToUs: undefined });
const request: fc.Arbitrary<MessageRequest> = fc.oneof(
  fc.record({ bounds, published: fc.oneof(always, published), order }).map((one) => ({
    kind: 'positions' as const,
    ...one.bounds,
    ...one.published,
    order: one.order,
  })),
  fc.record({
    kind: fc.constant('sequences' as const),
    session: fc.constantFrom(...SESSIONS),
    first: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined }),
    last: fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
    order,
  }),
);

type LossDelivery = Extract<Delivery, { kind: 'loss' }>;

interface Course {
  readonly deliveries: readonly Delivery[];
  readonly messages: readonly (SentMessage & { readonly position: number })[];
  /** Those that are not healed. */
  readonly losses: readonly LossDelivery[];
  readonly lossPlaces: ReadonlyMap<Delivery, number>;
}

function play(steps: readonly Step[]): Course {
  const next = new Map(
    SESSIONS.map((session) => [session, session === FOREIGN ? FOREIGN_FIRST : 1]),
  );
  const messages: (SentMessage & { position: number })[] = [];
  const deliveries: Delivery[] = [];
  const lossPlaces = new Map<Delivery, number>();
  let seconds = 0;
  const take = (session: SessionId, count: number): number => {
    const first = next.get(session) ?? 1;
    next.set(session, first + count);
    return first;
  };
  for (const taken of steps) {
    seconds += taken.kind === 'night' ? DAY_SECONDS : 1;
    if (taken.kind === 'segment') {
      const holes: LossDelivery[] = [];
      const sent = taken.picks.map((pick, index) => {
        const session = SESSIONS[pick];
        const count = taken.holes[index];
        const first = take(session, count);
        const hole = { kind: 'loss' as const, session, first, last: first + count - 1 };
        const positionsBehind = taken.picks.length - index;
        const detectedAtUs = instantAt(seconds);
        if (count > 0) holes.push({ ...hole, cause: 'corrupt', positionsBehind, detectedAtUs });
        const unused = session === FOREIGN ? taken.unused[index] : 0;
        const sequence = take(session, 1 + unused);
        return {
          session,
          sequence,
          throughSequence: sequence + unused,
          publishedAtUs: instantAt(seconds + taken.jitters[index]),
          payload: Buffer.from([pick, index]),
        };
      });
      for (const message of sent) messages.push({ ...message, position: messages.length + 1 });
      deliveries.push({ kind: 'segment', archivedAtUs: instantAt(seconds), messages: sent });
      for (const hole of holes) {
        deliveries.push(hole);
        lossPlaces.set(hole, messages.length - (hole.positionsBehind ?? 0));
      }
    } else if (taken.kind === 'loss') {
      const session = SESSIONS[taken.session];
      const first = take(session, taken.count);
      const loss = { kind: 'loss' as const, session, first, last: first + taken.count - 1 };
      const declared = {
        ...loss,
        cause: 'repair_expired' as const,
        detectedAtUs: instantAt(seconds),
      };
      deliveries.push(declared);
      lossPlaces.set(declared, messages.length);
    } else if (taken.kind === 'heal') {
      const losses = deliveries.filter(isLost);
      if (losses.length === 0) continue;
      const loss = losses[taken.loss % losses.length];
      const pieces = healedPieces(loss, taken, instantAt(seconds));
      deliveries.splice(deliveries.indexOf(loss), 1, ...pieces);
      for (const piece of pieces) lossPlaces.set(piece, lossPlaces.get(loss) ?? 0);
      const healed = pieces.filter((piece) => !isLost(piece)).flatMap(healedMessages);
      const sent = taken.isReversed ? healed.toReversed() : healed;
      for (const message of sent) messages.push({ ...message, position: messages.length + 1 });
      deliveries.push({ kind: 'segment', archivedAtUs: instantAt(seconds), messages: sent });
    }
  }
  return { deliveries, messages, losses: deliveries.filter(isLost), lossPlaces };
}

function isLost(delivery: Delivery): delivery is LossDelivery {
  return delivery.kind === 'loss' && delivery.healed === undefined;
}

/** The loss before the healed part, the healed part and the loss behind it, as far as they are. */
function healedPieces(
  loss: LossDelivery,
  { skipped, count }: { readonly skipped: number; readonly count: number },
  atUs: number,
): LossDelivery[] {
  const first = Math.min(loss.first + skipped, loss.last);
  const last = Math.min(first + count - 1, loss.last);
  const pieces: LossDelivery[] = [
    { ...loss, last: first - 1 },
    { ...loss, first, last, healed: { atUs, by: 'another' } },
    { ...loss, first: last + 1 },
  ];
  return pieces.filter((piece) => piece.first <= piece.last);
}

/** One by one of ours; of a foreign source one message that accounts for all. */
function healedMessages({ session, first, last, detectedAtUs }: LossDelivery): SentMessage[] {
  const made = { session, publishedAtUs: detectedAtUs, payload: Buffer.from('healed') };
  const isHealed = true;
  if (session === FOREIGN) return [{ ...made, sequence: first, throughSequence: last, isHealed }];
  return Array.from({ length: last - first + 1 }, (_, index) => {
    return { ...made, sequence: first + index, isHealed };
  });
}

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
  name: string,
  wanted: MessageRequest,
  messagesMax: number,
  isStateless: boolean,
): Promise<string[]> {
  const channel = await findChannel(opened.database, name);
  let reading = await openReading(opened, channel, wanted);
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
    if (isStateless) reading = await openReading(opened, channel, reading.resume);
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

let made = 0;

test('every way of reading gives what the model gives, whatever the page size', async () => {
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
          for (const isStateless of [false, true]) {
            const got = await actual(name, wanted, question.messagesMax, isStateless);
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
