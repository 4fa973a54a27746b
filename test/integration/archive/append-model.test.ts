// Random courses of deliveries: sessions that interleave, holes that are declared lost, batches and
// segments cut anywhere, the last batch repeated. The archive must then show exactly the messages
// that were handed over, in that order, and the auditor must agree that nothing else is missing.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { audit } from '#archive/mod.ts';
import type { ArchiveBatch, DeclaredLoss } from '#archive/mod.ts';
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

/** One delivery: a session gives `count` messages, after losing `lost` before them. */
const delivery = fc.record({
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

/** What the archiver would make of deliveries: messages, losses, and a row per session. */
class Model {
  readonly messages: TestMessage[] = [];
  readonly #watermarks = new Map<SessionId, number>();

  batch(
    place: Pick<ArchiveBatch, 'channelId' | 'epoch'>,
    segments: readonly (readonly Delivery[])[],
  ): ArchiveBatch {
    const expectedHead = this.messages.length;
    const losses: DeclaredLoss[] = [];
    const lists = segments.map((deliveries) =>
      deliveries.flatMap((one) => this.#deliver(one, losses)),
    );
    return { ...batchOf({ ...place, expectedHead }, ...lists), losses };
  }

  #deliver({ session, lost, payloads }: Delivery, losses: DeclaredLoss[]): TestMessage[] {
    const before = this.#watermarks.get(session) ?? 0;
    if (lost > 0) {
      losses.push({
        session,
        firstSequence: before + 1,
        lastSequence: before + lost,
        cause: 'repair_expired',
        afterPosition: this.messages.length,
        detectedAtUs: PUBLISHED_AT_US,
        ...LOSS_PACKETS,
      });
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
    }),
    { numRuns: 15 },
  );
});
