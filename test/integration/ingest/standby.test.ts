// Two archivers on one channel under load: one writes, the other listens and keeps. Whatever
// happens to the one that writes, nothing that either of them has heard is lost, and nothing is
// stored twice. The publisher's window is tiny, so that what was missed cannot come from there.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startArchiverProcess } from '#test/support/archiver-process.ts';
import { type Scene, setScene } from '#test/support/archiving.ts';
import { startSeverableRelay } from '#test/support/severable-relay.ts';
import { startTraffic, type Traffic } from '#test/support/steady-traffic.ts';
import { until } from '#test/support/until.ts';

const LOAD = { messagesPerSec: 2_000, payloadBytes: 120 };
const TINY_WINDOW = { windowPackets: 512, windowBytes: 1_048_576, messageBytesMax: 8_192 };

test('a leader that is killed is replaced, and nothing is lost', async (context) => {
  await using scene = await setScene();
  await using first = await startArchiverProcess({ scene, name: 'first' });
  await using second = await startArchiverProcess({ scene, name: 'second' });
  assert.deepEqual([first.leading.count, second.leading.count], [1, 0]);
  await using publisher = await scene.openPublisher({ ...TINY_WINDOW, lingerMs: 1_000 });
  await using traffic = startTraffic([publisher], LOAD);
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
  await using traffic = startTraffic([publisher], LOAD);
  await scene.accounted(1_000);
  const frozenAtMs = performance.now();
  first.signal('SIGSTOP');
  await until('the other writes', () => second.leading.count === 1, 15_000);
  const tookMs = second.leading.atMs - frozenAtMs;
  context.diagnostic(`taken over after ${Math.round(tookMs)} ms`);
  assert.ok(tookMs < 10_000, `taken over after ${tookMs} ms`);
  await scene.accounted(traffic.publishedCount + 2_000);
  first.signal('SIGCONT');
  await first.said('another archiver writes the channel now');
  await settle(scene, traffic, 1_000);
  await second.kill();
  await until('the first writes again', () => first.leading.count === 2, 5_000);
  await publisher.publish(Buffer.from('one more'));
  await scene.accounted(traffic.publishedCount);
  assert.equal((await scene.audited()).lostCount, 0);
});

test('a leader that stops gives the channel to the other at once', async () => {
  await using scene = await setScene();
  await using first = await startArchiverProcess({ scene, name: 'first' });
  await using second = await startArchiverProcess({ scene, name: 'second' });
  await using publisher = await scene.openPublisher({ ...TINY_WINDOW, lingerMs: 1_000 });
  await using traffic = startTraffic([publisher], LOAD);
  await scene.accounted(500);
  assert.equal(await first.stop(), 0);
  const stoppedAtMs = performance.now();
  await until('the other writes', () => second.leading.count === 1, 5_000);
  const tookMs = second.leading.atMs - stoppedAtMs;
  assert.ok(tookMs < 3_000, `taken over after ${tookMs} ms`);
  await settle(scene, traffic, 500);
});

test('a leader cut off from the database is replaced, and stands by', async (context) => {
  await using scene = await setScene();
  await using relay = await startSeverableRelay(scene.databaseUrl);
  const databaseUrl = relay.url;
  await using first = await startArchiverProcess({ scene, name: 'first', databaseUrl });
  await using second = await startArchiverProcess({ scene, name: 'second' });
  await using publisher = await scene.openPublisher({ ...TINY_WINDOW, lingerMs: 1_000 });
  await using traffic = startTraffic([publisher], LOAD);
  await scene.accounted(1_000);
  const severedAtMs = performance.now();
  relay.sever();
  await until('the other writes', () => second.leading.count === 1, 12_000);
  context.diagnostic(`taken over after ${Math.round(second.leading.atMs - severedAtMs)} ms`);
  await scene.accounted(traffic.publishedCount + 2_000);
  relay.mend();
  await first.said('another archiver writes the channel now');
  await settle(scene, traffic, 1_000);
  await until('nothing waits', async () => (await first.metric(PENDING)) === 0, 5_000);
});

test('what the leader missed for good comes from the other, and the loss says so', async () => {
  await using scene = await setScene();
  const args = ['--fault', 'receive-loss=0.05,send-loss=1,kinds=odata+nak,seed=7'];
  await using first = await startArchiverProcess({ scene, name: 'first', args });
  await using second = await startArchiverProcess({ scene, name: 'second' });
  await using publisher = await scene.openPublisher({ ...TINY_WINDOW, lingerMs: 1_000 });
  await using traffic = startTraffic([publisher], LOAD);
  await until('it has lost some', async () => (await lossesOf(scene)).length > 3, 20_000);
  await traffic.stop();
  await publisher.close();
  await scene.accounted(traffic.publishedCount);
  await until('all is healed', async () =>
    (await lossesOf(scene)).every(({ healed_by }) => healed_by === 'second'),
  );
  const { storedCount, lostCount } = await scene.audited();
  assert.deepEqual([storedCount, lostCount], [traffic.publishedCount, 0]);
  assert.ok((await first.metric('backcast_archiver_healed_messages_total')) > 0);
  assert.equal(second.leading.count, 0);
});

test('a leader that hears nothing lets the other write', async (context) => {
  await using scene = await setScene();
  await using publisher = await scene.openPublisher({ ...TINY_WINDOW, lingerMs: 1_000 });
  const args = ['--fault', 'receive-loss=1,seed=7'];
  await using first = await startArchiverProcess({ scene, name: 'first', args });
  await using second = await startArchiverProcess({ scene, name: 'second' });
  assert.deepEqual([first.leading.count, second.leading.count], [1, 0]);
  await using traffic = startTraffic([publisher], LOAD);
  const startedAtMs = performance.now();
  await until('the other writes', () => second.leading.count === 1, 15_000);
  context.diagnostic(`handed over after ${Math.round(second.leading.atMs - startedAtMs)} ms`);
  await settle(scene, traffic, 1_000);
  assert.equal(await first.metric('backcast_archiver_handovers_total'), 1);
});

const PENDING = 'backcast_archiver_pending_bytes';

async function lossesOf(scene: Scene) {
  return await scene.database.selectFrom('losses').select(['cause', 'healed_by']).execute();
}

/** `more` further messages, the end of the traffic, and everything stored once. */
async function settle(scene: Scene, traffic: Traffic, more: number): Promise<void> {
  await scene.accounted(traffic.publishedCount + more);
  await traffic.stop();
  await scene.accounted(traffic.publishedCount);
  const { storedCount, lostCount } = await scene.audited();
  assert.deepEqual([storedCount, lostCount], [traffic.publishedCount, 0]);
}
