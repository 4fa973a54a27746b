// Judges what a receiver told against what was published: per session every sequence exactly once,
// in order, as message or as loss, and every message with the bytes it was published with.

import { type SessionId } from '#base/mod.ts';
import type { ReceiverEvent } from '#multicast/core/mod.ts';
import { NativeBlockReader } from '#multicast/wire/mod.ts';

/** What was published: payloads by session, the message of sequence n at index n − 1. */
export type Published = ReadonlyMap<SessionId, readonly Uint8Array[]>;

/** What the checker found of one session. */
export interface SessionVerdict {
  readonly firstSequence: number;
  /** The first sequence not accounted for. */
  readonly nextSequence: number;
  readonly delivered: number;
  readonly lost: number;
  readonly closed: 'fin' | 'expired' | undefined;
}

/**
 * Throws, with the place, at the first thing that breaks the promise; else says what was accounted
 * for.
 */
export function checkEvents(
  events: readonly ReceiverEvent[],
  published: Published,
): Map<SessionId, SessionVerdict> {
  const verdicts = new Map<SessionId, SessionVerdict>();
  const open = new Set<SessionId>();
  for (const event of events) {
    if (event.kind === 'opened') open.add(event.session);
    if (event.kind === 'opened' || event.kind === 'source' || event.kind === 'lead') continue;
    if (event.kind === 'conflict') throw new Error(`two contents for ${event.firstSequence}`);
    const before = verdicts.get(event.session);
    if (event.kind === 'closed') {
      open.delete(event.session);
      if (before !== undefined) verdicts.set(event.session, { ...before, closed: event.cause });
      continue;
    }
    if (!open.has(event.session)) throw new Error(`${event.kind} of ${event.session}, not open`);
    const count =
      event.kind === 'messages' ? event.messageCount : event.lastSequence - event.firstSequence + 1;
    const expected = before?.nextSequence ?? event.firstSequence;
    if (event.firstSequence !== expected || count < 1) {
      const what = `${event.kind} ${event.firstSequence} (${count})`;
      throw new Error(`session ${event.session}: ${what} where ${expected} was next`);
    }
    if (event.kind === 'messages') checkBytes(event, published.get(event.session) ?? []);
    verdicts.set(event.session, {
      firstSequence: before?.firstSequence ?? event.firstSequence,
      nextSequence: event.firstSequence + count,
      delivered: (before?.delivered ?? 0) + (event.kind === 'messages' ? count : 0),
      lost: (before?.lost ?? 0) + (event.kind === 'lost' ? count : 0),
      closed: undefined,
    });
  }
  return verdicts;
}

function checkBytes(
  event: Extract<ReceiverEvent, { kind: 'messages' }>,
  payloads: readonly Uint8Array[],
): void {
  const reader = new NativeBlockReader();
  const reason = reader.open(event.bytes, event.start, event.end);
  if (reason !== undefined) throw new Error(`block of ${event.session}: ${reason}`);
  for (let sequence = event.firstSequence; reader.next(); sequence += 1) {
    const payload = event.bytes.subarray(reader.payloadStart, reader.payloadEnd);
    const original = payloads[sequence - 1];
    if (original === undefined || !isSame(original, payload)) {
      throw new Error(`message ${sequence} of ${event.session} has other bytes`);
    }
  }
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  for (let at = 0; at < one.length; at += 1) if (one[at] !== other[at]) return false;
  return true;
}
