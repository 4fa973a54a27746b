// The identity of one publisher incarnation on one channel. A publisher that restarts gets a new
// session and counts again from sequence 1; so "message 17 of gateway-7" can never mean two
// different messages: without it, a receiver that slept through the restart would take the new 17
// for the one it already has and lose it silently. A session is a random 63-bit number, shown as 16
// hex digits.

import { assert } from './assert.ts';
import type { Brand } from './brand.ts';
import { randomBelow, type Random } from './random.ts';

/** 16 lower-case hex digits, first digit 0–7, not all zero. */
export type SessionId = Brand<string, 'SessionId'>;

const SHAPE = /^[0-7][0-9a-f]{15}$/;
const NONE = '0000000000000000';

/** Whether `text` is a well-formed session id. */
export function isSessionId(text: string): text is SessionId {
  return SHAPE.test(text) && text !== NONE;
}

/** A new session id: 63 random bits, never zero. */
export function randomSessionId(random: Random): SessionId {
  const high = randomBelow(random, 0x8000_0000);
  const low = randomBelow(random, 0xffff_ffff) + 1;
  return sessionFromWords(high, low);
}

/** The session whose 63 bits are `high` (31 bits) and `low` (32 bits), as read off the wire. */
export function sessionFromWords(high: number, low: number): SessionId {
  const text = hex8(high) + hex8(low);
  assert(isSessionId(text), 'a session has 63 bits and is not zero');
  return text;
}

/** The upper 31 and lower 32 bits of a session, as they go onto the wire. */
export function sessionToWords(session: SessionId): {
  readonly high: number;
  readonly low: number;
} {
  return {
    high: Number.parseInt(session.slice(0, 8), 16),
    low: Number.parseInt(session.slice(8), 16),
  };
}

/** The session as the non-negative bigint that the archive stores. */
export function sessionToBigInt(session: SessionId): bigint {
  return BigInt(`0x${session}`);
}

function hex8(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}
