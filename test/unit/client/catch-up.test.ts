// The machine that brings a subscriber up to date, step by step: what it asks of the archive, when
// it gives up, and what it says. Times are milliseconds.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackcastError, type SessionId } from '#base/mod.ts';
import { CatchUp } from '#client/catch-up.ts';
import type { CatchUpOptions, Reading } from '#client/catch-up-shapes.ts';
import type { LiveEntry, Told } from '#client/merge-told.ts';
import type { ArchiveStand } from '#client/replay-source.ts';
import { ModelledArchive, payloadOf } from '#test/support/modelled-archive.ts';
import { delivered } from '#test/support/receiver-events.ts';

const A = '00000000000000a1' as SessionId;
const B = '00000000000000b2' as SessionId;
const AWAY = new BackcastError('BACKCAST_API_UNREACHABLE', 'The API is away.');
const STALL_MS = 5_000;

function machine(options: Partial<CatchUpOptions> = {}): CatchUp {
  return new CatchUp(
    {
      start: { afterPosition: 0 },
      position: undefined,
      begin: 'one',
      nexts: new Map(),
      hasArchive: true,
      hasMulticast: true,
      stallMs: STALL_MS,
      whenStalled: 'fail',
      bufferBytesMax: 100_000,
      ...options,
    },
    0,
  );
}

function archiveOf(session: SessionId, count: number): ModelledArchive {
  const archive = new ModelledArchive();
  for (let sequence = 1; sequence <= count; sequence += 1) archive.hear(session, sequence, false);
  archive.commit(Number.POSITIVE_INFINITY);
  return archive;
}

function run(session: SessionId, first: number, last: number): LiveEntry {
  const payloads = [];
  for (let at = first; at <= last; at += 1) payloads.push(payloadOf(session, at));
  const { bytes, start, end } = delivered(session, first, payloads);
  const block = { bytes, start, end, arrivedAtUs: 1, isRepaired: false };
  return { kind: 'messages', session, first, last, ...block };
}

function lost(session: SessionId, first: number, last: number): LiveEntry {
  return { kind: 'lost', session, first, last, cause: 'repair_expired' };
}

/** Serves the reading that is wanted to its end. */
function serve(one: CatchUp, archive: ModelledArchive, nowMs: number): void {
  const { reading } = one;
  assert.ok(reading !== undefined);
  for (const entry of archive.read(afterOf(reading))) one.handleEntry(reading, entry, nowMs);
}

function serveFetch(one: CatchUp, archive: ModelledArchive, nowMs: number): void {
  const { fetching } = one;
  assert.ok(fetching !== undefined);
  for (const entry of archive.fetch(fetching.ranges)) one.handleFetched(fetching, entry, nowMs);
}

function afterOf(reading: Reading): number {
  if (reading.kind === 'tail') return reading.afterPosition;
  return 'afterPosition' in reading.start ? reading.start.afterPosition : 0;
}

/** What is told, in short: kind, and the sequences from and to. */
function told(one: CatchUp, nowMs: number): string[] {
  const texts: string[] = [];
  for (let next = one.pollTold(nowMs); next !== undefined; next = one.pollTold(nowMs)) {
    const text = textOf(next);
    if (text !== undefined) texts.push(text);
  }
  return texts;
}

function textOf(one: Told): string | undefined {
  switch (one.kind) {
    case 'live_run':
      return `live ${one.run.first + one.skippedCount}-${one.run.last}`;
    case 'replayed_run':
      return `replayed ${one.run.firstSequence + one.skippedCount}-${one.run.throughSequence}`;
    case 'lost':
      return `lost ${one.first}-${one.last} ${one.cause}`;
    case 'session':
      return `${one.session} ${one.state}`;
    case 'replaying':
    case 'live':
      return one.kind;
    case 'place':
      return undefined;
    default:
      return one satisfies never;
  }
}

