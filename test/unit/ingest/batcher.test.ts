import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ArchiveBatch, SessionProgress } from '#archive/mod.ts';
import { SegmentBuilderPool } from '#archive/segment/mod.ts';
import type { SessionId } from '#base/mod.ts';
import { Batcher, type BatcherOptions } from '#ingest/batcher.ts';
import { readSegment, SESSION_A, SESSION_B } from '#test/support/archive.ts';
import { delivered, lost } from '#test/support/receiver-events.ts';

const WALL_US = 1_795_342_400_000_000;
const TSI = '0a0b0c0d0e0f.7500';

function newBatcher(options: Partial<BatcherOptions> = {}): Batcher {
  return new Batcher({
    channelId: 7,
    epoch: 3,
    head: 100,
    commits: 0,
    framing: 'native',
    builders: new SegmentBuilderPool(),
    sessions: [],
    batchMessagesMax: 1_000,
    batchBytesMax: 1_000_000,
    batchAgeMs: 20,
    ...options,
  });
}

function opened(batcher: Batcher, session: SessionId = SESSION_A, nowMs = 0): void {
  batcher.handleEvent({ kind: 'opened', session, tsi: TSI, isForeign: false }, nowMs, WALL_US);
}

function texts(batch: ArchiveBatch | undefined): string[] {
  return (batch?.segments ?? []).flatMap((segment) =>
    readSegment(segment).map(
      ({ position, session, sequence, payload }) =>
        `${position} ${session.slice(-2)} ${sequence} ${Buffer.from(payload).toString()}`,
    ),
  );
}

function bytesOf(...payloads: readonly string[]): Uint8Array[] {
  return payloads.map((payload) => Buffer.from(payload));
}

test('neighbouring losses of a full spool are one loss, as long as nothing is between', () => {
  const batcher = newBatcher();
  opened(batcher);
  opened(batcher, SESSION_B);
  const tell = (session: SessionId, first: number, last: number): void => {
    batcher.handleEvent({ ...lost(session, first, last), cause: 'spool_full' }, 0, WALL_US + first);
  };
  tell(SESSION_A, 1, 2);
  tell(SESSION_B, 1, 1);
  tell(SESSION_A, 3, 7);
  tell(SESSION_B, 2, 2);
  batcher.handleEvent(delivered(SESSION_B, 3, bytesOf('b')), 0, WALL_US);
  tell(SESSION_A, 8, 8);
  batcher.handleEvent(lost(SESSION_B, 4, 4), 0, WALL_US);
  batcher.handleEvent(lost(SESSION_B, 5, 5), 0, WALL_US);
  const losses = batcher.pollBatch(20)?.losses ?? [];
  assert.deepEqual(
    losses.map(({ session, firstSequence, lastSequence }) => {
      return `${session.slice(-2)} ${firstSequence}-${lastSequence}`;
    }),
    ['01 1-7', 'ff 1-2', '01 8-8', 'ff 4-4', 'ff 5-5'],
  );
  assert.equal(losses[0]?.detectedAtUs, WALL_US + 1);
});

test('positions go on behind the head, whichever session a message is from', () => {
  const batcher = newBatcher();
  opened(batcher);
  opened(batcher, SESSION_B);
  batcher.handleEvent(delivered(SESSION_A, 1, bytesOf('a', '')), 0, WALL_US);
  batcher.handleEvent(delivered(SESSION_B, 1, bytesOf('b')), 0, WALL_US);
  batcher.handleEvent(delivered(SESSION_A, 3, bytesOf('c'), 90), 0, WALL_US);
  const batch = batcher.pollBatch(20);
  assert.deepEqual(texts(batch), ['101 01 1 a', '102 01 2 ', '103 ff 1 b', '104 01 3 c']);
  assert.deepEqual(
    [batch?.channelId, batch?.epoch, batch?.expectedHead, batch?.segments.length],
    [7, 3, 100, 1],
  );
  assert.deepEqual(
    batch?.sessions.map(({ session, watermark, resumeSqn }) => [session, watermark, resumeSqn]),
    [
      [SESSION_A, 3, 90],
      [SESSION_B, 1, 1],
    ],
  );
});

