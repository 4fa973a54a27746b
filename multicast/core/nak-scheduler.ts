// Decides when to ask for missing packets, as intervals of packet numbers. Does not detect what is
// missing (session-receiver) nor how a NAK is written. Each missing packet is in one of three
// states:
//
//   back_off   found missing, or an attempt failed    → wait_ncf when its delay is over: a NAK
//   wait_ncf   asked, not confirmed                   → wait_data when confirmed, else back_off
//   wait_data  the publisher, or somebody else's      → back_off when no repair came in time
//              confirmed request, promised a repair
//
// and leaves by arriving, by leaving the publisher's window, or by giving up when nothing of its
// hole has come for the repair timeout. RFC 3208, section 6 (receiver); default intervals as
// OpenPGM and ZeroMQ use them, scaled to a LAN. Intervals, never sets of numbers: a jump by two
// billion costs one object.

import {
  assert,
  NAK_PACKETS_OUTSTANDING_MAX,
  NAK_SQNS_MAX,
  type Random,
  RECEIVE_GAPS_MAX,
} from '#base/mod.ts';
import { feedbackChance, feedbackDelayMs, NAK_BACKOFF_MS_MAX } from './feedback-delay.ts';
import { GroupSize } from './group-size.ts';
import { RoundTrip } from './round-trip.ts';

/**
 * Without a confirmation for this long the NAK or the NCF was lost. At least a few stalls of an
 * event loop.
 */
export const NAK_REPEAT_MS = 50;
const NAK_REPEAT_BOUNDS = { timeoutMsFirst: NAK_REPEAT_MS, timeoutMsMin: 20, timeoutMsMax: 250 };
/**
 * Between two requests that go unanswered: seldom enough for a dead publisher, often enough at 80 %
 * loss.
 */
const NAK_UNANSWERED_MS = 100;
/** With a confirmation the repair may queue behind others: wait longer, doubling each time. */
export const NAK_DATA_MS = 100;
/**
 * A publisher that ends lingers for seconds: it must hear of what is missing several times in them.
 */
const NAK_DATA_MS_MAX = 400;
const NAK_DATA_BOUNDS = {
  timeoutMsFirst: NAK_DATA_MS,
  timeoutMsMin: 40,
  timeoutMsMax: NAK_DATA_MS_MAX,
};
/** Requests beyond the bound on outstanding ones are looked at again at each multiple of this. */
const NAK_PACING_MS = 5;
const OUTSTANDING_SQNS_MAX = NAK_SQNS_MAX * NAK_PACKETS_OUTSTANDING_MAX;
/** A minute at the default: for the 65,536 packets of a window, at 1,100 a second. */
const REPAIR_TIMEOUTS_MAX = 12;

type State = 'back_off' | 'wait_ncf' | 'wait_data';

/** What was found missing at once. */
interface Hole {
  /** When it is given up, unless something of it arrives before. */
  expiresAtMs: number;
  /** When it is given up in any case. */
  latestMs: number;
}

/** A run of missing packets that share their fate; both ends included. */
interface Missing {
  first: number;
  last: number;
  state: State;
  deadlineMs: number;
  readonly hole: Hole;
  readonly missedAtMs: number;
  /** When a NAK of ours first asked for it; NaN before. */
  askedAtMs: number;
  asks: number;
  /** When the first confirmation came; NaN before. */
  promisedAtMs: number;
  confirmations: number;
  /** Whether somebody is known to have asked. */
  isAskedFor: boolean;
}

/** A run of packet numbers, both ends included. */
export interface SqnRange {
  readonly first: number;
  readonly last: number;
}