test('history is told up to the seam, and what was heard from there on', () => {
  const one = machine();
  assert.equal(one.state, 'replaying');
  one.handleLive(run(A, 4, 6), 0);
  serve(one, archiveOf(A, 4), 0);
  assert.equal(one.state, 'live');
  assert.deepEqual(told(one, 0), ['replaying', `${A} open`, 'replayed 1-4', 'live', 'live 5-6']);
});

test('an archive that is behind the seam is read again, then asked for the rest', () => {
  const one = machine();
  one.handleLive(run(A, 6, 6), 0);
  serve(one, archiveOf(A, 2), 0);
  assert.deepEqual(one.reading, { kind: 'open', start: { afterPosition: 2 } });
  serve(one, archiveOf(A, 2), 0);
  assert.equal(one.state, 'mending');
  assert.deepEqual(one.fetching?.ranges, [{ session: A, first: 3, last: 5 }]);
  serveFetch(one, archiveOf(A, 5), 0);
  assert.equal(one.state, 'live');
  assert.deepEqual(told(one, 0).slice(2), ['replayed 1-2', 'replayed 3-5', 'live', 'live 6-6']);
});

test('from the start, a session of another implementation begins wherever it does', () => {
  for (const entry of [
    { kind: 'loss', session: A, first: 2 ** 32 + 7, last: 2 ** 32 + 9, cause: 'late_join' },
    { kind: 'deletion', session: A, first: 2 ** 32 + 7, last: 2 ** 32 + 9 },
  ] as const) {
    const one = machine({ hasMulticast: false });
    assert.ok(one.reading !== undefined);
    one.handleEntry(one.reading, entry, 0);
    assert.equal(one.fetching, undefined);
    const cause = entry.kind === 'loss' ? entry.cause : 'deleted';
    assert.equal(told(one, 0).at(-1), `lost 4294967303-4294967305 ${cause}`);
  }
});

test('a hole holds up its own session alone', () => {
  const one = machine({ start: undefined, begin: 'heard' });
  one.handleLive(run(A, 1, 1), 0);
  one.handleLive(lost(A, 2, 3), 0);
  one.handleLive(run(A, 4, 4), 0);
  one.handleLive(run(B, 1, 2), 0);
  assert.deepEqual(told(one, 0), [`${A} open`, 'live 1-1', `${B} open`, 'live 1-2']);
  serveFetch(one, archiveOf(A, 3), 0);
  assert.deepEqual(told(one, 0), ['replayed 2-3', 'live 4-4']);
});

test('a slow reader lets the buffer slide, and goes back to where it was', () => {
  const one = machine({ bufferBytesMax: 2_000 });
  serve(one, archiveOf(A, 10), 0);
  told(one, 0);
  let last = 10;
  while (one.state === 'live') {
    last += 1;
    one.handleLive(run(A, last, last), 0);
    assert.ok(one.bufferedBytes <= 2_000 + 1_000);
  }
  assert.equal(one.state, 'replaying');
  assert.ok(one.counters.fallbacks === 1 && one.counters.entriesSlid > 0);
  const texts = told(one, 0);
  assert.equal(texts.at(-1), 'replaying');
  assert.deepEqual(one.reading, { kind: 'open', start: { afterPosition: 10 } });
  serve(one, archiveOf(A, last), 0);
  assert.equal(one.state, 'live');
});

test('what was let go of a session that then falls silent is fetched all the same', () => {
  const one = machine({ bufferBytesMax: 2_000 });
  serve(one, archiveOf(A, 2), 0);
  one.handleLive(run(A, 3, 3), 0);
  for (let last = 4; one.state === 'live'; last += 1) one.handleLive(run(A, last, last), 0);
  const { entriesSlid } = one.counters;
  assert.ok(entriesSlid > 0);
  for (let last = 1; last <= 20; last += 1) one.handleLive(run(B, last, last), 0);
  told(one, 0);
  serve(one, archiveOf(A, 3), 0);
  while (one.reading !== undefined) serve(one, archiveOf(A, 3), 0);
  const hole = one.fetching?.ranges.find(({ session }) => session === A);
  assert.ok(hole !== undefined && hole.last > 3, 'somebody asks for the rest of it');
});

