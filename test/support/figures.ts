// What many restarts took, in figures and in words.

/** How long an archiver took that came after a killed one. */
export interface Restart {
  /** From its start until it heard the channel. */
  readonly recordsMs: number;
  /** From its start until it had archived all that was published by then. */
  readonly caughtUpMs: number;
}

/** Within this an archiver has everything, where one starts in a second. */
const CATCH_UP_MS_MAX = 10_000;
const START_MS = 1_000;

/** Whether one of `restarts` took too long, on a machine on which the middle one is as usual. */
export function isTooSlow(restarts: readonly Restart[], { caughtUpMs }: Restart): boolean {
  const startMs = median(restarts.map(({ recordsMs }) => recordsMs));
  return caughtUpMs > CATCH_UP_MS_MAX * Math.max(1, startMs / START_MS);
}

/** How long they took, for people. */
export function summary(restarts: readonly Restart[]): string {
  const caughtUpMs = restarts.map((restart) => restart.caughtUpMs);
  const middle = [restarts.map(({ recordsMs }) => recordsMs), caughtUpMs].map(median);
  const [records, caughtUp] = middle.map((ms) => `${Math.round(ms)} ms`);
  const most = Math.round(Math.max(...caughtUpMs));
  return `records after ${records}, caught up after ${caughtUp}, at most ${most} ms`;
}

/** The middle one, the upper of two; NaN if there are none. */
function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
