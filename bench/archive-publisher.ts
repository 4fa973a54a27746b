// The publishing half of the archive's measurements, on a thread of its own: so many messages to
// one channel, either as fast as they are archived, at most so many ahead, or at a steady rate
// whatever becomes of them. What the measuring thread must know meanwhile goes through shared
// memory.

import { setTimeout as delay } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import {
  assert,
  TRANSMIT_WINDOW_BYTES_DEFAULT,
  TRANSMIT_WINDOW_PACKETS_DEFAULT,
} from '#base/mod.ts';
import { ChannelPublisher } from '#client/mod.ts';
import { monotonicMs, wallClockUs } from '#multicast/udp/mod.ts';
import {
  type ArchivePublisherData,
  type ArchivePublisherReport,
  PROGRESS,
} from './archive-messages.ts';
import { absoluteMs, yieldTurn } from './machine.ts';
import { samplePayloads } from './sample-payloads.ts';

/** Messages handed over between two looks at the clock and the archive. */
const BURST_MESSAGES = 512;
/** Far above what one host moves: the archive sets the pace here, not the publisher's own limit. */
const RATE_BYTES_PER_SEC = 4_000_000_000;
/** Enough for the last repairs of a run that is behind. */
const LINGER_MS = 500;

const port = parentPort;
assert(port !== null, 'the publisher runs in a worker thread');
const report = (message: ArchivePublisherReport): void => port.postMessage(message);
const options = workerData as ArchivePublisherData;
const payloads = samplePayloads(options.payloadBytes);

await using resources = new AsyncDisposableStack();
const publishers: ChannelPublisher[] = [];
for (let index = 0; index < options.publisherCount; index += 1) {
  publishers.push(resources.use(await openPublisher()));
}
const told = new Promise<void>((resolve) => port.once('message', () => resolve()));
report({ kind: 'ready' });
await told;
const startedAtMs = monotonicMs();
await publishAll();
const elapsedMs = monotonicMs() - startedAtMs;
while (Atomics.load(options.progress, PROGRESS.archived) < options.messageCount) await delay(5);
report({
  kind: 'done',
  elapsedMs,
  packetsSent: publishers.reduce((sum, it) => sum + it.counters.packetsSent, 0),
  repairsSent: publishers.reduce((sum, it) => sum + it.counters.repairsSent, 0),
});

function openPublisher(): Promise<ChannelPublisher> {
  return ChannelPublisher.open({
    address: options.address,
    source: 'bench',
    interfaceAddress: options.interfaceAddress,
    packetBytesMax: options.packetBytesMax,
    messageBytesMax: 65_536,
    windowPackets: TRANSMIT_WINDOW_PACKETS_DEFAULT,
    windowBytes: TRANSMIT_WINDOW_BYTES_DEFAULT,
    rateBytesPerSec: RATE_BYTES_PER_SEC,
    flushMs: 1,
    lingerMs: LINGER_MS,
  });
}

async function publishAll(): Promise<void> {
  let count = 0;
  while (count < options.messageCount) {
    const due = Math.min(options.messageCount, count + BURST_MESSAGES, dueMessages());
    if (due <= count) {
      await delay(1);
      continue;
    }
    const turn = Math.floor(count / BURST_MESSAGES) % publishers.length;
    const before = count;
    count = publishBurst(publishers[turn], before, due);
    Atomics.store(options.progress, PROGRESS.published, count);
    await (count < due ? publishers[turn].writable() : yieldTurn());
  }
}

/** The message up to which may be published by now. */
function dueMessages(): number {
  const { rate, progress, outstandingMax } = options;
  if (Number.isFinite(rate)) return Math.floor(((monotonicMs() - startedAtMs) * rate) / 1000);
  return Atomics.load(progress, PROGRESS.archived) + outstandingMax;
}

/** Publishes the messages behind `from` up to `to`, or to where the window is full. */
function publishBurst(publisher: ChannelPublisher, from: number, to: number): number {
  const { stride, publishedAtMs } = options;
  const publishedAtUs = wallClockUs();
  let count = from;
  while (count < to) {
    const payload = payloads[count % payloads.length];
    if (count % stride === 0) publishedAtMs[count / stride] = absoluteMs();
    if (!publisher.tryPublish(payload, publishedAtUs)) break;
    count += 1;
  }
  return count;
}
