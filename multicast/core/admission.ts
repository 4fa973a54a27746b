// Which new sessions a receiver takes up. Below half of its bound: every one, with its first
// packet. Beyond, and there are that many only where somebody forges them: a session that is heard
// twice within a few seconds, so that a flood of names that are said once takes up nothing. At the
// bound: in place of the stranger that was heard longest ago, some hundred times a second.
//
// A stranger is a session of which few packets were heard. Those that have been heard more often
// are never given up for others. Does not tell forged packets from real ones: authentication does.

import {
  RECEIVE_SESSIONS_MAX,
  SESSION_CANDIDATES,
  SESSIONS_REPLACED_PER_SEC_MAX,
} from '#base/mod.ts';
import type { PacketReader } from '#multicast/wire/mod.ts';
import { RateLimiter } from './rate-limiter.ts';

/** From so many packets on a session is no stranger: three SPMs and the first data. */
const KNOWN_PACKETS = 8;
const CROWDED_SESSIONS = RECEIVE_SESSIONS_MAX / 2;
/** A quiet publisher is heard every two seconds. */
const CANDIDATE_MS = 5_000;
const HASH_PRIME = 0x0100_0193;

/** Decides over newcomers; `Peer` is whatever stands for a session that is followed. */
export class Admission<Peer> {
  /** Strangers and how many packets were heard of each, the one heard longest ago first. */
  readonly #strangers = new Map<Peer, number>();
  readonly #candidates = new Uint32Array(SESSION_CANDIDATES);
  readonly #heardAtMs = new Float64Array(SESSION_CANDIDATES).fill(Number.NEGATIVE_INFINITY);
  readonly #replacements = new RateLimiter({
    rateBytesPerSec: SESSIONS_REPLACED_PER_SEC_MAX,
    burstBytes: SESSIONS_REPLACED_PER_SEC_MAX,
  });

  /** Whether the new session in `reader` may be taken up while `followed` others are. */
  mayEnter(reader: PacketReader, followed: number, nowMs: number): boolean {
    if (followed < CROWDED_SESSIONS) return true;
    const name = nameOf(reader);
    const slot = name % SESSION_CANDIDATES;
    const isHeardAgain =
      this.#candidates[slot] === name && nowMs - (this.#heardAtMs[slot] ?? 0) <= CANDIDATE_MS;
    this.#candidates[slot] = name;
    this.#heardAtMs[slot] = nowMs;
    return isHeardAgain;
  }

  /** The stranger to give up so that another session can be taken up, if there may be one. */
  replaceable(nowMs: number): Peer | undefined {
    this.#replacements.refill(nowMs);
    const [stranger] = this.#strangers.keys();
    return stranger !== undefined && this.#replacements.take(1) ? stranger : undefined;
  }

  /** A session that nobody vouches for was taken up. */
  entered(peer: Peer): void {
    this.#strangers.set(peer, 0);
  }

  /** A packet of a session that is followed was heard. */
  heard(peer: Peer): void {
    if (this.#strangers.size === 0) return;
    const packets = this.#strangers.get(peer);
    if (packets === undefined) return;
    this.#strangers.delete(peer);
    if (packets + 1 < KNOWN_PACKETS) this.#strangers.set(peer, packets + 1);
  }

  /** A session is not followed any more. */
  left(peer: Peer): void {
    this.#strangers.delete(peer);
  }
}

/** 32 bits of who it is; two that share them count as one. */
function nameOf(reader: PacketReader): number {
  const { gsiHigh, gsiLow, tsiSport, hasSession, sessionHigh, sessionLow } = reader;
  let hash = gsiHigh ^ (tsiSport << 16);
  for (const word of hasSession ? [gsiLow, sessionHigh, sessionLow] : [gsiLow]) {
    hash = Math.imul(hash ^ word, HASH_PRIME);
    hash = Math.imul(hash ^ (hash >>> 15), HASH_PRIME);
  }
  return hash >>> 0;
}
