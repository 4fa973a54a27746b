// How metrics are named. A counter is described once, where it is counted; its name outside is made
// from that: backcast_<part>_<what>_<unit>_total. Pure.

/** A metric as it is documented and exposed. */
export interface MetricDescription {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** What one of it is: packets, messages, bytes, seconds … */
  readonly unit: string;
  /** Names of its labels. */
  readonly labels: readonly string[];
  readonly sentence: string;
}

/** Counters as a part describes them. */
export type CounterRegistry = Readonly<
  Record<string, { readonly unit: string; readonly sentence: string }>
>;

/** The metrics of `part`'s counters, in their order, one per counter and with the same key. */
export function describeCounters<Registry extends CounterRegistry>(
  part: string,
  registry: Registry,
  labels: readonly string[],
): { readonly [Key in keyof Registry]: MetricDescription } {
  const metrics = Object.entries(registry).map(([key, { unit, sentence }]) => {
    const name = `backcast_${part}_${wordsOf(key, unit)}_total`;
    return [key, { name, type: 'counter', unit, labels, sentence }] as const;
  });
  return Object.fromEntries(metrics) as { [Key in keyof Registry]: MetricDescription };
}

/** `packetsReceived` in packets is received_packets: the unit stands last. */
function wordsOf(key: string, unit: string): string {
  const words = key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`).split('_');
  return [...words.filter((word) => word !== unit), unit].join('_');
}
