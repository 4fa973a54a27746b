import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { findConflicts } from '#archive/mod.ts';
import {
  batchOf,
  makeChannel,
  messagesOf,
  openTestDatabase,
  PUBLISHED_AT_US,
  SESSION_A,
  SESSION_B,
  testAppender,
  type TestMessage,
} from '#test/support/archive.ts';
import { createTestDatabase } from '#test/support/postgres.ts';

const HOW = { channel: 'orders', detectedAtUs: PUBLISHED_AT_US, evidence: 'told again' };

function sha256(...payloads: readonly Uint8Array[]): Buffer {
  return createHash('sha256').update(Buffer.concat(payloads)).digest();
}

function changed(message: TestMessage): TestMessage {
  return { ...message, payload: Buffer.from('something else') };
}

test('what is told again and differs is found, with both hashes, and nothing else', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await using appender = testAppender(cloned.url);
  const place = await makeChannel(opened, 'orders');
  const stored = messagesOf(SESSION_A, 1, 9);
  await appender.append(batchOf({ ...place, expectedHead: 0 }, stored));
  const compare = (told: readonly TestMessage[]): ReturnType<typeof findConflicts> =>
    findConflicts(opened, { ...HOW, session: SESSION_A, told });
  assert.deepEqual(await compare(stored), []);
  assert.deepEqual(await compare([]), []);
  const told = stored.map((message, index) =>
    [1, 2, 6].includes(index) ? changed(message) : message,
  );
  const found = await compare([...told, ...messagesOf(SESSION_A, 10, 3)]);
  const { detectedAtUs, evidence } = HOW;
  const range = (first: number, last: number): object => ({
    session: SESSION_A,
    firstSequence: first,
    lastSequence: last,
    storedSha256: sha256(...stored.slice(first - 1, last).map(({ payload }) => payload)),
    heardSha256: sha256(...told.slice(first - 1, last).map(({ payload }) => payload)),
    detectedAtUs,
    evidence,
  });
  assert.deepEqual(found, [range(2, 3), range(7, 7)]);
});

test('a session that is not stored has nothing to differ from', async () => {
  await using cloned = await createTestDatabase();
  await using opened = openTestDatabase(cloned.url);
  await makeChannel(opened, 'orders');
  const told = messagesOf(SESSION_B, 1, 2);
  assert.deepEqual(await findConflicts(opened, { ...HOW, session: SESSION_B, told }), []);
});