/** The missing packets of one session. */
export class NakScheduler {
  readonly #random: Random;
  readonly #repairTimeoutMs: number;
  readonly #missing: Missing[] = [];
  readonly #ncfTrip = new RoundTrip(NAK_REPEAT_BOUNDS);
  readonly #dataTrip = new RoundTrip(NAK_DATA_BOUNDS);
  readonly #sharers = new GroupSize();
  #sampledMissedAtMs = Number.NaN;
  #nextDeadlineMs = Number.POSITIVE_INFINITY;
  #suppressed = 0;
  #missedForMs = 0;

  constructor(options: { readonly random: Random; readonly repairTimeoutMs: number }) {
    this.#random = options.random;
    this.#repairTimeoutMs = options.repairTimeoutMs;
  }

  /** The lowest missing packet, or Infinity. */
  get first(): number {
    return this.#missing[0]?.first ?? Number.POSITIVE_INFINITY;
  }

  /** Whether another hole may be taken up. */
  get isFull(): boolean {
    return this.#missing.length >= RECEIVE_GAPS_MAX;
  }

  /** Requests that somebody else's NAK or NCF made unnecessary so far. */
  get suppressed(): number {
    return this.#suppressed;
  }

  /** How long the packet that arrived last had been missing. */
  get missedForMs(): number {
    return this.#missedForMs;
  }

  /** A time at or before the next thing to do. */
  get nextDeadlineMs(): number {
    return this.#nextDeadlineMs;
  }

