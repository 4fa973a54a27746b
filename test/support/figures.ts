// What many runs took, in figures and in words.

/** How long an archiver that comes after a killed one may take to have everything. */
export const CATCH_UP_MS_MAX = 10_000;

/** The middle one of `values`, the upper of two; NaN if there are none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Median and most of `values`, which are milliseconds. */
export function summary(values: readonly number[]): string {
  const most = Math.round(Math.max(...values));
  return `${Math.round(median(values))} ms (median), ${most} ms (most), ${values.length} times`;
}
