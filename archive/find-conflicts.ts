// Compares what is told again with what is stored. Messages come twice when a spool is read once
// more, when another archiver offers what it heard, or when an archiver begins anew where the
// server went back to; then they must be the same. What is stored is never overwritten: a
// difference becomes a conflict, for whoever told it to hand in with its next batch.

import { createHash } from 'node:crypto';
import { BackcastError, type SessionId } from '#base/mod.ts';
import { findChannel } from './read.ts';
import type { MessageRun } from './read-entries.ts';
import { openReading } from './read-messages.ts';
import type { ReadDatabase } from './shared-reads.ts';
import type { Conflict } from './types.ts';

/** A message as it was told again. */
export interface ToldMessage {
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** What to compare: messages of one session, in ascending order, and how they came. */
export interface Comparison {
  readonly channel: string;
  readonly session: SessionId;
  readonly told: readonly ToldMessage[];
  readonly detectedAtUs: number;
  readonly evidence: string;
}

const PAGE_MESSAGES = 4_096;

/**
 * The messages that are stored with other bytes, as conflicts of consecutive sequences; their
 * hashes are of the payloads one behind the other. What is not stored, or not kept any more, cannot
 * differ. Reads what lies between the first and the last message told. Errors:
 * BACKCAST_CHANNEL_UNKNOWN, BACKCAST_DATABASE_UNREACHABLE.
 */
export async function findConflicts(
  opened: ReadDatabase,
  comparison: Comparison,
): Promise<Conflict[]> {
  const { told } = comparison;
  const differing: Differing[] = [];
  const bySequence = new Map(told.map(({ sequence, payload }) => [sequence, payload]));
  for await (const run of storedRuns(opened, comparison)) {
    for (let index = 0; index < run.messageCount; index += 1) {
      const sequence = run.firstSequence + index;
      const heard = bySequence.get(sequence);
      const stored = payloadAt(run, index);
      if (heard === undefined || stored.equals(heard)) continue;
      differing.push({ sequence, stored: Buffer.from(stored), heard });
    }
  }
  return consecutive(differing).map((range) => conflictOf(comparison, range));
}

interface Differing {
  readonly sequence: number;
  readonly stored: Uint8Array;
  readonly heard: Uint8Array;
}

async function* storedRuns(
  opened: ReadDatabase,
  { channel: name, session, told }: Comparison,
): AsyncGenerator<MessageRun> {
  const first = told.at(0)?.sequence;
  const last = told.at(-1)?.sequence;
  if (first === undefined || last === undefined) return;
  const channel = await findChannel(opened.database, name);
  const request = { kind: 'sequences', session, first, last, order: 'asc' } as const;
  try {
    const reading = await openReading(opened, channel, request);
    for (;;) {
      const page = await reading.nextPage(PAGE_MESSAGES);
      for (const entry of page.entries) if (entry.kind === 'messages') yield entry;
      if (page.isLast) return;
    }
  } catch (error) {
    if (!isUnstored(error)) throw error;
  }
}

function isUnstored(error: unknown): boolean {
  if (!(error instanceof BackcastError)) return false;
  return error.code === 'BACKCAST_SESSION_UNKNOWN' || error.code === 'BACKCAST_HISTORY_GONE';
}

function payloadAt({ segment, firstIndex }: MessageRun, index: number): Buffer {
  const at = firstIndex + index;
  return segment.bytes.subarray(segment.payloadStarts[at], segment.payloadEnds[at]);
}

function consecutive(differing: readonly Differing[]): Differing[][] {
  const ranges: Differing[][] = [];
  for (const one of differing) {
    const range = ranges.at(-1);
    if (range?.at(-1)?.sequence === one.sequence - 1) range.push(one);
    else ranges.push([one]);
  }
  return ranges;
}

function conflictOf(
  { session, detectedAtUs, evidence }: Comparison,
  range: readonly Differing[],
): Conflict {
  return {
    session,
    firstSequence: range[0].sequence,
    lastSequence: range[range.length - 1].sequence,
    storedSha256: sha256(range.map(({ stored }) => stored)),
    heardSha256: sha256(range.map(({ heard }) => heard)),
    detectedAtUs,
    evidence,
  };
}

function sha256(payloads: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const payload of payloads) hash.update(payload);
  return hash.digest();
}