test('a batch waits for its age, counted from the first thing in it', () => {
  const batcher = newBatcher({ batchAgeMs: 20 });
  assert.equal(batcher.nextDeadlineMs, Number.POSITIVE_INFINITY);
  opened(batcher, SESSION_A, 1_000);
  batcher.handleEvent(delivered(SESSION_A, 1, bytesOf('a')), 1_015, WALL_US);
  assert.equal(batcher.nextDeadlineMs, 1_020);
  assert.equal(batcher.pollBatch(1_019), undefined);
  assert.deepEqual(texts(batcher.pollBatch(1_020)), ['101 01 1 a']);
});

test('a young batch is given out when it is forced, and an empty one never', () => {
  const batcher = newBatcher();
  assert.equal(batcher.pollBatch(0, true), undefined);
  opened(batcher);
  assert.equal(batcher.pollBatch(0), undefined);
  assert.equal(batcher.pollBatch(0, true)?.sessions.length, 1);
});

test('while a batch is in flight no other is given out, and what comes goes into the next', () => {
  const batcher = newBatcher({ batchMessagesMax: 2 });
  opened(batcher);
  batcher.handleEvent(delivered(SESSION_A, 1, bytesOf('a', 'b')), 0, WALL_US);
  assert.equal(batcher.nextDeadlineMs, Number.NEGATIVE_INFINITY);
  const first = batcher.pollBatch(0);
  batcher.handleEvent(delivered(SESSION_A, 3, bytesOf('c', 'd')), 0, WALL_US);
  assert.equal(batcher.nextDeadlineMs, Number.POSITIVE_INFINITY);
  assert.equal(batcher.pollBatch(1_000, true), undefined);
  assert.deepEqual(texts(first), ['101 01 1 a', '102 01 2 b']);
  batcher.committed();
  const second = batcher.pollBatch(0);
  assert.equal(second?.expectedHead, 102);
  assert.deepEqual(texts(second), ['103 01 3 c', '104 01 4 d']);
});

test('a packet for which a batch has no room begins the next, and may be larger than one', () => {
  const batcher = newBatcher({ batchMessagesMax: 2 });
  opened(batcher);
  const told = [bytesOf('a'), bytesOf('b', 'c', 'd'), bytesOf('e')];
  for (const [index, bytes] of told.entries()) {
    const mark = { ordinal: index + 1, spoolNumber: 0 };
    const first = [1, 2, 5][index] ?? 0;
    batcher.handleEvent(delivered(SESSION_A, first, bytes), 0, WALL_US, mark);
  }
  const batches = [['101 01 1 a'], ['102 01 2 b', '103 01 3 c', '104 01 4 d'], ['105 01 5 e']];
  for (const [index, messages] of batches.entries()) {
    const batch = batcher.pollBatch(0, true);
    assert.ok(batch !== undefined);
    assert.deepEqual(texts(batch), messages);
    assert.equal(batch.sessions[0]?.watermark, [1, 4, 5][index]);
    batcher.committed();
    assert.equal(batcher.committedMark.ordinal, index + 1);
  }
});

test('a conflict alone makes a batch, and touches no session', () => {
  const batcher = newBatcher();
  opened(batcher);
  batcher.pollBatch(0, true);
  batcher.committed();
  const range = { session: SESSION_A, firstSequence: 3, lastSequence: 4 };
  batcher.handleEvent({ kind: 'conflict', ...range, sqn: 2 ** 32 + 7 }, 0, WALL_US);
  const batch = batcher.pollBatch(0, true);
  assert.deepEqual([batch?.segments, batch?.sessions, batch?.losses], [[], [], []]);
  assert.deepEqual(batch?.conflicts, [
    {
      ...range,
      storedSha256: null,
      heardSha256: null,
      detectedAtUs: WALL_US,
      evidence: 'packet 7 came again with other content',
    },
  ]);
  batcher.committed();
  assert.equal(batcher.pollBatch(0, true), undefined);
});

