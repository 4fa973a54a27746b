// `bench live` as a user runs it, small: that it measures what it says, not how fast this machine
// is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runBackcast } from '#test/support/cli.ts';

const SMALL_RUN = [
  'bench',
  'live',
  '--json',
  '--messages',
  '4000',
  '--rate',
  '20000',
  '--size',
  '64',
];

test('bench live prints what it measured as one JSON object', { timeout: 60_000 }, async () => {
  const { end, stdout, stderr } = await runBackcast([...SMALL_RUN, '--packet-bytes', '1472']);
  assert.equal(end, 0, stderr);
  const result = JSON.parse(stdout) as Record<string, number>;
  assert.equal(result['messagesLost'], 0);
  assert.equal(result['messages'], 4_000);
  assert.equal(result['payloadBytes'], 64);
  assert.equal(result['packetBytesMax'], 1_472);
  const { latencyUsP50, latencyUsP99, latencyUsMax } = result;
  assert.ok(0 < latencyUsP50 && latencyUsP50 <= latencyUsP99 && latencyUsP99 <= latencyUsMax);
  // 4,000 messages of 64 bytes are at least 170 packets of this size.
  const packets = (result['packetsPerSecond'] * 4_000) / result['messagesPerSecond'];
  assert.ok(packets >= 170 && packets <= 4_000, `${packets} packets`);
});

test('bench live refuses messages too small to carry their time', async () => {
  const { end, stderr } = await runBackcast(['bench', 'live', '--size', '7']);
  assert.equal(end, 2);
  assert.match(stderr, /from 8 on/);
});
