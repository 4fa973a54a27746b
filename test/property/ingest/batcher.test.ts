// The batcher against a model that keeps everything in plain lists and never batches: whatever a
// receiver tells, in whatever rhythm batches are taken and committed, the batches put together are
// what the model has. In the framings of other implementations the last session is foreign: it
// begins at any number, and behind its messages come numbers that name none.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { ArchiveBatch, DeclaredLoss } from '#archive/mod.ts';
import { SegmentBuilderPool } from '#archive/segment/mod.ts';
import { foreignPacketCount, type Framing, type SessionId } from '#base/mod.ts';
import { Batcher } from '#ingest/batcher.ts';
import { type PlacedMessage, readSegment, SESSION_A, SESSION_B } from '#test/support/archive.ts';
import { type MessagesDelivered } from '#multicast/core/mod.ts';
import { zmqMessage } from '#multicast/wire/mod.ts';
import { delivered, deliveredIn, lost, publishedAtUsOf } from '#test/support/receiver-events.ts';

const SESSIONS = [SESSION_A, SESSION_B, '0000000000000c03' as SessionId];
const HEAD = 1_000;
const WALL_US = 1_795_342_400_000_000;
const AGE_MS = 20;
/** Where the numbers of the foreign session begin. */
const FOREIGN_START = 2 ** 48 + 65_536 * 7 + 3;

type Step =
  | {
      readonly kind: 'messages';
      readonly session: number;
      readonly sizes: readonly number[];
      readonly unused: number;
    }
  | { readonly kind: 'lost'; readonly session: number; readonly count: number }
  | { readonly kind: 'closed' | 'source'; readonly session: number }
  | { readonly kind: 'poll'; readonly waitMs: number; readonly force: boolean }
  | { readonly kind: 'commit' };

function stepOf(bytesMax: number): fc.Arbitrary<Step> {
  const session = fc.nat(SESSIONS.length - 1);
  const sizes = fc.array(fc.nat(bytesMax), { minLength: 1, maxLength: 8 });
  const unused = fc.oneof(fc.constant(0), fc.constantFrom(1, 65_530, 200_000));
  return fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('messages'), session, sizes, unused }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('lost'), session, count: countOf(5) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('closed', 'source'), session }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('poll'),
        waitMs: fc.nat(2 * AGE_MS),
        force: fc.boolean(),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('commit') }) },
  ) as fc.Arbitrary<Step>;
}

function countOf(max: number): fc.Arbitrary<number> {
  return fc.integer({ min: 1, max });
}

/** Runs steps on a batcher and on plain lists at once. */
class Run {
  readonly #framing: Framing;
  readonly #builders = new SegmentBuilderPool();
  readonly #batcher: Batcher;
  readonly #messages: PlacedMessage[] = [];
  readonly #losses: DeclaredLoss[] = [];
  readonly #watermarks = new Map<SessionId, number>();
  readonly #nextSqns = new Map<SessionId, number>();
  /** Watermark of the session after each of its packets and losses: where a batch may end. */
  readonly #resting = new Map<SessionId, Set<number>>();
  readonly batches: ArchiveBatch[] = [];
  readonly #stored: PlacedMessage[] = [];
  #inFlight: { readonly batch: ArchiveBatch; readonly messages: PlacedMessage[] } | undefined;
  #nowMs = 0;

