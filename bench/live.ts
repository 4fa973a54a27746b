// Measures the live path on one host: publish → multicast on the loopback interface → subscriber on
// another thread, in order. Two runs: at a steady rate for the age of a message when it is
// delivered, and as fast as the pair goes for packets per second and per core. The publisher stays
// at most OUTSTANDING_MESSAGES_MAX ahead in the second, so that the slower half sets the pace.

import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import {
  assert,
  BackcastError,
  type Authentication,
  type ChannelAddress,
  TRANSMIT_WINDOW_BYTES_DEFAULT,
  TRANSMIT_WINDOW_PACKETS_DEFAULT,
} from '#base/mod.ts';
import { ChannelPublisher } from '#client/mod.ts';
import { generateKeyLine, type KeySource, monotonicMs, parseKeys } from '#multicast/udp/mod.ts';
import type { LiveSubscriberData, LiveSubscriberReport } from './live-subscriber.ts';
import { benchmarkAddress, describeMachine, yieldTurn } from './machine.ts';

/** What to run. */
export interface LiveBenchmarkOptions {
  readonly interfaceAddress: string;
  /** Messages of each of the two runs. */
  readonly messages: number;
  /** At least 8: a message carries when it was sent. */
  readonly payloadBytes: number;
  readonly packetBytesMax: number;
  /** Messages per second of the first run. */
  readonly steadyRate: number;
  /** How long a packet waits for more messages. */
  readonly flushMs: number;
  /** `required`: every packet is sealed and checked. */
  readonly authentication: Authentication;
  readonly signal?: AbortSignal;
  readonly onProgress?: (run: 'latency' | 'throughput', received: number) => void;
}

/** What was measured. */
export interface LiveBenchmarkResult {
  /** From the call of publish to the reader's hands, at the steady rate. */
  readonly latencyUsP50: number;
  readonly latencyUsP99: number;
  readonly latencyUsP999: number;
  readonly latencyUsMax: number;
  readonly steadyRate: number;
  /** As fast as the pair goes. */
  readonly messagesPerSecond: number;
  readonly packetsPerSecond: number;
  /** Packets per second of processor time of the publishing thread. */
  readonly packetsPerCoreSent: number;
  /** The same of the receiving thread. */
  readonly packetsPerCoreReceived: number;
  readonly messages: number;
  readonly payloadBytes: number;
  readonly packetBytesMax: number;
  readonly flushMs: number;
  readonly authentication: Authentication;
  readonly messagesLost: number;
  readonly machine: string;
  readonly node: string;
}

/** What one run saw. */
interface Run {
  readonly elapsedMs: number;
  readonly packetsSent: number;
  readonly sendingCpuMs: number;
  readonly received: Extract<LiveSubscriberReport, { kind: 'done' }>;
}

const OUTSTANDING_MESSAGES_MAX = 65_536;
const STALL_MS_MAX = 30_000;
const PROGRESS_EVERY_MS = 250;
/** Messages between two looks at how far the other side is. */
const BURST_MESSAGES = 64;
/** Far above what one host moves. */
const RATE_BYTES_PER_SEC = 4_000_000_000;

/** Runs both. Errors: those of opening; BACKCAST_AUDIT_FAILED if nothing arrives any more. */
export async function benchmarkLive(options: LiveBenchmarkOptions): Promise<LiveBenchmarkResult> {
  const steady = await runOnce(options, options.steadyRate);
  const fast = await runOnce(options, Number.POSITIVE_INFINITY);
  const { ageUs } = steady.received;
  const at = (share: number): number => {
    return Math.round(ageUs[Math.min(ageUs.length - 1, Math.floor(ageUs.length * share))] ?? 0);
  };
  return {
    latencyUsP50: at(0.5),
    latencyUsP99: at(0.99),
    latencyUsP999: at(0.999),
    latencyUsMax: at(1),
    steadyRate: options.steadyRate,
    messagesPerSecond: perSecond(options.messages, fast.elapsedMs),
    packetsPerSecond: perSecond(fast.packetsSent, fast.elapsedMs),
    packetsPerCoreSent: perSecond(fast.packetsSent, fast.sendingCpuMs),
    packetsPerCoreReceived: perSecond(fast.received.packetsReceived, fast.received.cpuMs),
    messages: options.messages,
    payloadBytes: options.payloadBytes,
    packetBytesMax: options.packetBytesMax,
    flushMs: options.flushMs,
    authentication: options.authentication,
    messagesLost: steady.received.messagesLost + fast.received.messagesLost,
    machine: describeMachine(),
    node: process.version,
  };
}