test('an archive that is away is asked again, more and more seldom, and then given up', () => {
  const one = machine();
  let asked = 0;
  let nowMs = 0;
  while (one.failure === undefined) {
    if (one.reading !== undefined) {
      asked += 1;
      one.handleFailure(one.reading, AWAY, nowMs);
    }
    nowMs = one.nextDeadlineMs;
    one.handleTimeout(nowMs);
  }
  assert.equal(nowMs, STALL_MS);
  assert.ok(asked > 5 && asked < 40, `asked ${asked} times`);
  assert.ok(one.failure instanceof BackcastError);
  assert.equal(one.failure.code, 'BACKCAST_RECOVERY_STALLED');
  assert.match(one.failure.message, /Last failure: The API is away/);
  assert.equal(one.nextDeadlineMs, Number.POSITIVE_INFINITY);
});

test('an archive that answers nothing is given up as well', () => {
  const one = machine();
  one.handleTimeout(STALL_MS - 1);
  assert.notEqual(one.state, 'failed');
  one.handleTimeout(STALL_MS);
  assert.match(one.failure?.message ?? '', /does not answer/);
});

test('an archive that does not get on is given up, however often the buffer slides', () => {
  const archive = archiveOf(A, 2);
  const one = machine({ bufferBytesMax: 1_000 });
  let nowMs = 0;
  for (; one.failure === undefined && nowMs < 2 * STALL_MS; nowMs += 100) {
    one.handleLive(run(A, 6 + nowMs / 100, 6 + nowMs / 100), nowMs);
    if (one.reading !== undefined) serve(one, archive, nowMs);
    if (one.fetching !== undefined) serveFetch(one, archive, nowMs);
    one.handleTimeout(nowMs);
    told(one, nowMs);
  }
  assert.ok(one.counters.fallbacks > 0);
  assert.match(String(one.failure), /nothing has moved for 5000 ms/);
  assert.ok(nowMs <= STALL_MS + 500, `after ${nowMs} ms`);
});

test('going back to an archive that is away gives it no time anew', () => {
  const one = machine({ bufferBytesMax: 1_000 });
  serve(one, archiveOf(A, 2), 0);
  one.handleLive(run(A, 6, 6), 0);
  for (let last = 7; one.reading === undefined; last += 1) {
    if (one.fetching !== undefined) one.handleFailure(one.fetching, AWAY, 4_900);
    one.handleLive(run(A, last, last), 4_900);
  }
  one.handleTimeout(STALL_MS);
  assert.equal(one.state, 'failed');
});

test('a hole that is not filled does not keep others from being live', () => {
  const archive = archiveOf(A, 2);
  const one = machine();
  for (let last = 1; last <= 9; last += 1) {
    one.handleLive(run(B, last, last), 0);
    archive.hear(B, last, false);
    archive.commit(1);
    if (last === 1) one.handleLive(run(A, 6, 6), 0);
    if (one.reading !== undefined) serve(one, archive, 0);
  }
  assert.equal(one.state, 'mending');
  assert.equal(told(one, 0).at(-1), 'live 9-9');
});

test('a process that stood still gives the archive its time anew', () => {
  const one = machine();
  one.handleTimeout(STALL_MS + 60_000);
  assert.notEqual(one.state, 'failed');
  one.handleTimeout(STALL_MS + 60_000 + STALL_MS);
  assert.equal(one.state, 'failed');
});

test('a hole that the archive never settles is an error with its range, or lost', () => {
  for (const whenStalled of ['fail', 'lose'] as const) {
    const one = machine({ whenStalled });
    serve(one, archiveOf(A, 2), 0);
    one.handleLive(run(A, 5, 5), 0);
    let nowMs = 0;
    while (nowMs < STALL_MS) {
      if (one.fetching !== undefined) serveFetch(one, archiveOf(A, 2), nowMs);
      nowMs = Math.min(STALL_MS, one.nextDeadlineMs);
      one.handleTimeout(nowMs);
      if (one.standing !== undefined) one.handleStand(one.standing, archiveOf(A, 2).stand(), nowMs);
    }
    const texts = told(one, nowMs);
    if (whenStalled === 'fail') assert.match(one.failure?.message ?? '', /messages 3 to 4 of/);
    else assert.deepEqual(texts.slice(-2), ['lost 3-4 not_archived', 'live 5-5']);
  }
});

