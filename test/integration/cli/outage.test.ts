// The case that all of this exists for, end to end and shorter than the demo plays it by itself: an
// instance is killed, stays away for longer than anybody can repair, and comes back with its
// cursor. Every process is real.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runBackcast } from '#test/support/cli.ts';

test('an instance that was killed has every message once, in order, and is soon live', async () => {
  const busy = ['--rate', '30000', '--window', '1', '--follow', '2', '--away', '10'];
  const { end, stdout, stderr } = await runBackcast(['demo', 'outage', '--json', ...busy]);
  assert.notEqual(stdout, '', stderr);
  const result = JSON.parse(stdout) as Readonly<Record<string, number>>;
  const { publishedCount, receivedCount, misplacedCount, lostCount } = result;
  assert.deepEqual(
    { receivedCount, misplacedCount, lostCount },
    { receivedCount: publishedCount, misplacedCount: 0, lostCount: 0 },
  );
  assert.ok(result['missedCount'] >= 240_000, stdout);
  assert.ok(result['replayedCount'] >= result['missedCount'] - 30_000, stdout);
  assert.ok(result['liveAgainMs'] <= result['liveAgainMsMax'], stdout);
  assert.equal(end, 0, stdout);
  assert.match(stderr, /killed; it has saved that it had \d+ messages/);
});
