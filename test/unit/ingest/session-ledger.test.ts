import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SessionProgress } from '#archive/mod.ts';
import { SESSIONS_REMEMBERED_MAX, type SessionId } from '#base/mod.ts';
import { SessionLedger } from '#ingest/session-ledger.ts';
import { SESSION_A, SESSION_B } from '#test/support/archive.ts';

const TSI = '0a0b0c0d0e0f.7500';
const START = 2 ** 48 + 7;

function sessionNumber(number: number): SessionId {
  return number.toString(16).padStart(16, '0') as SessionId;
}

/** A session that ended before, as the archive has it. */
function past(session: SessionId, fields: Partial<SessionProgress> = {}): SessionProgress {
  const numbers = { firstArchived: 1, watermark: 4, lead: 4, resumeSqn: 2 ** 32 + 4 };
  return { session, tsi: TSI, isForeign: false, state: 'expired', ...numbers, ...fields };
}

/** A session that is opened, told up to `watermark` and ended in `batch`, and nothing more. */
function pass(ledger: SessionLedger, session: SessionId, batch: number): void {
  ledger.open(session, TSI, false, batch);
  ledger.advance(session, { first: 1, last: 4 }, 2 ** 32 + 4, batch);
  ledger.change(session, batch).state = 'expired';
}

test('a foreign session begins with the first number told, one of ours with 1', () => {
  const ledger = new SessionLedger([]);
  ledger.open(SESSION_A, TSI, true, 1);
  ledger.advance(SESSION_A, { first: START, last: START + 9 }, 5, 1);
  ledger.advance(SESSION_A, { first: START + 10, last: START + 10 }, 6, 1);
  const { firstArchived, watermark } = ledger.progressOf(SESSION_A);
  assert.deepEqual([firstArchived, watermark], [START, START + 10]);
  assert.throws(() => ledger.advance(SESSION_A, { first: START, last: START }, 7, 1), /each once/);
  ledger.open(SESSION_B, TSI, false, 1);
  assert.throws(() => ledger.advance(SESSION_B, { first: 2, last: 2 }, 7, 1), /each once/);
});

test('a foreign source goes on in its last session, unless that has ended', () => {
  const ledger = new SessionLedger([
    past(SESSION_A, { isForeign: true }),
    past(SESSION_B, { isForeign: true, watermark: 9 }),
    past(sessionNumber(3), { tsi: 'other.1', isForeign: true, state: 'closed' }),
  ]);
  const resume = { session: SESSION_B, nextSequence: 10, nextSqn: 2 ** 32 + 4, isForeign: true };
  assert.deepEqual(ledger.recallForeign(TSI), resume);
  assert.equal(ledger.recallForeign('other.1'), undefined);
  ledger.open(SESSION_A, TSI, true, 1);
  assert.equal(ledger.recallForeign(TSI)?.session, SESSION_A);
});

test('of the sessions that are over, only the latest are remembered', () => {
  const ledger = new SessionLedger([]);
  const count = SESSIONS_REMEMBERED_MAX + 10;
  ledger.open(SESSION_B, TSI, false, 1);
  for (let number = 1; number <= count; number += 1) {
    const session = sessionNumber(number);
    pass(ledger, session, 1);
    ledger.committed([ledger.progressOf(session)], 1);
  }
  assert.equal(ledger.size, SESSIONS_REMEMBERED_MAX + 1);
  assert.equal(ledger.hasForgotten, true);
  assert.equal(ledger.recall(sessionNumber(10)), undefined);
  assert.notEqual(ledger.recall(sessionNumber(11)), undefined);
  assert.notEqual(ledger.recall(SESSION_B), undefined);
});

test('what is not committed, or open again, is never forgotten', () => {
  const ledger = new SessionLedger([]);
  const [pending, changed, again] = [1, 2, 3].map(sessionNumber);
  for (const session of [pending, changed, again]) pass(ledger, session, 1);
  ledger.change(changed, 2);
  ledger.committed([ledger.progressOf(changed), ledger.progressOf(again)], 1);
  ledger.open(again, TSI, false, 2);
  for (let number = 10; number <= 10 + SESSIONS_REMEMBERED_MAX; number += 1) {
    ledger.learn(past(sessionNumber(number)));
  }
  assert.equal(ledger.hasForgotten, true);
  for (const session of [pending, changed, again])
    assert.notEqual(ledger.recall(session), undefined);
});

test('what the archive has of more sessions than are remembered counts as forgotten', () => {
  const sessions = Array.from({ length: SESSIONS_REMEMBERED_MAX + 1 }, (_, index) =>
    past(sessionNumber(index + 1), { isForeign: index === 0 }),
  );
  const full = new SessionLedger(sessions.slice(1));
  assert.equal(full.hasForgotten, false);
  const ledger = new SessionLedger(sessions);
  assert.equal(ledger.hasForgotten, true);
  assert.equal(ledger.recallForeign(TSI), undefined);
  ledger.learn(sessions[0]);
  assert.notEqual(ledger.recall(sessionNumber(1)), undefined);
});