  constructor(framing: Framing, batchMessagesMax: number, batchBytesMax: number) {
    this.#framing = framing;
    this.#batcher = new Batcher({
      framing,
      builders: this.#builders,
      channelId: 1,
      epoch: 1,
      head: HEAD,
      commits: 0,
      sessions: [],
      batchMessagesMax,
      batchBytesMax,
      batchAgeMs: AGE_MS,
    });
  }

  take(step: Step): void {
    if (step.kind === 'poll') this.#poll(step);
    else if (step.kind === 'commit') this.#commit();
    else this.#tell(step);
  }

  /** Takes and commits all that is left, and compares. */
  finish(): void {
    this.#commit();
    for (;;) {
      this.#poll({ kind: 'poll', waitMs: 0, force: true });
      if (this.#inFlight === undefined) break;
      this.#commit();
    }
    assert.equal(this.#batcher.pendingBytes, 0);
    assert.equal(this.#batcher.nextDeadlineMs, Number.POSITIVE_INFINITY);
    assert.deepEqual(this.#stored, this.#messages);
    assert.deepEqual(
      this.batches.flatMap(({ losses }) => losses),
      this.#losses,
    );
    this.#compareProgress();
  }

  #tell(step: Extract<Step, { readonly session: number }>): void {
    const session = SESSIONS[step.session] ?? SESSION_A;
    const nowMs = this.#nowMs;
    const isForeign = this.#framing !== 'native' && step.session === SESSIONS.length - 1;
    if (!this.#watermarks.has(session)) {
      this.#watermarks.set(session, isForeign ? FOREIGN_START - 1 : 0);
      this.#resting.set(session, new Set([0]));
      this.#batcher.handleEvent({ kind: 'opened', session, tsi: 'x', isForeign }, nowMs, WALL_US);
    }
    const first = (this.#watermarks.get(session) ?? 0) + 1;
    if (step.kind === 'messages') {
      const sizes = this.#framing === 'raw' ? step.sizes.slice(0, 1) : step.sizes;
      const payloads = sizes.map((bytes, index) => new Uint8Array(bytes).fill(first + index));
      this.#expect(session, first, payloads, isForeign ? step.unused : 0);
      const told = this.#deliver(session, first, payloads);
      this.#batcher.handleEvent(told, nowMs, WALL_US);
      told.bytes.fill(0);
    } else if (step.kind === 'lost') {
      const last = first + step.count - 1;
      this.#losses.push({
        session,
        firstSequence: first,
        lastSequence: last,
        cause: 'repair_expired',
        afterPosition: HEAD + this.#messages.length,
        detectedAtUs: WALL_US,
        firstSqn: this.#nextSqns.get(session),
        nextSqn: last + 1,
        packetCount: isForeign ? foreignPacketCount(this.#framing, { first, last }) : null,
      });
      this.#rest(session, last);
      this.#nextSqns.set(session, last + 1);
      this.#batcher.handleEvent(lost(session, first, last), nowMs, WALL_US);
    } else if (step.kind === 'source') {
      this.#batcher.handleEvent({ kind: 'source', session, source: 'x' }, nowMs, WALL_US);
    } else {
      this.#batcher.handleEvent({ kind: 'closed', session, cause: 'expired' }, nowMs, WALL_US);
    }
  }

  #deliver(session: SessionId, first: number, payloads: readonly Uint8Array[]): MessagesDelivered {
    const lastSequence = this.#watermarks.get(session) ?? 0;
    this.#nextSqns.set(session, first);
    if (this.#framing === 'native') return delivered(session, first, payloads);
    const numbers = { firstSequence: first, lastSequence, nextSqn: first };
    return deliveredIn(this.#framing, session, numbers, payloads);
  }

  #expect(
    session: SessionId,
    first: number,
    payloads: readonly Uint8Array[],
    unused: number,
  ): void {
    for (const [index, plain] of payloads.entries()) {
      const sequence = first + index;
      const payload = this.#framing === 'zmq' ? zmqMessage([plain]) : plain;
      this.#messages.push({
        position: HEAD + this.#messages.length + 1,
        session,
        sequence,
        payload: Buffer.from(payload),
        publishedAtUs: this.#framing === 'native' ? publishedAtUsOf(sequence) : WALL_US,
      });
    }
    this.#rest(session, first + payloads.length - 1 + unused);
  }

  #rest(session: SessionId, watermark: number): void {
    this.#watermarks.set(session, watermark);
    this.#resting.get(session)?.add(watermark);
  }

  #poll({ waitMs, force }: Extract<Step, { readonly kind: 'poll' }>): void {
    this.#nowMs += waitMs;
    const isDue = this.#nowMs >= this.#batcher.nextDeadlineMs;
    const batch = this.#batcher.pollBatch(this.#nowMs, force);
    if (!force) assert.equal(batch !== undefined, isDue);
    if (batch === undefined) return;
    assert.equal(this.#inFlight, undefined);
    this.#inFlight = { batch, messages: batch.segments.flatMap(readSegment) };
  }

  /** What was given out is still the same when it is committed, whatever came meanwhile. */
  #commit(): void {
    if (this.#inFlight === undefined) return;
    const { batch, messages } = this.#inFlight;
    this.#inFlight = undefined;
    assert.deepEqual(batch.segments.flatMap(readSegment), messages);
    assert.equal(batch.expectedHead, HEAD + this.#stored.length);
    this.#stored.push(...messages);
    this.batches.push(batch);
    this.#batcher.committed();
  }

  /** After each batch, a session's watermark is what the batches so far hold of it, and no more. */
  #compareProgress(): void {
    const watermarks = new Map<SessionId, number>();
    for (const batch of this.batches) {
      const held = new Map<SessionId, number>(watermarks);
      for (const { session, lastSequence } of batch.segments.flatMap(({ runs }) => runs)) {
        held.set(session, Math.max(held.get(session) ?? 0, lastSequence));
      }
      for (const { session, lastSequence } of batch.losses) {
        held.set(session, Math.max(held.get(session) ?? 0, lastSequence));
      }
      for (const { session, watermark } of batch.sessions) {
        assert.equal(watermark, held.get(session) ?? 0);
        assert.ok(this.#resting.get(session)?.has(watermark), 'a batch ends between two packets');
        watermarks.set(session, watermark);
      }
      for (const [session, last] of held) assert.equal(watermarks.get(session), last);
    }
  }
}

function runSteps(
  framing: Framing,
  steps: readonly Step[],
  messagesMax: number,
  bytesMax: number,
): Run {
  const run = new Run(framing, messagesMax, bytesMax);
  for (const step of steps) run.take(step);
  run.finish();
  return run;
}

test('batches hold exactly what was told: all of it, once, in order, at dense positions', () => {
  fc.assert(
    fc.property(
      fc.constantFrom<Framing>('native', 'raw', 'zmq'),
      fc.array(stepOf(60), { maxLength: 120 }),
      countOf(40),
      fc.integer({ min: 50, max: 3_000 }),
      (framing, steps, messagesMax, bytesMax) => {
        runSteps(framing, steps, messagesMax, bytesMax);
      },
    ),
    { numRuns: 300 },
  );
});

test('it is the same when batches take several segments, and builders are used again', () => {
  let segmentsMost = 0;
  fc.assert(
    fc.property(fc.array(stepOf(150_000), { maxLength: 24, minLength: 12 }), (steps) => {
      const run = runSteps('native', steps, 1_000, 4_000_000);
      for (const { segments } of run.batches)
        segmentsMost = Math.max(segmentsMost, segments.length);
    }),
    { numRuns: 30 },
  );
  assert.ok(segmentsMost > 1);
});
