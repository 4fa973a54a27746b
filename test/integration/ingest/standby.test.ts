// Two archivers on one channel under load: one writes, the other listens and keeps. Whatever
// happens to the one that writes, nothing that either of them has heard is lost, and nothing is
// stored twice. The publisher's window is tiny, so that what was missed cannot come from there.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { ChannelPublisher } from '#client/mod.ts';
import { startArchiverProcess } from '#test/support/archiver-process.ts';
import { type Scene, setScene } from '#test/support/archiving.ts';
import { until } from '#test/support/until.ts';

const TINY_WINDOW = { windowPackets: 512, windowBytes: 1_048_576, messageBytesMax: 8_192 };
const BURST = 20;
const BURST_MS = 10;

test('a leader that is killed is replaced, and nothing is lost', async (context) => {
  await using scene = await setScene();
  await using first = await startArchiverProcess({ scene, name: 'first' });
  await using second = await startArchiverProcess({ scene, name: 'second' });
  assert.deepEqual([first.leading.count, second.leading.count], [1, 0]);
  await using publisher = await scene.openPublisher({ ...TINY_WINDOW, lingerMs: 1_000 });
  await using traffic = publishSteadily(publisher);
  await scene.accounted(1_000);
  const killedAtMs = performance.now();
  await first.kill();
  await until('the other writes', () => second.leading.count === 1, 5_000);
  const tookMs = second.leading.atMs - killedAtMs;
  context.diagnostic(`taken over after ${Math.round(tookMs)} ms`);
  assert.ok(tookMs < 3_000, `taken over after ${tookMs} ms`);
  await settle(scene, traffic, 1_000);
  assert.equal(await second.stop(), 0);
});

test('a leader that is frozen is replaced, and its stale commits are refused', async (context) => {
  await using scene = await setScene();
  await using first = await startArchiverProcess({ scene, name: 'first' });
  await using second = await startArchiverProcess({ scene, name: 'second' });
  await using publisher = await scene.openPublisher({ ...TINY_WINDOW, lingerMs: 1_000 });
  await using traffic = publishSteadily(publisher);
  await scene.accounted(1_000);
  const frozenAtMs = performance.now();
  first.signal('SIGSTOP');
  await until('the other writes', () => second.leading.count === 1, 15_000);
  const tookMs = second.leading.atMs - frozenAtMs;
  context.diagnostic(`taken over after ${Math.round(tookMs)} ms`);
  assert.ok(tookMs < 10_000, `taken over after ${tookMs} ms`);
  await delay(2_000);
  first.signal('SIGCONT');
  await first.said('another archiver writes the channel now');
  await settle(scene, traffic, 1_000);
  await second.kill();
  await until('the first writes again', () => first.leading.count === 2, 5_000);
  await publisher.publish(Buffer.from('one more'));
  await scene.accounted(traffic.count + 1);
  assert.equal((await scene.audited()).lostCount, 0);
});

test('a leader that stops gives the channel to the other at once', async () => {
  await using scene = await setScene();
  await using first = await startArchiverProcess({ scene, name: 'first' });
  await using second = await startArchiverProcess({ scene, name: 'second' });
  await using publisher = await scene.openPublisher({ ...TINY_WINDOW, lingerMs: 1_000 });
  await using traffic = publishSteadily(publisher);
  await scene.accounted(500);
  assert.equal(await first.stop(), 0);
  const stoppedAtMs = performance.now();
  await until('the other writes', () => second.leading.count === 1, 2_000);
  assert.ok(second.leading.atMs - stoppedAtMs < 1_500);
  await settle(scene, traffic, 500);
});

/** Traffic that is still flowing. */
interface Traffic extends AsyncDisposable {
  /** Messages published so far. */
  readonly count: number;
  stop(): Promise<void>;
}

/** About 2,000 messages a second until it is stopped. */
function publishSteadily(publisher: ChannelPublisher): Traffic {
  let count = 0;
  let isStopped = false;
  const run = async (): Promise<void> => {
    while (!isStopped) {
      for (let index = 0; index < BURST; index += 1) {
        count += 1;
        const payload = Buffer.alloc(100 + (count % 50), 'x');
        payload.writeUInt32BE(count, 0);
        await publisher.publish(payload);
      }
      await delay(BURST_MS);
    }
  };
  const running = run();
  const stop = async (): Promise<void> => {
    isStopped = true;
    await running;
  };
  return {
    get count() {
      return count;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** `more` further messages, the end of the traffic, and everything stored once. */
async function settle(scene: Scene, traffic: Traffic, more: number): Promise<void> {
  await scene.accounted(traffic.count + more);
  await traffic.stop();
  await scene.accounted(traffic.count);
  const { storedCount, lostCount } = await scene.audited();
  assert.deepEqual([storedCount, lostCount], [traffic.count, 0]);
}
