// What the last packets of a session held, in short, so that one that comes again with something
// else is noticed: two publishers that took one identity, a forger, a network that damages what no
// checksum covers. Not the packets themselves, which are gone by then. Hot path: one note per
// packet, into arrays of a fixed size.

import { RateLimiter } from './rate-limiter.ts';

/**
 * Packets remembered: what a fast publisher sends while a repair is on its way. Ten kilobytes a
 * session, ten megabytes for as many as a receiver follows.
 */
const PACKETS = 512;
/** Conflicts of one session that are told: enough to see what is going on. All are counted. */
const TOLD_MAX = 64;
/**
 * Conflicts per second that are told of all sessions, behind a first hundred: forged ones must not
 * make many rows of who stores them.
 */
const TOLD_PER_SEC_MAX = 1;
const TOLD_BURST = 100;

/** What a receiver may tell of conflicts. */
export function newConflictLimiter(): RateLimiter {
  return new RateLimiter({ rateBytesPerSec: TOLD_PER_SEC_MAX, burstBytes: TOLD_BURST });
}

/** The last packets of one session. */
export class RecentPackets {
  readonly #sqns = new Float64Array(PACKETS).fill(-1);
  readonly #sequences = new Float64Array(PACKETS);
  readonly #digests = new Uint32Array(PACKETS);
  #told = 0;

  /** Packet `sqn` was taken, with the digest of its content, and its first sequence. */
  note(sqn: number, sequence: number, digest: number): void {
    const at = sqn % PACKETS;
    this.#sqns[at] = sqn;
    this.#sequences[at] = sequence;
    this.#digests[at] = digest;
  }

  /** Whether packet `sqn` is remembered, and not as this one. */
  differs(sqn: number, sequence: number, digest: number): boolean {
    const at = sqn % PACKETS;
    if (this.#sqns[at] !== sqn) return false;
    return this.#digests[at] !== digest || this.#sequences[at] !== sequence;
  }

  /** Whether one more conflict is to be told; counts it. */
  mayTell(): boolean {
    this.#told += 1;
    return this.#told <= TOLD_MAX;
  }

  /**
   * The sequences of a remembered packet: up to before those of the next one, or only the first if
   * that is not remembered.
   */
  sequencesOf(sqn: number): { readonly firstSequence: number; readonly lastSequence: number } {
    const first = Math.max(1, this.#sequences[sqn % PACKETS]);
    const next = (sqn + 1) % PACKETS;
    const last = this.#sqns[next] === sqn + 1 ? this.#sequences[next] - 1 : first;
    return { firstSequence: first, lastSequence: Math.max(first, last) };
  }
}
