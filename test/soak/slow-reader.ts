// A reader that stops reading for a minute while 50,000 messages a second are published: its
// process takes a bounded amount of memory, and then has every message, once and in order.
//
//   node test/soak/slow-reader.ts

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setScene } from '#test/support/archiving.ts';
import { startArchiverProcess } from '#test/support/archiver-process.ts';
import { startApiProcess } from '#test/support/api-process.ts';
import { startPausingReader } from '#test/support/pausing-reader.ts';
import { soakOptions } from '#test/support/soak-options.ts';
import { startTraffic } from '#test/support/steady-traffic.ts';

const MEBIBYTE = 1_048_576;
const { seconds, rate, buffer } = soakOptions('Stops a reader for a while.', {
  seconds: [60, 'how long it does not read'],
  rate: [50_000, 'messages per second'],
  buffer: [64, 'what may wait for it, in MiB'],
});
/** What else a process that replays as fast as it can takes beside its buffer. */
const REPLAY_BYTES_MAX = 256 * MEBIBYTE;

test('a reader that stops for a while costs its buffer, and misses nothing', async (t) => {
  await using resources = new AsyncDisposableStack();
  const scene = resources.use(await setScene());
  resources.use(await startArchiverProcess({ scene, name: 'archiver' }));
  const { url: api } = resources.use(await startApiProcess(scene.databaseUrl, {}));
  const publisher = resources.use(await scene.openPublisher());
  await using traffic = startTraffic([publisher], { messagesPerSec: rate, payloadBytes: 140 });
  const { channel, address } = scene;
  const bufferBytesMax = buffer * MEBIBYTE;
  const options = { channel, address, api, pauseMs: seconds * 1_000, bufferBytesMax };
  using reader = startPausingReader(options);
  await reader.reading;
  const before = traffic.publishedCount;
  const report = await reader.report;
  const publishedCount = traffic.publishedCount - before;
  t.diagnostic(JSON.stringify({ ...report, publishedCount }));
  await traffic.stop();
  assert.deepEqual([report.wrongCount, report.lostCount], [0, 0]);
  assert.ok(report.counters.entriesSlid > 0, 'it was behind by more than its buffer');
  const boundBytes = report.bytesBefore + bufferBytesMax + REPLAY_BYTES_MAX;
  assert.ok(report.bytesMost <= boundBytes, `${report.bytesMost} bytes`);
});
