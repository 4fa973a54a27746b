// Random courses of deliveries: sessions that interleave, holes that are declared lost, parts of
// them that turn up later, batches and segments cut anywhere, the last batch repeated. The archive
// must then show exactly the messages that were handed over, in that order, and say of each session
// what is lost and what was healed; and the auditor must agree that nothing else is missing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { audit, findChannel, openReading } from '#archive/mod.ts';
import type { ArchiveBatch, DeclaredLoss, Heal, OpenDatabase } from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import {
  batchOf,
  LOSS_PACKETS,
  makeChannel,
  openTestDatabase,
  PUBLISHED_AT_US,
  SESSION_A,
  SESSION_B,
  testAppender,
} from '#test/support/archive.ts';
import type { TestMessage } from '#test/support/archive.ts';
import { createTestDatabase, execute } from '#test/support/postgres.ts';

/**
 * One delivery: a session gives `payloads`, after losing `lost` before them; and of a loss before,
 * `count` sequences behind the first `skipped` turn up, which one says a number.
 */
const delivery = fc.record({
  healed: fc.option(
    fc.record({ loss: fc.nat(), skipped: fc.nat(2), count: fc.integer({ min: 1, max: 3 }) }),
    {
      nil: undefined,
    },
  ),
  session: fc.constantFrom<SessionId>(SESSION_A, SESSION_B, '0123456789abcdef' as SessionId),
  lost: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 5 })),
  payloads: fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 6 }),
});

/** Batches of segments of deliveries. */
const course = fc.array(
  fc.array(fc.array(delivery, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 3 }),
  { minLength: 1, maxLength: 4 },
);

type Delivery = typeof delivery extends fc.Arbitrary<infer Value> ? Value : never;

interface LostRange {
  readonly session: SessionId;
  readonly first: number;
  readonly last: number;
}

/** What the archiver would make of deliveries: messages, losses, and a row per session. */
class Model {
  readonly messages: TestMessage[] = [];
  /** What is not healed. */
  readonly lost: LostRange[] = [];
  readonly healed: LostRange[] = [];
  readonly #watermarks = new Map<SessionId, number>();

  batch(
    place: Pick<ArchiveBatch, 'channelId' | 'epoch'>,
    segments: readonly (readonly Delivery[])[],
  ): ArchiveBatch {
    const expectedHead = this.messages.length;
    const told: { losses: DeclaredLoss[]; heals: Heal[] } = { losses: [], heals: [] };
    const lists = segments.map((deliveries) =>
      deliveries.flatMap((one) => [
        ...this.#deliver(one, told.losses),
        ...this.#heal(one, told.heals),
      ]),
    );
    const batch = batchOf({ ...place, expectedHead }, ...lists);
    const sessions = batch.sessions.map((progress) => {
      const watermark = this.#watermarks.get(progress.session) ?? 0;
      return { ...progress, watermark, lead: watermark };
    });
    return { ...batch, sessions, ...told };
  }

  #deliver({ session, lost, payloads }: Delivery, losses: DeclaredLoss[]): TestMessage[] {
    const before = this.#watermarks.get(session) ?? 0;
    if (lost > 0) {
      const range = { firstSequence: before + 1, lastSequence: before + lost };
      const afterPosition = this.messages.length;
      const cause = 'repair_expired';
      const detectedAtUs = PUBLISHED_AT_US;
      losses.push({ session, ...range, cause, afterPosition, detectedAtUs, ...LOSS_PACKETS });
      this.lost.push({ session, first: before + 1, last: before + lost });
    }
    const made = payloads.map((payload, index) => ({
      session,
      sequence: before + lost + 1 + index,
      payload,
      publishedAtUs: PUBLISHED_AT_US + before + index,
    }));
    this.#watermarks.set(session, before + lost + payloads.length);
    this.messages.push(...made);
    return made;
  }

  #heal({ healed }: Delivery, heals: Heal[]): TestMessage[] {
    if (healed === undefined || this.lost.length === 0) return [];
    const at = healed.loss % this.lost.length;
    const [loss] = this.lost.splice(at, 1);
    const { session } = loss;
    const first = Math.min(loss.first + healed.skipped, loss.last);
    const last = Math.min(first + healed.count - 1, loss.last);
    const rest = [
      { session, first: loss.first, last: first - 1 },
      { session, first: last + 1, last: loss.last },
    ];
    this.lost.push(...rest.filter((range) => range.first <= range.last));
    this.healed.push({ session, first, last });
    heals.push({ session, firstSequence: first, lastSequence: last, by: 'another' });
    const made = Array.from({ length: last - first + 1 }, (_, index) => ({
      session,
      sequence: first + index,
      payload: Buffer.from(`late ${first + index}`),
      publishedAtUs: PUBLISHED_AT_US,
    }));
    this.messages.push(...made);
    return made;
  }
}