function perSecond(count: number, ms: number): number {
  return Math.round((count * 1_000) / ms);
}

async function runOnce(options: LiveBenchmarkOptions, rate: number): Promise<Run> {
  const { authentication, interfaceAddress, messages } = options;
  const address = { ...benchmarkAddress(), authentication };
  const keys = parseKeys(generateKeyLine(Date.now()), 'bench');
  const progress = new Int32Array(new SharedArrayBuffer(4));
  const workerData: LiveSubscriberData = {
    address,
    keys,
    interfaceAddress,
    messageCount: messages,
    progress,
  };
  const worker = new Worker(new URL('live-subscriber.ts', import.meta.url), { workerData });
  try {
    const [listening] = (await once(worker, 'message')) as [LiveSubscriberReport];
    assert(listening.kind === 'listening', 'the subscriber listens first');
    const finished = once(worker, 'message') as Promise<[LiveSubscriberReport]>;
    await using publisher = await openPublisher(options, address, { keys });
    const before = process.threadCpuUsage();
    const startedAtMs = monotonicMs();
    await sendAll(publisher, options, { rate, progress, startedAtMs });
    const [received] = await finished;
    const elapsedMs = monotonicMs() - startedAtMs;
    const { user, system } = process.threadCpuUsage(before);
    assert(received.kind === 'done', 'the subscriber tells once what it saw');
    const { packetsSent } = publisher.counters;
    return { elapsedMs, packetsSent, sendingCpuMs: (user + system) / 1_000, received };
  } finally {
    await worker.terminate();
  }
}

/** Sends every message, at `rate` or as far ahead of the reader as it may. */
async function sendAll(
  publisher: ChannelPublisher,
  options: LiveBenchmarkOptions,
  run: {
    readonly rate: number;
    readonly progress: Int32Array<SharedArrayBuffer>;
    readonly startedAtMs: number;
  },
): Promise<void> {
  const { messages, signal, onProgress } = options;
  const { rate, progress, startedAtMs } = run;
  const payload = new Uint8Array(options.payloadBytes);
  const view = new DataView(payload.buffer);
  let sent = 0;
  let seen = 0;
  let movedAtMs = startedAtMs;
  let shownAtMs = startedAtMs;
  while (sent < messages) {
    signal?.throwIfAborted();
    const nowMs = monotonicMs();
    const received = Atomics.load(progress, 0);
    if (received > seen || sent === seen) movedAtMs = nowMs;
    seen = received;
    if (nowMs - movedAtMs > STALL_MS_MAX) throw stalled(seen, sent);
    if (nowMs - shownAtMs > PROGRESS_EVERY_MS) {
      shownAtMs = nowMs;
      onProgress?.(Number.isFinite(rate) ? 'latency' : 'throughput', seen);
    }
    const due = Math.ceil(((nowMs - startedAtMs) * rate) / 1_000);
    const untilCount = Math.min(messages, due, seen + OUTSTANDING_MESSAGES_MAX);
    const burstEnd = Math.min(untilCount, sent + BURST_MESSAGES);
    let isBlocked = false;
    for (; sent < burstEnd && !isBlocked; sent += isBlocked ? 0 : 1) {
      view.setBigUint64(0, process.hrtime.bigint());
      isBlocked = !publisher.tryPublish(payload);
    }
    if (isBlocked) await publisher.writable();
    else await (sent >= untilCount && sent < messages ? delay(1) : yieldTurn());
  }
}

function openPublisher(
  options: LiveBenchmarkOptions,
  address: ChannelAddress,
  keys: KeySource,
): Promise<ChannelPublisher> {
  const { interfaceAddress, packetBytesMax, payloadBytes, flushMs } = options;
  return ChannelPublisher.open({
    address,
    keys,
    source: 'bench',
    interfaceAddress,
    packetBytesMax,
    messageBytesMax: Math.max(65_536, payloadBytes),
    windowPackets: TRANSMIT_WINDOW_PACKETS_DEFAULT,
    windowBytes: TRANSMIT_WINDOW_BYTES_DEFAULT,
    rateBytesPerSec: RATE_BYTES_PER_SEC,
    flushMs,
    lingerMs: 100,
  });
}

function stalled(received: number, sent: number): BackcastError {
  const message =
    `Nothing was received for ${STALL_MS_MAX / 1000} s; ${received} of ${sent} sent messages ` +
    'are. Look at the receive buffer limits (net.core.rmem_max).';
  return new BackcastError('BACKCAST_AUDIT_FAILED', message);
}
