// How long repairs took, as a histogram: from finding a packet missing to having it again. Adding a
// latency allocates nothing. Reordered first sendings and packets that were lost are not in it.

/**
 * Upper bounds of the buckets, in milliseconds, each included. From the round trip of a quiet LAN
 * to beyond the usual time after which a packet is given up; what took longer is in one more
 * bucket.
 */
export const REPAIR_LATENCY_MS_BOUNDS: readonly number[] = [
  1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192,
];

/** What stands in a histogram at one moment. */
export interface LatencySnapshot {
  /** Repairs per bucket, not cumulative; the last one is for those beyond every bound. */
  readonly bucketCounts: readonly number[];
  /** All latencies together. */
  readonly sumMs: number;
}

/** Latencies of repairs. */
export class RepairLatency {
  readonly #bucketCounts = new Float64Array(REPAIR_LATENCY_MS_BOUNDS.length + 1);
  #sumMs = 0;

  /** Adds one repair; a latency below zero counts as none. */
  add(latencyMs: number): void {
    const wholeMs = Math.max(1, Math.ceil(latencyMs));
    // 2^31 ms are 25 days: clz32 needs an integer of 32 bits.
    const bits = 32 - Math.clz32(Math.min(wholeMs, 0x7fff_ffff) - 1);
    this.#bucketCounts[Math.min(bits, REPAIR_LATENCY_MS_BOUNDS.length)] += 1;
    this.#sumMs += Math.max(0, latencyMs);
  }

  /** A copy that does not change any more. */
  snapshot(): LatencySnapshot {
    return { bucketCounts: [...this.#bucketCounts], sumMs: this.#sumMs };
  }
}
