// How long a publisher waits until it knows that its message is archived, one message at a time:
// packet, multicast, batch, COMMIT and acknowledgement.

import type { ChannelPublisher } from '#client/mod.ts';
import { monotonicMs } from '#multicast/udp/mod.ts';

/** Times from the call of publish to its end. */
export interface AcknowledgedLatency {
  readonly acknowledgedMsP50: number;
  readonly acknowledgedMsP99: number;
}

const MESSAGES = 200;
const TIMEOUT_MS = 30_000;

/** Publishes a few hundred messages until archived, each after the last. Errors: as publish. */
export async function measureAcknowledged(
  publisher: ChannelPublisher,
  payload: Uint8Array,
  signal?: AbortSignal,
): Promise<AcknowledgedLatency> {
  const timesMs: number[] = [];
  for (let count = 0; count < MESSAGES; count += 1) {
    const startedAtMs = monotonicMs();
    await publisher.publish(payload, { until: 'archived', timeoutMs: TIMEOUT_MS, signal });
    timesMs.push(monotonicMs() - startedAtMs);
  }
  timesMs.sort((one, other) => one - other);
  const at = (share: number): number => {
    return Math.round((timesMs[Math.floor(timesMs.length * share)] ?? 0) * 10) / 10;
  };
  return { acknowledgedMsP50: at(0.5), acknowledgedMsP99: at(0.99) };
}