/** Every sequence of `ranges` by itself: how they are cut does not matter. */
function singled(ranges: readonly LostRange[]): string[] {
  const all = ranges.flatMap(({ session, first, last }) =>
    Array.from({ length: last - first + 1 }, (_, index) => `${session}/${first + index}`),
  );
  return all.toSorted();
}

async function declared(url: string, which: 'IS' | 'IS NOT'): Promise<LostRange[]> {
  const rows = await execute(
    url,
    `SELECT lpad(to_hex(session_id), 16, '0') AS session, first_sequence::int AS first,
            last_sequence::int AS last
     FROM losses WHERE healed_at ${which} NULL AND (healed_by ${which} NULL)`,
  );
  return rows as unknown as LostRange[];
}

/** The sequences of a session as a reader is given them, in its order. */
async function readSequences(opened: OpenDatabase, session: SessionId): Promise<number[]> {
  const channel = await findChannel(opened.database, 'orders');
  const request = { kind: 'sequences', session, first: 1, last: undefined, order: 'asc' } as const;
  const reading = await openReading(opened, channel, request);
  const sequences: number[] = [];
  for (;;) {
    const page = await reading.nextPage(3);
    for (const entry of page.entries) {
      if (entry.kind !== 'messages') continue;
      for (let index = 0; index < entry.messageCount; index += 1) {
        sequences.push(entry.firstSequence + index);
      }
    }
    if (page.isLast) return sequences;
  }
}

async function storedMessages(url: string): Promise<unknown[]> {
  return execute(
    url,
    `SELECT position::int, session, sequence::int, encode(payload, 'hex') AS payload
     FROM messages ORDER BY position`,
  );
}

test('the archive holds what was delivered, in its order, and accounts for the rest', async () => {
  await fc.assert(
    fc.asyncProperty(course, async (batches) => {
      await using cloned = await createTestDatabase();
      await using opened = openTestDatabase(cloned.url);
      await using appender = testAppender(cloned.url);
      const place = await makeChannel(opened, 'orders');
      const model = new Model();
      for (const segments of batches) {
        const batch = model.batch(place, segments);
        const once = await appender.append(batch);
        assert.deepEqual(await appender.append(batch), once);
      }
      const expected = model.messages.map((message, index) => ({
        position: index + 1,
        session: message.session,
        sequence: message.sequence,
        payload: Buffer.from(message.payload).toString('hex'),
      }));
      assert.deepEqual(await storedMessages(cloned.url), expected);
      const [orders] = await audit(opened.database);
      assert.deepEqual(orders.problems, []);
      assert.equal(orders.head, expected.length);
      assert.deepEqual(singled(await declared(cloned.url, 'IS')), singled(model.lost));
      assert.deepEqual(singled(await declared(cloned.url, 'IS NOT')), singled(model.healed));
      for (const session of new Set(model.messages.map((message) => message.session))) {
        const own = model.messages.filter((message) => message.session === session);
        const sequences = own.map((message) => message.sequence).toSorted((a, b) => a - b);
        assert.deepEqual(await readSequences(opened, session), sequences);
      }
    }),
    { numRuns: 15 },
  );
});
