// The batcher against a model that keeps everything in plain lists and never batches: whatever a
// receiver tells, in whatever rhythm batches are taken and committed, the batches put together are
// what the model has.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { ArchiveBatch, DeclaredLoss } from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import { Batcher } from '#ingest/batcher.ts';
import { type PlacedMessage, readSegment, SESSION_A, SESSION_B } from '#test/support/archive.ts';
import { delivered, lost, publishedAtUsOf } from '#test/support/receiver-events.ts';

const SESSIONS = [SESSION_A, SESSION_B, '0000000000000c03' as SessionId];
const HEAD = 1_000;
const WALL_US = 1_795_342_400_000_000;
const AGE_MS = 20;

type Step =
  | { readonly kind: 'messages'; readonly session: number; readonly sizes: readonly number[] }
  | { readonly kind: 'lost'; readonly session: number; readonly count: number }
  | { readonly kind: 'closed' | 'source'; readonly session: number }
  | { readonly kind: 'poll'; readonly waitMs: number; readonly force: boolean }
  | { readonly kind: 'commit' };

function stepOf(bytesMax: number): fc.Arbitrary<Step> {
  const session = fc.nat(SESSIONS.length - 1);
  const sizes = fc.array(fc.nat(bytesMax), { minLength: 1, maxLength: 8 });
  return fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('messages'), session, sizes }) },
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
  readonly #batcher: Batcher;
  readonly #messages: PlacedMessage[] = [];
  readonly #losses: DeclaredLoss[] = [];
  readonly #watermarks = new Map<SessionId, number>();
  /** Watermark of the session after each of its packets and losses: where a batch may end. */
  readonly #resting = new Map<SessionId, Set<number>>();
  readonly batches: ArchiveBatch[] = [];
  readonly #stored: PlacedMessage[] = [];
  #inFlight: { readonly batch: ArchiveBatch; readonly messages: PlacedMessage[] } | undefined;
  #nowMs = 0;

  constructor(batchMessagesMax: number, batchBytesMax: number) {
    this.#batcher = new Batcher({
      channelId: 1,
      epoch: 1,
      head: HEAD,
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
    if (!this.#watermarks.has(session)) {
      this.#watermarks.set(session, 0);
      this.#resting.set(session, new Set([0]));
      const opened = { kind: 'opened', session, tsi: 'x', isForeign: false } as const;
      this.#batcher.handleEvent(opened, nowMs, WALL_US);
    }
    const first = (this.#watermarks.get(session) ?? 0) + 1;
    if (step.kind === 'messages') {
      const payloads = step.sizes.map((bytes, index) => new Uint8Array(bytes).fill(first + index));
      this.#expect(session, first, payloads);
      const told = delivered(session, first, payloads);
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
      });
      this.#rest(session, last);
      this.#batcher.handleEvent(lost(session, first, last), nowMs, WALL_US);
    } else if (step.kind === 'source') {
      this.#batcher.handleEvent({ kind: 'source', session, source: 'x' }, nowMs, WALL_US);
    } else {
      this.#batcher.handleEvent({ kind: 'closed', session, cause: 'expired' }, nowMs, WALL_US);
    }
  }

  #expect(session: SessionId, first: number, payloads: readonly Uint8Array[]): void {
    for (const [index, payload] of payloads.entries()) {
      const sequence = first + index;
      this.#messages.push({
        position: HEAD + this.#messages.length + 1,
        session,
        sequence,
        payload: Buffer.from(payload),
        publishedAtUs: publishedAtUsOf(sequence),
      });
    }
    this.#rest(session, first + payloads.length - 1);
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
      for (const { session, firstSequence, length } of batch.segments.flatMap(({ runs }) => runs)) {
        held.set(session, Math.max(held.get(session) ?? 0, firstSequence + length - 1));
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

function runSteps(steps: readonly Step[], messagesMax: number, bytesMax: number): Run {
  const run = new Run(messagesMax, bytesMax);
  for (const step of steps) run.take(step);
  run.finish();
  return run;
}

test('batches hold exactly what was told: all of it, once, in order, at dense positions', () => {
  fc.assert(
    fc.property(
      fc.array(stepOf(60), { maxLength: 120 }),
      countOf(40),
      fc.integer({ min: 50, max: 3_000 }),
      (steps, messagesMax, bytesMax) => {
        runSteps(steps, messagesMax, bytesMax);
      },
    ),
    { numRuns: 300 },
  );
});

test('it is the same when batches take several segments, and builders are used again', () => {
  let segmentsMost = 0;
  fc.assert(
    fc.property(fc.array(stepOf(150_000), { maxLength: 24, minLength: 12 }), (steps) => {
      const run = runSteps(steps, 1_000, 4_000_000);
      for (const { segments } of run.batches)
        segmentsMost = Math.max(segmentsMost, segments.length);
    }),
    { numRuns: 30 },
  );
  assert.ok(segmentsMost > 1);
});
