// A lost message has a publish time that only this test knows. Publishers send at random, some of
// it is lost, deliveries are delayed and interleave, the archiver declares a loss when the session
// goes on: whatever interval is asked for, a loss with a message in it must be named.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as fc from 'fast-check';
import { type Loss, openDatabase, type OpenDatabase } from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import { type Delivery, fillChannel, instantAt } from '#test/support/filled-archive.ts';
import { createTestDatabase, type TestDatabase } from '#test/support/postgres.ts';
import { EVERYTHING, readWhole } from '#test/support/whole-reading.ts';

const SESSIONS = ['0000000000000001', '0000000000000002'] as SessionId[];

let database: TestDatabase;
let opened: OpenDatabase;
before(async () => {
  database = await createTestDatabase();
  opened = openDatabase({
    url: database.url,
    poolConnectionsMax: 4,
    applicationName: 'losses test',
    statementTimeoutMs: 10_000,
  });
});
after(async () => {
  await opened.close();
  await database[Symbol.asyncDispose]();
});

/** One message sent each second: by whom, whether it arrives, and how many seconds later. */
const sending = fc.record({
  session: fc.integer({ min: 0, max: 1 }),
  isLost: fc.boolean(),
  delaySeconds: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 5 }), fc.constant(90_000)),
});
type Sending = typeof sending extends fc.Arbitrary<infer Value> ? Value : never;

interface Course {
  readonly deliveries: readonly Delivery[];
  /** Publish second and sequence of each message that is lost. */
  readonly lost: readonly {
    readonly second: number;
    readonly session: SessionId;
    readonly sequence: number;
  }[];
}

function play(sendings: readonly Sending[]): Course {
  const timed: { readonly second: number; readonly delivery: Delivery }[] = [];
  const lost: { second: number; session: SessionId; sequence: number }[] = [];
  for (const [index, session] of SESSIONS.entries()) {
    let sequence = 0;
    let arrived = 0;
    let firstLost: number | undefined;
    const declare = (detected: number): void => {
      if (firstLost === undefined) return;
      const range = { session, first: firstLost, last: sequence - 1 };
      const detectedAtUs = instantAt(detected);
      const loss = { kind: 'loss' as const, ...range, cause: 'repair_expired' as const };
      timed.push({ second: detected, delivery: { ...loss, detectedAtUs } });
      firstLost = undefined;
    };
    for (const [second, one] of sendings.entries()) {
      if (one.session !== index) continue;
      sequence += 1;
      if (one.isLost) {
        firstLost ??= sequence;
        lost.push({ second, session, sequence });
        continue;
      }
      arrived = Math.max(arrived, second + one.delaySeconds);
      declare(arrived);
      const payload = Buffer.from('x');
      const message = { session, sequence, publishedAtUs: instantAt(second), payload };
      const archivedAtUs = instantAt(arrived);
      const delivery = { kind: 'segment' as const, archivedAtUs, messages: [message] };
      timed.push({ second: arrived, delivery });
    }
    sequence += 1;
    declare(Math.max(arrived, sendings.length));
  }
  const ordered = timed.toSorted((a, b) => a.second - b.second);
  return { deliveries: ordered.map((one) => one.delivery), lost };
}

interface Asked {
  readonly start: number;
  readonly width: number;
  readonly order: 'asc' | 'desc';
  readonly isStateless: boolean;
}

async function namedLosses(name: string, asked: Asked): Promise<readonly Loss[]> {
  const { start, width, order, isStateless } = asked;
  const published = {
    publishedFromUs: instantAt(start),
    publishedToUs: instantAt(start + width),
  };
  const request = { ...EVERYTHING, ...published, order };
  return (await readWhole(opened, name, request, { messagesMax: 2, isStateless })).losses;
}

const question: fc.Arbitrary<Asked> = fc.record({
  start: fc.nat(16),
  width: fc.nat(8),
  order: fc.constantFrom('asc' as const, 'desc' as const),
  isStateless: fc.boolean(),
});

let made = 0;

test('no interval hides a loss that has a message in it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(sending, { minLength: 1, maxLength: 14 }),
      fc.array(question, { minLength: 4, maxLength: 4 }),
      async (sendings, questions) => {
        const course = play(sendings);
        const name = `timed-${(made += 1)}`;
        await fillChannel(database.url, { name, deliveries: course.deliveries });
        for (const asked of questions) {
          const { start, width } = asked;
          const named = await namedLosses(name, asked);
          const keys = named.map((loss) => `${loss.session}/${loss.first}`);
          assert.equal(new Set(keys).size, keys.length, 'a loss is named once');
          for (const { second, session, sequence } of course.lost) {
            if (second < start || second >= start + width) continue;
            const isNamed = named.some(
              (loss) => loss.session === session && loss.first <= sequence && loss.last >= sequence,
            );
            assert.ok(isNamed, `${session}/${sequence} of second ${second} in ${start}+${width}`);
          }
        }
      },
    ),
    { numRuns: 60, interruptAfterTimeLimit: 60_000 },
  );
});
