// The numbers of a real archiver, asked for over HTTP while it records.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackcastError } from '#base/mod.ts';
import { archiverFamilies } from '#ingest/mod.ts';
import { listenForMetrics } from '#multicast/metrics/mod.ts';
import { setScene } from '#test/support/archiving.ts';
import { type ExposedSample, readExposition } from '#test/support/exposition.ts';
import { until } from '#test/support/until.ts';

const MESSAGES = 2_000;

test('what was archived, repaired and asked for is at /metrics', async () => {
  await using scene = await setScene();
  await using archiver = await scene.startArchiver({ faults: 'receive-loss=0.1,seed=3' });
  await using metrics = await listenForMetrics({
    host: '127.0.0.1',
    port: 0,
    collect: () => archiverFamilies(archiver.counters, archiver.durability.state),
  });
  await using publisher = await scene.openPublisher({ packetBytesMax: 300 });
  for (let count = 0; count < MESSAGES; count += 1) await publisher.publish(Buffer.alloc(100));
  await scene.accounted(MESSAGES);
  const values = await until('the numbers are those of the end', async () => {
    const answer = await fetch(metrics.url);
    assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    const numbers = byName(readExposition(await answer.text()).samples);
    return numbers['backcast_archiver_archived_messages_total'] === MESSAGES && numbers;
  });
  assert.equal(values['backcast_archiver_archived_position'], MESSAGES);
  assert.equal(values['backcast_archiver_followed_sessions'], 1);
  assert.equal(values['backcast_archiver_database_away'], 0);
  assert.equal(values['backcast_archiver_degraded'], 0);
  assert.ok(values['backcast_archiver_commits_transactions_total'] > 0);
  assert.equal(values['backcast_receiver_delivered_messages_total'], MESSAGES);
  assert.equal(values['backcast_receiver_lost_messages_total'], 0);
  const repairs = values['backcast_receiver_repair_latency_seconds_count'];
  assert.ok(repairs > 0);
  assert.ok(repairs <= values['backcast_receiver_repairs_received_packets_total']);
  assert.ok(values['backcast_receiver_repair_latency_seconds_sum'] > 0);
});

/** Of the archiver, and of its one channel. */
function byName(samples: readonly ExposedSample[]): Record<string, number> {
  assert.ok(samples.every(({ labels: { channel } }) => [undefined, 'orders'].includes(channel)));
  return Object.fromEntries(samples.map(({ name, value }) => [name, value]));
}

test('only /metrics is there, and a port in use is told', async () => {
  await using metrics = await listenForMetrics({ host: '127.0.0.1', port: 0, collect: () => [] });
  const { origin, port } = new URL(metrics.url);
  assert.equal((await fetch(`${origin}/other`)).status, 404);
  assert.equal(await (await fetch(metrics.url)).text(), '');
  await assert.rejects(
    listenForMetrics({ host: '127.0.0.1', port: Number(port), collect: () => [] }),
    (error) => error instanceof BackcastError && error.code === 'BACKCAST_PORT_IN_USE',
  );
});
