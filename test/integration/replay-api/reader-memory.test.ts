// What readers keep busy: memory that is used again must never show one reader what was read for
// another, and one who stalls must not hold more than his share.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { get, type IncomingMessage } from 'node:http';
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createZstdDecompress } from 'node:zlib';
import { pino } from 'pino';
import type { SessionId } from '#base/mod.ts';
import { SEGMENTS_TYPE, SegmentStreamDecoder } from '#client/stream/mod.ts';
import { type ApiLimits, startReplayServer } from '#replay-api/mod.ts';
import { type Delivery, instantAt } from '#test/support/filled-archive.ts';
import { openTestApi, silentLogger, type TestApi } from '#test/support/replay-api.ts';
import { stallReaders } from '#test/support/stalled-readers.ts';
import { until } from '#test/support/until.ts';

const SESSION = '00000000000000aa' as SessionId;
const MEBIBYTE = 1_048_576;
const SEGMENTS = 24;
const SEGMENT_MESSAGES = 4_000;
const MESSAGES = SEGMENTS * SEGMENT_MESSAGES;

/** No two alike, nor of lengths that would let one take the place of another unnoticed. */
function payloadOf(sequence: number): Buffer {
  return Buffer.from(`${sequence}:`.repeat(1 + ((sequence * 7) % 31)).padEnd(140, '.'));
}

/** Each of three quarters of a mebibyte in memory. */
function deliveries(): Delivery[] {
  return Array.from({ length: SEGMENTS }, (_, index) => ({
    kind: 'segment',
    archivedAtUs: instantAt(index),
    messages: Array.from({ length: SEGMENT_MESSAGES }, (_unused, nth) => {
      const sequence = index * SEGMENT_MESSAGES + nth + 1;
      const publishedAtUs = instantAt(index);
      return { session: SESSION, sequence, publishedAtUs, payload: payloadOf(sequence) };
    }),
  }));
}

let api: TestApi;
before(async () => {
  api = await openTestApi();
  await api.addChannel({ name: 'busy', deliveries: deliveries() });
});
after(() => api[Symbol.asyncDispose]());

function listen(limits: Partial<ApiLimits>, logger = silentLogger) {
  const database = api.opened;
  return startReplayServer({ database, logger, limits, host: '127.0.0.1', port: 0 });
}

function digestAfter(position: number): string {
  const hash = createHash('sha256');
  for (let sequence = position + 1; sequence <= MESSAGES; sequence += 1) {
    hash.update(payloadOf(sequence));
  }
  return hash.digest('hex');
}

interface Reader {
  readonly after: number;
  readonly encoding?: 'zstd';
  /** Rests after so many bytes, again and again. */
  readonly restsAfterBytes?: number;
  /** Goes away after so many bytes. */
  readonly leavesAfterBytes?: number;
}

/** The digest of the payloads that `reader` is given; undefined for one who leaves. */
async function readAs(url: string, reader: Reader): Promise<string | undefined> {
  const headers = {
    accept: SEGMENTS_TYPE,
    ...(reader.encoding && { 'accept-encoding': reader.encoding }),
  };
  const address = `${url}/v1/channels/busy/messages?after=${reader.after}`;
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    get(address, { headers, agent: false }, resolve).on('error', reject);
  });
  const decoder = new SegmentStreamDecoder();
  const hash = createHash('sha256');
  let bytes = 0;
  let rested = 0;
  const body = reader.encoding === undefined ? answer : answer.pipe(createZstdDecompress());
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    decoder.handleBytes(chunk);
    for (let entry = decoder.pollEntry(); entry !== undefined; entry = decoder.pollEntry()) {
      assert.notEqual(entry.kind, 'malformed');
      if (entry.kind !== 'messages') continue;
      const { bytes: payloads, payloadStarts, payloadEnds } = entry.segment;
      const end = entry.firstIndex + entry.messageCount;
      for (let index = entry.firstIndex; index < end; index += 1) {
        hash.update(payloads.subarray(payloadStarts[index], payloadEnds[index]));
      }
    }
    if (bytes > (reader.leavesAfterBytes ?? Infinity)) return void answer.destroy();
    if (bytes - rested > (reader.restsAfterBytes ?? Infinity)) {
      rested = bytes;
      await sleep(5);
    }
  }
  assert.ok(decoder.isOver, 'the answer has an end');
  return hash.digest('hex');
}

test('readers fast, slow, compressed and gone each get their own bytes', async () => {
  await using server = await listen({ sharedBytesMax: 2 * MEBIBYTE });
  const readers: Reader[] = [
    { after: 0 },
    { after: 0 },
    { after: 1 },
    { after: 3_999, encoding: 'zstd' },
    { after: 17_000, restsAfterBytes: 3 * 65_536 },
    { after: 17_000, leavesAfterBytes: 2 * MEBIBYTE },
    { after: 41_234, restsAfterBytes: MEBIBYTE, encoding: 'zstd' },
    { after: 50_000, leavesAfterBytes: 65_536 },
  ];
  await Promise.all(
    readers.map(async (reader) => {
      const digest = await readAs(server.url, reader);
      if (digest !== undefined) assert.equal(digest, digestAfter(reader.after));
    }),
  );
});

/** Each at a segment that no other is at, so that they share nothing. */
const STALLED = 16;
/** What is shared, and memory that waits to be used again. */
const SHARED_BYTES_MAX = 2 * MEBIBYTE;
const SPARE_BYTES_MAX = 4 * MEBIBYTE;

test('a reader who stalls keeps no more than a mebibyte busy until he is cut off', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  let cutCount = 0;
  const log = new Writable({
    write(line: Buffer, _encoding, done) {
      if (line.includes('reader stalled')) cutCount += 1;
      done();
    },
  });
  const readers = { readersMax: STALLED, readersPerCallerMax: STALLED, stallMsMax: 1_500 };
  const limits = { ...readers, sharedBytesMax: SHARED_BYTES_MAX };
  await using server = await listen(limits, pino({}, log));
  collect();
  const before = process.memoryUsage().arrayBuffers;
  const paths = Array.from({ length: STALLED }, (_, index) => {
    return `/v1/channels/busy/messages?after=${index * SEGMENT_MESSAGES}`;
  });
  using stalled = await stallReaders(server.url, paths, SEGMENTS_TYPE);
  assert.equal(stalled.openCount, STALLED);
  let most = 0;
  const sample = (): boolean => {
    collect();
    most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    return cutCount === STALLED;
  };
  await until('all are cut off', sample, 60_000);
  const allowed = STALLED * MEBIBYTE + SHARED_BYTES_MAX + SPARE_BYTES_MAX;
  assert.ok(most <= allowed, `${most} bytes, ${allowed} are allowed`);
  assert.ok(most > (STALLED * MEBIBYTE) / 4, `${most} bytes: they held what they had asked for`);
  assert.equal(api.opened.pool.idleCount, api.opened.pool.totalCount);
});
