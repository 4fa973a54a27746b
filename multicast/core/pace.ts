// Decides how much of its rate a publisher may use: less while receivers ask for much of what it
// sends, more again when they do not. Knows packet numbers and times, not bytes (rate-limiter).
//
//   grow     little is asked for: the share of the rate rises steadily
//   hold     repairs wait long already: no faster than now
//   shrink   much of the last packets was asked for, or the repairs that wait become more
//
// One judgement per interval. A packet number counts once, whoever asks and however often, and only
// while it is one of the last two intervals': one receiver that repeats itself, or asks for what is
// long gone, says no more than one that asks once. After a cut, what was sent before it says
// nothing any more.

/** Whether a publisher adapts its rate to what receivers can take. */
export type PacePolicy = 'on' | 'off';

/** Shortest interval: several times what a first NAK waits. */
export const PACE_INTERVAL_MS = 100;
/** With fewer packets an interval goes on, up to its longest: a share of few says little. */
const JUDGED_PACKETS_MIN = 32;
const INTERVAL_MS_MAX = 1_000;
/**
 * Share of packets asked for from which the rate is too high. Below it lies what a wired network
 * loses by itself, even summed up over a hundred receivers.
 */
const ASKED_SHARE_MAX = 0.1;
/** Repairs that wait longer than this are more than their budget serves. */
const BACKLOG_MS_MAX = 200;
/** A cut leaves what arrived, within these bounds. */
const CUT_MIN = 0.5;
const CUT_MAX = 0.875;
/** Nobody slows a publisher further: receivers beyond that are left behind. */
export const PACE_SHARE_MIN = 1 / 16;
/** From the lowest share to all of the rate in eight seconds. */
const GROWTH_PER_MS = (1 - PACE_SHARE_MIN) / 8_000;

/** The share of its rate that one publisher may use. */
export class Pace {
  #share = 1;
  #startedAtMs: number;
  #startLead: number;
  #countedFrom: number;
  #asked = new Set<number>();
  #askedBefore = new Set<number>();
  #backlogMs = 0;

  /** `sentLead` is the number of the packet before the first. */
  constructor(sentLead: number, nowMs: number) {
    this.#startedAtMs = nowMs;
    this.#startLead = sentLead;
    this.#countedFrom = sentLead + 1;
  }

  /** In [PACE_SHARE_MIN, 1]. */
  get share(): number {
    return this.#share;
  }

  /** Somebody asked for a packet that was sent. O(1); remembers no more than two intervals. */
  asked(sqn: number): void {
    if (sqn >= this.#countedFrom && !this.#askedBefore.has(sqn)) this.#asked.add(sqn);
  }

  /** Whether it is time to judge. */
  isDue(sentLead: number, nowMs: number): boolean {
    const elapsedMs = nowMs - this.#startedAtMs;
    if (elapsedMs < PACE_INTERVAL_MS) return false;
    return elapsedMs >= INTERVAL_MS_MAX || sentLead - this.#startLead >= JUDGED_PACKETS_MIN;
  }

  /**
   * Ends the interval and sets the share. `backlogMs` is how long the repairs that wait will take.
   */
  judge(sentLead: number, backlogMs: number, nowMs: number): void {
    const packets = sentLead - this.#startLead;
    const askedShare = packets < JUDGED_PACKETS_MIN ? 0 : this.#asked.size / packets;
    const isBacklogged = backlogMs > BACKLOG_MS_MAX;
    const isAskedForMuch = askedShare > ASKED_SHARE_MAX;
    const isCut = isAskedForMuch || (isBacklogged && backlogMs > this.#backlogMs);
    if (isCut) this.#shrink(isAskedForMuch ? 1 - askedShare : CUT_MAX);
    else if (!isBacklogged) this.#grow(nowMs - this.#startedAtMs);
    this.#countedFrom = (isCut ? sentLead : this.#startLead) + 1;
    this.#startedAtMs = nowMs;
    this.#startLead = sentLead;
    this.#backlogMs = backlogMs;
    const cleared = this.#askedBefore;
    cleared.clear();
    this.#askedBefore = this.#asked;
    this.#asked = cleared;
  }

  #shrink(to: number): void {
    const cut = Math.min(CUT_MAX, Math.max(CUT_MIN, to));
    this.#share = Math.max(PACE_SHARE_MIN, this.#share * cut);
  }

  #grow(elapsedMs: number): void {
    this.#share = Math.min(1, this.#share + GROWTH_PER_MS * elapsedMs);
  }
}