test('a final failure ends it; an unknown channel loses what it cannot have', () => {
  const gone = new BackcastError('BACKCAST_HISTORY_GONE', 'It is gone.');
  const one = machine();
  assert.ok(one.reading !== undefined);
  one.handleFailure(one.reading, gone, 0);
  assert.equal(one.failure, gone);
  const other = machine({ start: undefined, begin: 'heard' });
  other.handleLive(run(A, 1, 1), 0);
  other.handleLive(lost(A, 2, 2), 0);
  const unknown = new BackcastError('BACKCAST_CHANNEL_UNKNOWN', 'It never was.');
  assert.ok(other.fetching !== undefined);
  other.handleFailure(other.fetching, unknown, 0);
  assert.deepEqual(told(other, 0), [`${A} open`, 'live 1-1', 'lost 2-2 not_archived']);
});

test('a stream that does not reach us is noticed, and read from the archive', () => {
  const one = machine();
  serve(one, archiveOf(A, 2), 0);
  told(one, 0);
  let nowMs = 0;
  while (one.state === 'live' && nowMs < 60_000) {
    nowMs = one.nextDeadlineMs;
    one.handleTimeout(nowMs);
    if (one.standing !== undefined) one.handleStand(one.standing, archiveOf(A, 9).stand(), nowMs);
  }
  assert.equal(one.state, 'replaying');
  assert.ok(nowMs <= 3_000, `noticed after ${nowMs} ms`);
  serve(one, archiveOf(A, 9), nowMs);
  assert.deepEqual(told(one, nowMs), ['replaying', 'replayed 3-7', 'replayed 8-9', 'live']);
});

const ENDED = {
  archivedThrough: 4,
  sessions: [{ session: A, watermark: 4, state: 'closed' }],
} as const;

/** Answers where the archive stands, once it is asked. */
function stand(one: CatchUp, answer: ArchiveStand, nowMs: number): void {
  one.handleTimeout(nowMs);
  assert.ok(one.standing !== undefined);
  one.handleStand(one.standing, answer, nowMs);
}

test('without multicast, who ended before the tail began is told as over', () => {
  const one = machine({ hasMulticast: false });
  serve(one, archiveOf(A, 4), 0);
  serve(one, archiveOf(A, 4), 0);
  told(one, 0);
  stand(one, ENDED, 0);
  assert.deepEqual(told(one, 0), [`${A} closed`]);
});

test('who ended while nobody listened is told as over, once', () => {
  const nexts = new Map([[A, 5]]);
  for (const [ended, texts] of [
    [new Set<SessionId>(), [`${A} closed`]],
    [new Set([A]), []],
  ] as const) {
    const one = machine({ start: { afterPosition: 4 }, position: 4, nexts, ended });
    serve(one, archiveOf(A, 4), 0);
    told(one, 0);
    stand(one, ENDED, 250);
    assert.deepEqual(told(one, 250), texts);
  }
});

test('a session of which more was heard than the archive has is not over', () => {
  const one = machine();
  serve(one, archiveOf(A, 4), 0);
  one.handleLive(run(A, 5, 6), 0);
  told(one, 0);
  stand(one, ENDED, 250);
  assert.deepEqual(told(one, 250), []);
});

test('the end of a session is told behind its last message', () => {
  const one = machine();
  one.handleLiveSession({ session: A, state: 'open' }, 0);
  one.handleLive(run(A, 3, 3), 0);
  one.handleLiveSession({ session: A, state: 'closed' }, 0);
  serve(one, archiveOf(A, 2), 0);
  const texts = told(one, 0);
  assert.deepEqual(texts.slice(-3), ['live', 'live 3-3', `${A} closed`]);
});
