// What a soak says at its end, in words.

/** Median and most of `values`, rounded, in milliseconds. */
export function summary(values: readonly number[]): string {
  const sorted = values.toSorted((left, right) => left - right);
  const median = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const most = sorted.at(-1) ?? Number.NaN;
  return `${Math.round(median)} ms (median), ${Math.round(most)} ms (most), ${sorted.length} times`;
}
