// A subscription in a process of its own whose application stops reading for a while, and what that
// process takes of memory meanwhile. `node test/support/pausing-reader.ts OPTIONS` prints a line of
// JSON when it is live (`reading`), and one when it is live again (what it found), and ends.

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ChannelAddress, SessionId } from '#base/mod.ts';
import { subscribe, type SubscriptionCounters } from '#client/mod.ts';

/** What it reads, and how long it does not. */
export interface PauseOptions {
  readonly channel: string;
  readonly address: ChannelAddress;
  readonly api: string;
  readonly pauseMs: number;
  readonly bufferBytesMax: number;
}

/** What became of it. */
export interface PauseReport {
  /** Messages that came twice, out of order, or behind others that did not come. */
  readonly wrongCount: number;
  readonly lostCount: number;
  readonly messageCount: number;
  readonly counters: SubscriptionCounters;
  readonly bytesBefore: number;
  /** The most while it did not read, and the most until it was live again. */
  readonly bytesPaused: number;
  readonly bytesMost: number;
  /** From reading on until it was live. */
  readonly recoveredMs: number;
}

/** A reader that runs. */
export interface PausingReader extends Disposable {
  /** It is live. */
  readonly reading: Promise<unknown>;
  readonly report: Promise<PauseReport>;
}

/** It reads so many before it pauses: by then it has what it needs of memory. */
const SETTLED_MESSAGES = 20_000;
const SAMPLE_MS = 100;

/** Starts one. */
export function startPausingReader(options: PauseOptions): PausingReader {
  const args = [fileURLToPath(import.meta.url), JSON.stringify(options)];
  const child: ChildProcessByStdio<null, Readable, null> = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error('the reader has ended before it was live again');
    return value;
  };
  const reading = next();
  const reported = async (): Promise<PauseReport> => {
    await reading;
    return JSON.parse(await next()) as PauseReport;
  };
  return {
    reading,
    report: reported(),
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  };
}

async function read(options: PauseOptions): Promise<PauseReport> {
  const { channel, address, api, pauseMs, bufferBytesMax } = options;
  let bytesMost = 0;
  const timer = setInterval(
    () => (bytesMost = Math.max(bytesMost, process.memoryUsage.rss())),
    SAMPLE_MS,
  );
  await using subscription = await subscribe({
    channel,
    from: 'start',
    archive: { url: api },
    multicast: { address },
    bufferBytesMax,
  });
  const nexts = new Map<SessionId, number>();
  const found = { wrongCount: 0, lostCount: 0, messageCount: 0 };
  const seen = { bytesBefore: 0, bytesPaused: 0, resumedMs: 0 };
  let isPaused = false;
  for await (const told of subscription) {
    if (told.kind === 'lost') found.lostCount += told.lastSequence - told.firstSequence + 1;
    if (told.kind === 'message') {
      const next = nexts.get(told.session) ?? 1;
      if (told.sequence !== next) found.wrongCount += 1;
      nexts.set(told.session, told.sequence + 1);
      found.messageCount += 1;
    }
    const isSettled = subscription.state === 'live' && found.messageCount >= SETTLED_MESSAGES;
    if (!isPaused && isSettled) {
      isPaused = true;
      process.stdout.write('"reading"\n');
      seen.bytesBefore = bytesMost = process.memoryUsage.rss();
      await delay(pauseMs);
      seen.bytesPaused = bytesMost;
      seen.resumedMs = performance.now();
    } else if (isPaused && told.kind === 'live') break;
  }
  clearInterval(timer);
  const { bytesBefore, bytesPaused, resumedMs } = seen;
  const recoveredMs = Math.round(performance.now() - resumedMs);
  const { counters } = subscription;
  return { ...found, counters, bytesBefore, bytesPaused, bytesMost, recoveredMs };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const report = await read(JSON.parse(process.argv[2] ?? '{}') as PauseOptions);
  process.stdout.write(`${JSON.stringify(report)}\n`);
}
