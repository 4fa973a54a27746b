// The reading side of the replay measurement, a thread of its own: takes an answer in one form to
// its end, as a client does, and says how long that took and what it cost.

import { get } from 'node:http';
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '#base/mod.ts';
import { SegmentStreamDecoder } from '#client/stream/mod.ts';
import { absoluteMs } from './machine.ts';

/** What the thread is to read. */
export interface ReplayReaderData {
  readonly url: string;
  readonly accept: string;
}

/** What it saw. */
export interface ReplayReaderReport {
  readonly messages: number;
  readonly bytes: number;
  /** From the request to the first message in hand, and to the end. */
  readonly firstMs: number;
  readonly elapsedMs: number;
  /** Processor time of this thread, with the kernel's. */
  readonly cpuMs: number;
}

/** Takes what arrives; gives the number of messages in hand by now. */
type Taker = (chunk: Buffer) => number;

const NEWLINE = 10;

/** Every message of a segment stream, down to where its payload lies. */
function segmentTaker(): Taker {
  const decoder = new SegmentStreamDecoder();
  let messages = 0;
  return (chunk) => {
    decoder.handleBytes(chunk);
    for (let entry = decoder.pollEntry(); entry !== undefined; entry = decoder.pollEntry()) {
      assert(entry.kind !== 'malformed', 'the server sends a segment stream');
      if (entry.kind === 'messages') messages += entry.messageCount;
      if (entry.kind === 'end') assert(entry.count === messages, 'the end counts the messages');
    }
    return messages;
  };
}

/** Whole lines, and not what is in them; the last one is the end. */
function lineTaker(): Taker {
  let lines = 0;
  return (chunk) => {
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, at + 1)) {
      lines += 1;
    }
    return lines;
  };
}

function read({ url, accept }: ReplayReaderData): Promise<ReplayReaderReport> {
  const isSegments = accept.includes('segments');
  const take = isSegments ? segmentTaker() : lineTaker();
  const startedMs = absoluteMs();
  const before = process.threadCpuUsage();
  return new Promise((resolve, reject) => {
    const request = get(url, { headers: { accept } }, (response) => {
      let bytes = 0;
      let messages = 0;
      let firstMs = Number.NaN;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        const isFirst = messages === 0;
        messages = take(chunk);
        if (isFirst && messages > 0) firstMs = absoluteMs() - startedMs;
      });
      response.on('error', reject);
      response.on('end', () => {
        const { user, system } = process.threadCpuUsage(before);
        const cpuMs = (user + system) / 1_000;
        const told = isSegments ? messages : messages - 1;
        resolve({ messages: told, bytes, firstMs, elapsedMs: absoluteMs() - startedMs, cpuMs });
      });
    });
    request.on('error', reject);
  });
}

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has no origin
parentPort?.postMessage(await read(workerData as ReplayReaderData));