  /** Takes up [first, last], which lies beyond everything known missing. */
  add(first: number, last: number, nowMs: number): void {
    const previous = this.#missing.at(-1);
    assert(
      first <= last && (previous === undefined || previous.last < first),
      'holes come in order',
    );
    const deadlineMs = nowMs + this.#backOffMs();
    this.#missing.push({
      first,
      last,
      state: 'back_off',
      deadlineMs,
      hole: {
        expiresAtMs: nowMs + this.#repairTimeoutMs,
        latestMs: nowMs + this.#repairTimeoutMs * REPAIR_TIMEOUTS_MAX,
      },
      missedAtMs: nowMs,
      askedAtMs: Number.NaN,
      asks: 0,
      promisedAtMs: Number.NaN,
      confirmations: 0,
      isAskedFor: false,
    });
    this.#wakeAt(deadlineMs);
  }

  /** The packet arrived: false if it was not missing. */
  arrived(sqn: number, nowMs: number): boolean {
    const index = this.#find(sqn);
    const range = this.#missing[index];
    if (range === undefined || range.first > sqn) return false;
    this.#missedForMs = nowMs - range.missedAtMs;
    const { hole } = range;
    hole.expiresAtMs = Math.min(nowMs + this.#repairTimeoutMs, hole.latestMs);
    if (range.confirmations > 0) this.#dataTrip.sample(nowMs - range.promisedAtMs);
    else if (range.asks === 1) this.#dataTrip.sample(nowMs - range.askedAtMs);
    if (range.first === range.last) this.#missing.splice(index, 1);
    else if (range.first === sqn) range.first += 1;
    else if (range.last === sqn) range.last -= 1;
    else {
      this.#missing.splice(index, 0, { ...range, last: sqn - 1 });
      range.first = sqn + 1;
    }
    return true;
  }

  /** Everything missing below `sqn` is gone for good; returns what that was, in order. */
  abandonBelow(sqn: number): SqnRange[] {
    const abandoned: SqnRange[] = [];
    while (this.first < sqn) {
      const range = this.#missing[0];
      assert(range !== undefined, 'a finite first is an entry');
      abandoned.push({ first: range.first, last: Math.min(range.last, sqn - 1) });
      if (range.last < sqn) this.#missing.shift();
      else range.first = sqn;
    }
    return abandoned;
  }

  /** The publisher confirmed these packets: a repair is coming, whoever asked. */
  confirmed(sqns: readonly number[], nowMs: number): void {
    this.#overRuns(sqns, (range) => {
      if (range.state === 'back_off') this.#suppressed += range.last - range.first + 1;
      this.#askedFor(range, nowMs);
      if (range.confirmations === 0) {
        range.promisedAtMs = nowMs;
        if (range.asks === 1) this.#ncfTrip.sample(nowMs - range.askedAtMs);
      }
      range.state = 'wait_data';
      range.deadlineMs =
        nowMs + Math.min(NAK_DATA_MS_MAX, this.#dataTrip.timeoutMs * 2 ** range.confirmations);
      range.confirmations += 1;
      this.#wakeAt(range.deadlineMs);
    });
  }

  /** Another receiver asked for these packets: ours wait as if we had asked. */
  overheard(sqns: readonly number[], nowMs: number): void {
    this.#overRuns(sqns, (range) => {
      if (range.state !== 'back_off') return;
      this.#askedFor(range, nowMs);
      this.#suppressed += range.last - range.first + 1;
      range.state = 'wait_ncf';
      range.deadlineMs = nowMs + this.#repeatMs(range.asks);
      this.#wakeAt(range.deadlineMs);
    });
  }

  /** Gives everything missing `byMs` more before it is given up. */
  postponeExpiry(byMs: number): void {
    for (const hole of new Set(this.#missing.map((range) => range.hole))) {
      hole.expiresAtMs += byMs;
      hole.latestMs += byMs;
    }
  }

  /**
   * An SPM was heard, so that requests may go. All who waited for it begin at once, with new
   * delays: of the old ones most are over, or nearly.
   */
  mayAsk(nowMs: number): void {
    this.#delayAnew(nowMs, (range) => range.state === 'back_off');
    this.#wakeAt(nowMs);
  }

  /**
   * Lets time pass; returns the ranges given up. `canAsk` false postpones requests (no SPM heard
   * yet).
   */
  handleTimeout(nowMs: number, canAsk: boolean, ask: (sqns: number[]) => void): SqnRange[] {
    if (nowMs < this.#nextDeadlineMs) return [];
    const givenUp = this.#giveUp(nowMs);
    this.#retry(nowMs);
    if (canAsk) this.#askForDue(nowMs, ask);
    this.#nextDeadlineMs = this.#earliest(canAsk);
    return givenUp;
  }

  /** In order: what lies behind a hole that is being filled cannot be told of before it anyway. */
  #giveUp(nowMs: number): SqnRange[] {
    const isOver = ({ hole }: Missing): boolean => hole.expiresAtMs <= nowMs;
    const fresh = this.#missing.find((range) => !isOver(range));
    return this.abandonBelow(fresh?.first ?? Number.POSITIVE_INFINITY);
  }

  /** Requests without an answer go back. */
  #retry(nowMs: number): void {
    this.#delayAnew(nowMs, (range) => range.state !== 'back_off' && range.deadlineMs <= nowMs);
  }

  /** One delay for all that fit: what was asked together stays together. */
  #delayAnew(nowMs: number, fits: (range: Missing) => boolean): void {
    const deadlineMs = nowMs + this.#backOffMs();
    for (const range of this.#missing) {
      if (!fits(range)) continue;
      range.state = 'back_off';
      range.deadlineMs = deadlineMs;
    }
  }

  #wakeAt(deadlineMs: number): void {
    this.#nextDeadlineMs = Math.min(this.#nextDeadlineMs, deadlineMs);
  }

  /**
   * A range is cut where a NAK is full, and nowhere else, so that NAKs stay full when it is asked
   * again.
   */
  #askForDue(nowMs: number, ask: (sqns: number[]) => void): void {
    let room = OUTSTANDING_SQNS_MAX - this.#outstanding();
    const pacedAtMs = (Math.floor(nowMs / NAK_PACING_MS) + 1) * NAK_PACING_MS;
    let batch: number[] = [];
    for (let index = 0; index < this.#missing.length; index += 1) {
      const range = this.#missing[index];
      if (range === undefined || range.state !== 'back_off' || range.deadlineMs > nowMs) continue;
      const end = Math.min(range.last + 1, range.first + NAK_SQNS_MAX - batch.length);
      if (end - range.first > room) {
        range.deadlineMs = pacedAtMs;
        continue;
      }
      if (end <= range.last) this.#cut(index, end);
      for (let sqn = range.first; sqn < end; sqn += 1) batch.push(sqn);
      room -= end - range.first;
      this.#askedFor(range, nowMs);
      range.state = 'wait_ncf';
      range.deadlineMs = nowMs + this.#repeatMs(range.asks);
      if (range.asks === 0) range.askedAtMs = nowMs;
      range.asks += 1;
      if (batch.length === NAK_SQNS_MAX) {
        ask(batch);
        batch = [];
      }
    }
    if (batch.length > 0) ask(batch);
  }

  #backOffMs(): number {
    return feedbackDelayMs(this.#random, this.#sharers.estimate);
  }

  /**
   * Somebody has asked for `range`. The first time shows how many wait for it; what one packet
   * revealed counts once. Later than the longest delay nobody was free to ask.
   */
  #askedFor(range: Missing, nowMs: number): void {
    if (range.isAskedFor) return;
    range.isAskedFor = true;
    const afterMs = nowMs - range.missedAtMs;
    if (afterMs > NAK_BACKOFF_MS_MAX || range.missedAtMs === this.#sampledMissedAtMs) return;
    this.#sampledMissedAtMs = range.missedAtMs;
    this.#sharers.sample(feedbackChance(afterMs, this.#sharers.estimate));
  }

  /**
   * Unanswered requests are repeated at growing distances: a publisher that is gone is left alone.
   */
  #repeatMs(asks: number): number {
    const { timeoutMs } = this.#ncfTrip;
    return Math.max(timeoutMs, Math.min(NAK_UNANSWERED_MS, timeoutMs * 2 ** asks));
  }

  #outstanding(): number {
    let count = 0;
    for (const range of this.#missing) {
      if (range.state !== 'back_off') count += range.last - range.first + 1;
    }
    return count;
  }

  #earliest(canAsk: boolean): number {
    let earliestMs = this.#missing[0]?.hole.expiresAtMs ?? Number.POSITIVE_INFINITY;
    for (const range of this.#missing) {
      const hasDeadline = canAsk || range.state !== 'back_off';
      if (hasDeadline) earliestMs = Math.min(earliestMs, range.deadlineMs);
    }
    return earliestMs;
  }

  /** Calls `change` for exactly the missing packets among `sqns`, splitting ranges where needed. */
  #overRuns(sqns: readonly number[], change: (range: Missing) => void): void {
    for (let start = 0; start < sqns.length; ) {
      let end = start + 1;
      while (end < sqns.length && sqns[end] === (sqns[end - 1] ?? 0) + 1) end += 1;
      this.#overRun(sqns[start] ?? 0, sqns[end - 1] ?? 0, change);
      start = end;
    }
  }

  #overRun(first: number, last: number, change: (range: Missing) => void): void {
    for (let index = this.#find(first); index < this.#missing.length; index += 1) {
      const range = this.#missing[index];
      if (range === undefined || range.first > last) return;
      if (range.first < first) {
        this.#cut(index, first);
        continue;
      }
      if (range.last > last) this.#cut(index, last + 1);
      change(range);
    }
  }

  /** Splits the range at `index` so that a new one starts at `sqn`. */
  #cut(index: number, sqn: number): void {
    const range = this.#missing[index];
    assert(
      range !== undefined && range.first < sqn && sqn <= range.last,
      'a cut lies inside a range',
    );
    this.#missing.splice(index + 1, 0, { ...range, first: sqn });
    range.last = sqn - 1;
  }

  /** The index of the first range that ends at or after `sqn`. */
  #find(sqn: number): number {
    let low = 0;
    let high = this.#missing.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#missing[middle]?.last ?? 0) < sqn) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
