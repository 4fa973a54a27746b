// Reading by archive time against a model that keeps everything in memory: messages by when they
// were archived, losses by when they were declared, whatever the clock of the database did.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as fc from 'fast-check';
import {
  findChannel,
  openDatabase,
  type OpenDatabase,
  openReading,
  type PositionRequest,
} from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import { type Delivery, fillChannel, instantAt } from '#test/support/filled-archive.ts';
import { createTestDatabase, type TestDatabase } from '#test/support/postgres.ts';
import { readWhole } from '#test/support/whole-reading.ts';

const SESSION = '00000000000000aa' as SessionId;
const DAY_SECONDS = 86_400;

let created: TestDatabase;
let opened: OpenDatabase;
let channelCount = 0;
before(async () => {
  created = await createTestDatabase();
  opened = openDatabase({
    url: created.url,
    poolConnectionsMax: 2,
    applicationName: 'read-archived test',
    statementTimeoutMs: 10_000,
  });
});
after(async () => {
  await opened.close();
  await created[Symbol.asyncDispose]();
});

type Step =
  | { readonly kind: 'segment'; readonly messages: number; readonly forward: number }
  | { readonly kind: 'loss'; readonly count: number; readonly forward: number };

const forward = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 3 }) },
  { weight: 1, arbitrary: fc.integer({ min: -4, max: -1 }) },
  { weight: 1, arbitrary: fc.constant(DAY_SECONDS) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('segment' as const),
    messages: fc.integer({ min: 1, max: 3 }),
    forward,
  }),
  fc.record({ kind: fc.constant('loss' as const), count: fc.integer({ min: 1, max: 3 }), forward }),
);
const seconds = fc.oneof(
  fc.integer({ min: -2, max: 20 }),
  fc.integer({ min: DAY_SECONDS, max: DAY_SECONDS + 10 }),
);
const request: fc.Arbitrary<PositionRequest> = fc
  .record({
    from: fc.option(seconds, { nil: undefined }),
    to: fc.option(seconds, { nil: undefined }),
    order: fc.constantFrom('asc' as const, 'desc' as const),
  })
  .filter(({ from, to }) => (from ?? to) !== undefined)
  .map(({ from, to, order }) => ({
    ...EVERYWHERE,
    archivedFromUs: from === undefined ? undefined : instantAt(from),
    archivedToUs: to === undefined ? undefined : instantAt(to),
    order,
  }));

const EVERYWHERE = {
  kind: 'positions',
  after: undefined,
  before: undefined,
  publishedFromUs: undefined,
  publishedToUs: undefined,
} as const;

interface Course {
  readonly deliveries: Delivery[];
  readonly messages: { readonly position: number; readonly archivedAtUs: number }[];
  readonly losses: { readonly first: number; readonly declaredAtUs: number }[];
}

function play(steps: readonly Step[]): Course {
  const course: Course = { deliveries: [], messages: [], losses: [] };
  let now = 0;
  let sequence = 0;
  for (const taken of steps) {
    now += taken.forward;
    const atUs = instantAt(now);
    if (taken.kind === 'loss') {
      const range = { session: SESSION, first: sequence + 1, last: sequence + taken.count };
      const loss = { kind: 'loss' as const, ...range, cause: 'corrupt' as const };
      course.deliveries.push({ ...loss, detectedAtUs: atUs });
      course.losses.push({ first: range.first, declaredAtUs: atUs + 1_000_000 });
      sequence = range.last;
      continue;
    }
    const sent = Array.from({ length: taken.messages }, () => {
      sequence += 1;
      course.messages.push({ position: course.messages.length + 1, archivedAtUs: atUs });
      return { session: SESSION, sequence, publishedAtUs: atUs, payload: Buffer.from('x') };
    });
    course.deliveries.push({ kind: 'segment', archivedAtUs: atUs, messages: sent });
  }
  return course;
}

test('an interval of archive times has what was archived and declared lost in it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 8 }),
      fc.array(fc.tuple(request, fc.integer({ min: 1, max: 4 }), fc.boolean()), {
        minLength: 1,
        maxLength: 4,
      }),
      async (steps, readings) => {
        const course = play(steps);
        channelCount += 1;
        const name = `course-${channelCount}`;
        await fillChannel(created.url, { name, deliveries: course.deliveries });
        for (const [wanted, messagesMax, isStateless] of readings) {
          const { archivedFromUs = -Infinity, archivedToUs = Infinity } = wanted;
          const isWithin = (us: number): boolean => us >= archivedFromUs && us < archivedToUs;
          const turned = <Value>(values: Value[]): Value[] =>
            wanted.order === 'asc' ? values : values.toReversed();
          const read = await readWhole(opened, name, wanted, { messagesMax, isStateless });
          assert.deepEqual(
            read.messages.map(({ position }) => position),
            turned(
              course.messages
                .filter(({ archivedAtUs }) => isWithin(archivedAtUs))
                .map(({ position }) => position),
            ),
          );
          assert.deepEqual(
            read.losses.map(({ first }) => first),
            turned(
              course.losses
                .filter(({ declaredAtUs }) => isWithin(declaredAtUs))
                .map(({ first }) => first),
            ),
          );
        }
      },
    ),
    { numRuns: 60 },
  );
});

async function unsettledTo(toUs: number): Promise<boolean> {
  const channel = await findChannel(opened.database, 'settling');
  const wanted = { ...EVERYWHERE, archivedToUs: toUs, order: 'asc' as const };
  return (await openReading(opened, channel, wanted)).unsettled !== undefined;
}

test('an interval of archive times is settled once nothing can get a time in it', async () => {
  const nowUs = Date.now() * 1_000;
  const message = { session: SESSION, sequence: 1, publishedAtUs: nowUs, payload: Buffer.from('') };
  const segment = { kind: 'segment' as const, archivedAtUs: nowUs, messages: [message] };
  await fillChannel(created.url, { name: 'settling', deliveries: [segment] });
  assert.equal(await unsettledTo(nowUs - 1_000_000), false);
  assert.equal(await unsettledTo(nowUs), false);
  assert.equal(await unsettledTo(nowUs + 1), true);
  assert.equal(await unsettledTo(nowUs - 3_600_000_000), false);
});