test('a batch is full by bytes too', () => {
  const batcher = newBatcher({ batchBytesMax: 1_000 });
  opened(batcher);
  batcher.handleEvent(delivered(SESSION_A, 1, [new Uint8Array(900)]), 0, WALL_US);
  assert.equal(batcher.pollBatch(0), undefined);
  batcher.handleEvent(delivered(SESSION_A, 2, [new Uint8Array(100)]), 0, WALL_US);
  assert.equal(batcher.pollBatch(0)?.segments[0]?.messageCount, 2);
});

test('what is held counts until it is committed, not until it is given out', () => {
  const batcher = newBatcher();
  opened(batcher);
  assert.equal(batcher.pendingBytes, 0);
  batcher.handleEvent(delivered(SESSION_A, 1, [new Uint8Array(500)]), 0, WALL_US);
  const heldBytes = batcher.pendingBytes;
  assert.ok(heldBytes >= 500 && heldBytes < 600, `${heldBytes}`);
  batcher.pollBatch(0, true);
  assert.equal(batcher.pendingBytes, heldBytes);
  batcher.committed();
  assert.equal(batcher.pendingBytes, 0);
});

test('a loss lies behind the message before it and moves the watermark', () => {
  const batcher = newBatcher();
  opened(batcher);
  batcher.handleEvent(delivered(SESSION_A, 1, bytesOf('a', 'b')), 0, WALL_US);
  batcher.handleEvent(lost(SESSION_A, 3, 9, 40), 0, WALL_US + 5);
  batcher.handleEvent(delivered(SESSION_A, 10, bytesOf('c'), 41), 0, WALL_US);
  const batch = batcher.pollBatch(20);
  assert.deepEqual(batch?.losses, [
    {
      session: SESSION_A,
      firstSequence: 3,
      lastSequence: 9,
      cause: 'repair_expired',
      afterPosition: 102,
      detectedAtUs: WALL_US + 5,
      firstSqn: 1,
      nextSqn: 40,
      packetCount: null,
    },
  ]);
  assert.deepEqual(texts(batch), ['101 01 1 a', '102 01 2 b', '103 01 10 c']);
  assert.equal(batch?.sessions[0]?.watermark, 10);
});

test('a loss alone is a batch without segments, and the head stays', () => {
  const batcher = newBatcher();
  opened(batcher);
  batcher.handleEvent(lost(SESSION_A, 1, 5), 0, WALL_US);
  const batch = batcher.pollBatch(0, true);
  assert.deepEqual([batch?.segments.length, batch?.losses[0]?.afterPosition], [0, 100]);
  batcher.committed();
  batcher.handleEvent(delivered(SESSION_A, 6, bytesOf('x')), 0, WALL_US);
  assert.deepEqual(texts(batcher.pollBatch(0, true)), ['101 01 6 x']);
});

test('a batch tells only of the sessions that changed', () => {
  const batcher = newBatcher();
  opened(batcher);
  opened(batcher, SESSION_B);
  batcher.pollBatch(0, true);
  batcher.committed();
  batcher.handleEvent({ kind: 'source', session: SESSION_B, source: 'gateway-7' }, 0, WALL_US);
  const sessions = batcher.pollBatch(0, true)?.sessions;
  assert.deepEqual(
    sessions?.map(({ session, source }) => [session, source]),
    [[SESSION_B, 'gateway-7']],
  );
});

