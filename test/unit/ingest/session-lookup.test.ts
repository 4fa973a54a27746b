import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SessionProgress } from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import { SessionLookup } from '#ingest/session-lookup.ts';
import { SESSION_A, SESSION_B } from '#test/support/archive.ts';

const KNOWN: SessionProgress = {
  session: SESSION_A,
  tsi: '0a0b0c0d0e0f.7500',
  isForeign: false,
  state: 'expired',
  firstArchived: 1,
  watermark: 4,
  lead: 4,
  resumeSqn: 5,
};

/** An archive that answers when it is told to. */
class SlowArchive {
  readonly asked: (readonly SessionId[])[] = [];
  readonly found: SessionProgress[] = [];
  nowMs = 0;
  #answer = Promise.withResolvers<readonly SessionProgress[]>();
  readonly lookup = new SessionLookup({
    find: (sessions) => {
      this.asked.push(sessions);
      this.#answer = Promise.withResolvers();
      return this.#answer.promise;
    },
    onFound: (progress) => this.found.push(progress),
    nowMs: () => this.nowMs,
  });

  async answer(found: readonly SessionProgress[] | Error): Promise<void> {
    if (found instanceof Error) this.#answer.reject(found);
    else this.#answer.resolve(found);
    // Whoever asked waits for the same promise, and was first.
    await this.#answer.promise.catch(() => undefined);
  }
}

test('a session is new when the archive has said so, and not before', async () => {
  const archive = new SlowArchive();
  assert.equal(archive.lookup.isNew(SESSION_B), false);
  assert.equal(archive.lookup.isNew(SESSION_B), false);
  assert.deepEqual(archive.asked, [[SESSION_B]]);
  await archive.answer([]);
  assert.equal(archive.lookup.isNew(SESSION_B), true);
  assert.deepEqual([archive.asked.length, archive.found], [1, []]);
});

test('a session that the archive has is handed over, and is never new', async () => {
  const archive = new SlowArchive();
  archive.lookup.isNew(SESSION_A);
  await archive.answer([KNOWN]);
  assert.deepEqual(archive.found, [KNOWN]);
  assert.equal(archive.lookup.isNew(SESSION_A), false);
});

test('one question is under way at a time, and a flood of sessions makes few', async () => {
  const archive = new SlowArchive();
  for (let number = 1; number <= 5_000; number += 1) {
    archive.lookup.isNew(number.toString(16).padStart(16, '0') as SessionId);
  }
  assert.equal(archive.asked.length, 1);
  await archive.answer([]);
  archive.lookup.isNew(SESSION_A);
  assert.equal(archive.asked.length, 2);
  assert.ok((archive.asked[1]?.length ?? 0) <= 256, `${archive.asked[1]?.length}`);
});

test('a database that is away is asked again, not at once', async () => {
  const archive = new SlowArchive();
  archive.lookup.isNew(SESSION_A);
  await archive.answer(new Error('away'));
  assert.equal(archive.lookup.isNew(SESSION_A), false);
  assert.equal(archive.asked.length, 1);
  archive.nowMs = 1_000;
  archive.lookup.isNew(SESSION_A);
  await archive.answer([]);
  assert.equal(archive.lookup.isNew(SESSION_A), true);
});
