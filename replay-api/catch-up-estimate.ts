// How long a reader will take to catch up, from what he has taken so far and from how the archive
// has grown meanwhile. Two straight lines, nothing cleverer: it is told again every few seconds.
// Pure; time is an argument.

import type { ToldObject } from './message-writer.ts';

/** Before this, a rate says more about the beginning than about the reader. */
const KNOWN_MS_MIN = 250;

/** Where an answer begins. */
export interface EstimateStart {
  readonly nowMs: number;
  readonly archivedThrough: number;
  /** Whether the reader wants all that comes; else what is archived later does not concern him. */
  readonly isOpenEnded: boolean;
}

/** Where it has come. */
export interface EstimateProgress {
  readonly nowMs: number;
  /** Messages handed over. */
  readonly count: number;
  /** Messages that the answer still has. */
  readonly remaining: number;
  /** The last position that is archived by now. */
  readonly head: number;
}

/** The estimate after `progress`. */
export function estimateOf(start: EstimateStart, progress: EstimateProgress): ToldObject {
  const { count, remaining } = progress;
  const seconds = (progress.nowMs - start.nowMs) / 1_000;
  const told = { kind: 'estimate', remaining } as const;
  if (seconds * 1_000 < KNOWN_MS_MIN) {
    return { ...told, rate: null, liveRate: null, etaSeconds: null, isCatchingUp: true };
  }
  const grown = start.isOpenEnded ? Math.max(0, progress.head - start.archivedThrough) : 0;
  const rate = count / seconds;
  const liveRate = grown / seconds;
  const behind = remaining + grown;
  const isCatchingUp = behind === 0 || rate > liveRate;
  return {
    ...told,
    rate: Math.round(rate),
    liveRate: Math.round(liveRate),
    etaSeconds: isCatchingUp ? Math.ceil(behind === 0 ? 0 : behind / (rate - liveRate)) : null,
    isCatchingUp,
  };
}