test('a batch that was given out does not change when more of its session comes', () => {
  const batcher = newBatcher();
  opened(batcher);
  batcher.handleEvent(delivered(SESSION_A, 1, bytesOf('a')), 0, WALL_US);
  const batch = batcher.pollBatch(0, true);
  batcher.handleEvent(delivered(SESSION_A, 2, bytesOf('b')), 0, WALL_US);
  batcher.handleEvent({ kind: 'closed', session: SESSION_A, cause: 'fin' }, 0, WALL_US);
  assert.deepEqual([batch?.sessions[0]?.watermark, batch?.sessions[0]?.state], [1, 'open']);
  assert.deepEqual(texts(batch), ['101 01 1 a']);
});

test('the end of a session has its kind and its time, and a session heard again is open', () => {
  const batcher = newBatcher();
  opened(batcher);
  batcher.handleEvent({ kind: 'closed', session: SESSION_A, cause: 'expired' }, 0, WALL_US);
  const [over] = batcher.pollBatch(0, true)?.sessions ?? [];
  assert.deepEqual([over?.state, over?.closedAtUs], ['expired', WALL_US]);
  batcher.committed();
  opened(batcher);
  const [again] = batcher.pollBatch(0, true)?.sessions ?? [];
  assert.deepEqual([again?.state, again !== undefined && 'closedAtUs' in again], ['open', false]);
});

test('what was archived earlier is recalled, and goes on where it was left', () => {
  const known: SessionProgress = {
    session: SESSION_A,
    tsi: TSI,
    isForeign: false,
    state: 'expired',
    firstArchived: 1,
    watermark: 41,
    lead: 41,
    resumeSqn: 2 ** 32 + 9,
  };
  const batcher = newBatcher({
    sessions: [known, { ...known, session: SESSION_B, state: 'closed' }],
  });
  assert.deepEqual(batcher.recall(SESSION_A), {
    session: SESSION_A,
    nextSequence: 42,
    nextSqn: 2 ** 32 + 9,
    isForeign: false,
  });
  assert.equal(batcher.recall(SESSION_B), 'finished');
  assert.equal(batcher.recall('0000000000000042' as SessionId), undefined);
  opened(batcher);
  batcher.handleEvent(delivered(SESSION_A, 42, bytesOf('x')), 0, WALL_US);
  assert.equal(batcher.pollBatch(0, true)?.sessions[0]?.watermark, 42);
});

test('a session of which nothing was told is recalled without a place', () => {
  const batcher = newBatcher();
  opened(batcher);
  assert.deepEqual(batcher.recall(SESSION_A), {
    session: SESSION_A,
    nextSequence: 1,
    nextSqn: undefined,
    isForeign: false,
  });
});

test('a sequence told twice, or left out, is a bug that stops the archiver', () => {
  const batcher = newBatcher();
  opened(batcher);
  batcher.handleEvent(delivered(SESSION_A, 1, bytesOf('a')), 0, WALL_US);
  const again = delivered(SESSION_A, 1, bytesOf('a'));
  assert.throws(() => batcher.handleEvent(again, 0, WALL_US), /each once/);
  assert.throws(() => batcher.handleEvent(lost(SESSION_A, 3, 3), 0, WALL_US), /each once/);
});

test('a lead beyond the watermark is committed, and one behind it is nothing new', () => {
  const batcher = newBatcher();
  opened(batcher);
  batcher.handleEvent(delivered(SESSION_A, 1, bytesOf('a', 'b')), 0, WALL_US);
  batcher.handleEvent({ kind: 'lead', session: SESSION_A, sequence: 9 }, 1, WALL_US);
  const [first] = batcher.pollBatch(20)?.sessions ?? [];
  assert.deepEqual([first?.watermark, first?.lead], [2, 9]);
  batcher.committed();
  batcher.handleEvent({ kind: 'lead', session: SESSION_A, sequence: 9 }, 30, WALL_US);
  assert.equal(batcher.pollBatch(60), undefined);
  batcher.handleEvent(lost(SESSION_A, 3, 12), 40, WALL_US);
  const [second] = batcher.pollBatch(60)?.sessions ?? [];
  assert.deepEqual([second?.watermark, second?.lead], [12, 12]);
});
