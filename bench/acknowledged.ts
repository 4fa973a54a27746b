// How long a publisher waits until it knows that its message is archived, one message at a time:
// packet, multicast, batch, COMMIT and acknowledgement.

import { TRANSMIT_WINDOW_BYTES_DEFAULT, TRANSMIT_WINDOW_PACKETS_DEFAULT } from '#base/mod.ts';
import { ChannelPublisher } from '#client/mod.ts';
import { monotonicMs } from '#multicast/udp/mod.ts';
import { type ArchiveBenchmarkPlace, startArchiver } from './archive-stage.ts';
import { benchmarkAddress } from './machine.ts';

/** Times from the call of publish to its end. */
export interface AcknowledgedLatency {
  readonly acknowledgedMsP50: number;
  readonly acknowledgedMsP99: number;
}

const MESSAGES = 200;
const TIMEOUT_MS = 30_000;
const RATE_BYTES_PER_SEC = 1_000_000_000;

/** Publishes a few hundred messages until archived, each after the last. Errors: as publish. */
export async function measureAcknowledged(
  place: ArchiveBenchmarkPlace,
): Promise<AcknowledgedLatency> {
  const name = `bench-${Date.now()}`;
  const address = benchmarkAddress();
  await using resources = new AsyncDisposableStack();
  const archiver = resources.use(await startArchiver(place, new Map([[name, address]]), 1, [name]));
  await archiver.recording(name);
  const publisher = resources.use(
    await ChannelPublisher.open({
      address,
      source: 'bench',
      interfaceAddress: place.interfaceAddress,
      packetBytesMax: place.packetBytesMax,
      messageBytesMax: 65_536,
      windowPackets: TRANSMIT_WINDOW_PACKETS_DEFAULT,
      windowBytes: TRANSMIT_WINDOW_BYTES_DEFAULT,
      rateBytesPerSec: RATE_BYTES_PER_SEC,
      flushMs: 1,
      lingerMs: 100,
    }),
  );
  const payload = new Uint8Array(place.payloadBytes);
  const timesMs: number[] = [];
  for (let count = 0; count < MESSAGES; count += 1) {
    const startedAtMs = monotonicMs();
    const { signal } = place;
    await publisher.publish(payload, { until: 'archived', timeoutMs: TIMEOUT_MS, signal });
    timesMs.push(monotonicMs() - startedAtMs);
  }
  timesMs.sort((one, other) => one - other);
  const at = (share: number): number => {
    return Math.round((timesMs[Math.floor(timesMs.length * share)] ?? 0) * 10) / 10;
  };
  return { acknowledgedMsP50: at(0.5), acknowledgedMsP99: at(0.99) };
}
