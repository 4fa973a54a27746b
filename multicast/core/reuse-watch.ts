// Notices that a TSI has passed to another incarnation of a foreign source. Our own publishers name
// their session in every packet; others are known by their TSI alone, and one that is configured
// with a fixed TSI counts its packets from the beginning when it is started again. What the network
// delays or repeats looks the same for a moment, so it counts only when the incarnation before has
// been quiet for longer than the network holds anything back.

import { RECEIVE_WINDOW_PACKETS_MAX, SEQUENCE_MAX } from '#base/mod.ts';
import { type PacketReader, sqnDistance, unwrapSqn } from '#multicast/wire/mod.ts';

/** How long the network may hold a packet back: seconds of queueing do not happen on a LAN. */
export const REUSE_QUIET_MS = 1_000;
/**
 * A step ahead by more packets than this is no outage (minutes at 100,000 packets a second) but
 * another beginning.
 */
const STEP_PACKETS_MAX = 2 ** 24;

/** What a packet says about the incarnation it is of. */
export type Incarnation =
  | 'same'
  /** Another one: the session is over. */
  | 'another'
  /** It cannot be of the one we follow, which is being heard; nothing may be concluded from it. */
  | 'stray';

/** Watches one foreign source. */
export class ReuseWatch {
  readonly #sqnMax: number;
  #aheadAtMs: number;
  #spmSqn: number | undefined;
  #spmAtMs = Number.NEGATIVE_INFINITY;

  /** `heardAtMs` is when the source was last heard, as far as that is known. */
  constructor(placesPerPacket: number, heardAtMs: number) {
    this.#sqnMax = Math.floor(SEQUENCE_MAX / placesPerPacket) - RECEIVE_WINDOW_PACKETS_MAX;
    this.#aheadAtMs = heardAtMs;
  }

  /**
   * Judges the data packet or SPM that `reader` has read; `next` is the first packet not accounted
   * for.
   */
  judge(reader: PacketReader, next: number | undefined, nowMs: number): Incarnation {
    if (reader.kind === 'rdata') return 'same';
    if (next !== undefined && next > this.#sqnMax) return 'another';
    const isQuiet = nowMs - this.#aheadAtMs >= REUSE_QUIET_MS;
    if (reader.kind === 'spm' && this.#isOldSpm(reader)) {
      const isAnother = !reader.isFin && nowMs - this.#spmAtMs >= REUSE_QUIET_MS;
      return isAnother ? 'another' : 'same';
    }
    const stepPackets = next === undefined ? 0 : stepTo(reader, next);
    if (stepPackets > STEP_PACKETS_MAX) return isQuiet ? 'another' : 'stray';
    if (stepPackets < 0) return isQuiet && !reader.isFin ? 'another' : 'same';
    this.#aheadAtMs = nowMs;
    if (reader.kind === 'spm') {
      this.#spmSqn = reader.sqn;
      this.#spmAtMs = nowMs;
    }
    return 'same';
  }

  #isOldSpm(reader: PacketReader): boolean {
    return this.#spmSqn !== undefined && sqnDistance(reader.sqn, this.#spmSqn) < 0;
  }
}

/** How far the packet, or what follows the lead of an SPM, lies ahead of `next`. */
function stepTo(reader: PacketReader, next: number): number {
  const sqn = reader.kind === 'spm' ? (reader.lead + 1) >>> 0 : reader.sqn;
  return unwrapSqn(sqn, next) - next;
}
