import assert from 'node:assert/strict';
import test from 'node:test';
import type { ArchiveBatch, DeclaredLoss, Heal, SessionProgress } from '#archive/mod.ts';
import { type SequenceRange, sessionFromWords } from '#base/mod.ts';
import { ArchivedSessions, LOOKED_UP_LOSSES } from '#ingest/mod.ts';
import type { Acknowledgement } from '#multicast/core/mod.ts';

const SESSION = sessionFromWords(1, 1);
const OTHER = sessionFromWords(2, 2);

/** A batch that accounts for a session through `watermark`, from `first` on. */
function batch(
  first: number,
  watermark: number,
  given: {
    readonly lost?: readonly SequenceRange[];
    readonly session?: Partial<SessionProgress>;
    readonly healed?: SequenceRange;
  } = {},
): ArchiveBatch {
  const losses = (given.lost ?? []).map((range): DeclaredLoss => {
    return {
      session: SESSION,
      firstSequence: range.first,
      lastSequence: range.last,
      cause: 'repair_expired',
      afterPosition: 0,
      detectedAtUs: 0,
      firstSqn: undefined,
      nextSqn: 0,
      packetCount: null,
    };
  });
  const run = { session: SESSION, firstSequence: first, length: 1, lastSequence: first };
  const segment = {
    firstPosition: 1,
    messageCount: 1,
    payloadBytes: 0,
    runs: [run],
    isDense: true,
    minPublishedAtUs: 0,
    maxPublishedAtUs: 0,
    payloadField: new Uint8Array(0),
    publishedAtField: new Uint8Array(0),
  };
  const progress: SessionProgress = {
    session: SESSION,
    tsi: '',
    isForeign: false,
    state: 'open',
    firstArchived: 1,
    watermark,
    lead: watermark,
    resumeSqn: watermark,
    ...given.session,
  };
  const head = { channelId: 1, epoch: 1, expectedHead: 0 };
  const heals = given.healed === undefined ? [] : [healOf(given.healed)];
  return { ...head, segments: [segment], sessions: [progress], losses, heals, conflicts: [] };
}

function healOf({ first, last }: SequenceRange): Heal {
  return { session: SESSION, firstSequence: first, lastSequence: last, by: 'other' };
}

function newSessions() {
  const told: Omit<Acknowledgement, 'nextSqn'>[] = [];
  const sessions = new ArchivedSessions((_session, { through, exactFrom, lost }) => {
    told.push({ through, exactFrom, lost });
  });
  return { sessions, told: () => told.splice(0) };
}

test('what is committed is told, with what is lost of it, oldest first', () => {
  const { sessions, told } = newSessions();
  sessions.committed(batch(1, 10, { lost: [{ first: 4, last: 5 }] }));
  sessions.committed(
    batch(11, 20, {
      lost: [
        { first: 12, last: 12 },
        { first: 13, last: 14 },
      ],
    }),
  );
  const first = { first: 4, last: 5 };
  assert.deepEqual(told(), [
    { through: 10, exactFrom: 1, lost: [first] },
    { through: 20, exactFrom: 1, lost: [first, { first: 12, last: 14 }] },
  ]);
});

test('of a session with a past nothing is told until its losses are known', () => {
  const { sessions, told } = newSessions();
  sessions.committed(batch(11, 20));
  assert.deepEqual([told(), sessions.unknown], [[], SESSION]);
  sessions.committed(batch(21, 30, { lost: [{ first: 25, last: 25 }] }));
  assert.deepEqual(told(), []);
  sessions.learn(SESSION, [
    { first: 3, last: 3 },
    { first: 25, last: 25 },
  ]);
  assert.equal(sessions.unknown, undefined);
  const lost = [
    { first: 3, last: 3 },
    { first: 25, last: 25 },
  ];
  assert.deepEqual(told(), [{ through: 30, exactFrom: 1, lost }]);
  sessions.learn(OTHER, []);
  sessions.learn(SESSION, []);
  assert.deepEqual(told(), []);
});

test('a loss that another has declared behind the last batch here is not told yet', () => {
  const { sessions, told } = newSessions();
  sessions.committed(batch(11, 20));
  sessions.learn(SESSION, [
    { first: 19, last: 22 },
    { first: 30, last: 31 },
  ]);
  assert.deepEqual(told(), [{ through: 20, exactFrom: 1, lost: [{ first: 19, last: 20 }] }]);
});

test('of more losses than fit, the oldest are left out, and so it says', () => {
  const { sessions, told } = newSessions();
  const lost = Array.from({ length: 20 }, (_, n) => ({ first: 2 + 3 * n, last: 3 + 3 * n }));
  sessions.committed(batch(1, 100, { lost }));
  assert.deepEqual(told(), [{ through: 100, exactFrom: 16, lost: lost.slice(5) }]);
});

test('of as many losses as were looked up, there may be older ones', () => {
  const { sessions, told } = newSessions();
  const lost = Array.from({ length: LOOKED_UP_LOSSES }, (_, n) => ({
    first: 100 + n,
    last: 100 + n,
  }));
  sessions.committed(batch(300, 400));
  sessions.learn(SESSION, lost);
  const [archived] = told();
  assert.deepEqual(archived, { through: 400, exactFrom: 100, lost: [{ first: 100, last: 115 }] });
});

test('with a new term nothing that was known counts, and open sessions are looked up', () => {
  const { sessions, told } = newSessions();
  const { sessions: archived } = batch(1, 10);
  sessions.committed(batch(1, 10));
  assert.equal(told().length, 1);
  sessions.begin(archived);
  assert.equal(sessions.unknown, SESSION);
  sessions.committed(batch(11, 20));
  assert.deepEqual(told(), []);
  sessions.learn(SESSION, [{ first: 5, last: 5 }]);
  assert.deepEqual(told(), [{ through: 20, exactFrom: 1, lost: [{ first: 5, last: 5 }] }]);
});

test('what is healed is archived, and a heal of the first message is no beginning', () => {
  const { sessions, told } = newSessions();
  sessions.committed(batch(1, 20, { lost: [{ first: 4, last: 9 }] }));
  told();
  sessions.committed(batch(6, 20, { healed: { first: 6, last: 7 } }));
  const lost = [
    { first: 4, last: 5 },
    { first: 8, last: 9 },
  ];
  assert.deepEqual(told().at(-1), { through: 20, exactFrom: 1, lost });
  sessions.begin([]);
  sessions.committed(batch(1, 20, { healed: { first: 1, last: 1 } }));
  assert.deepEqual([told(), sessions.unknown], [[], SESSION]);
});

test('a session that is over is told and forgotten; a foreign or empty one is not told', () => {
  const { sessions, told } = newSessions();
  sessions.committed(batch(1, 10, { session: { state: 'closed' } }));
  assert.equal(told().length, 1);
  sessions.committed(batch(11, 20));
  assert.equal(sessions.unknown, SESSION);
  sessions.begin([]);
  sessions.committed(batch(1, 10, { session: { isForeign: true } }));
  sessions.committed(batch(1, 0));
  assert.deepEqual([told(), sessions.unknown], [[], undefined]);
});
