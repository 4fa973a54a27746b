// The text format in which Prometheus reads metrics, version 0.0.4. Pure. A metric without samples
// still has its two comment lines, so that what exists can be seen before it happens.

import { assert } from '#base/mod.ts';
import type { MetricDescription } from './catalogue.ts';

/** The Content-Type of the text. */
export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Names and values of the labels of a sample. */
export type Labels = Readonly<Record<string, string>>;

/** One number of a counter or gauge. */
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

/** One histogram: counts per bucket, the last one beyond every bound; not cumulative. */
export interface HistogramSample {
  readonly labels: Labels;
  readonly bounds: readonly number[];
  readonly bucketCounts: readonly number[];
  readonly sum: number;
}

/** A metric and what it stands at. */
export type MetricFamily =
  | { readonly metric: MetricDescription; readonly samples: readonly Sample[] }
  | { readonly metric: MetricDescription; readonly histograms: readonly HistogramSample[] };

/** The text of `families`, each of which occurs once. */
export function renderMetrics(families: readonly MetricFamily[]): string {
  return families.map(renderFamily).join('');
}

function renderFamily(family: MetricFamily): string {
  const { metric } = family;
  const lines = [
    `# HELP ${metric.name} ${escapeHelp(metric.sentence)}\n`,
    `# TYPE ${metric.name} ${metric.type}\n`,
  ];
  if ('samples' in family)
    for (const { labels, value } of family.samples)
      lines.push(sampleLine(metric.name, labels, value));
  else for (const histogram of family.histograms) lines.push(...histogramLines(metric, histogram));
  return lines.join('');
}

function histogramLines(metric: MetricDescription, histogram: HistogramSample): string[] {
  const { labels, bounds, bucketCounts, sum } = histogram;
  assert(bucketCounts.length === bounds.length + 1, 'one bucket lies beyond every bound');
  let count = 0;
  const buckets = bucketCounts.map((bucketCount, index) => {
    count += bucketCount;
    const le = renderValue(bounds[index] ?? Number.POSITIVE_INFINITY);
    return sampleLine(`${metric.name}_bucket`, { ...labels, le }, count);
  });
  return [
    ...buckets,
    sampleLine(`${metric.name}_sum`, labels, sum),
    sampleLine(`${metric.name}_count`, labels, count),
  ];
}

function sampleLine(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
  const inBraces = pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
  return `${name}${inBraces} ${renderValue(value)}\n`;
}

function renderValue(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value);
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', '\\"');
}
