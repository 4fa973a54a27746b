// docs/metrics.md against the program, and both against what is exposed: none of the three knows a
// metric that another does not. With UPDATE_DOCS=1 the table is rewritten instead.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fastify } from 'fastify';
import { newReceiverCounters, RECEIVER_COUNTERS } from '#multicast/core/mod.ts';
import type { MetricDescription } from '#multicast/metrics/mod.ts';
import { archiverFamilies, type RecorderCounters } from '#ingest/mod.ts';
import { countRequests } from '#replay-api/api-metrics.ts';
import { createReplayApi } from '#replay-api/mod.ts';
import { readExposition } from '#test/support/exposition.ts';
import { openTestApi, silentLogger } from '#test/support/replay-api.ts';

const PAGE = fileURLToPath(new URL('../../../docs/metrics.md', import.meta.url));
const TABLE = /(<!-- metrics: [^\n]* -->\n)([^]*?)(<!-- \/metrics -->)/;
const METRICS: readonly MetricDescription[] = [
  ...archiverFamilies({}),
  ...countRequests(fastify())(),
].map(({ metric }) => metric);

const code = (text: string): string => `\`${text}\``;

function renderTable(): string {
  const rows = [
    ['Metric', 'Type', 'Unit', 'Labels', 'Meaning'],
    ...METRICS.map(({ name, type, unit, labels, sentence }) => {
      return [code(name), type, unit, labels.map(code).join(', '), sentence];
    }),
  ];
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const [head, ...body] = rows.map((row) => row.map((cell, index) => cell.padEnd(widths[index])));
  const rule = widths.map((width) => '-'.repeat(width));
  return [head, rule, ...body].map((row) => `| ${row.join(' | ')} |\n`).join('');
}

/** A channel of an archiver on which each number is another one. */
function countedChannel(): RecorderCounters {
  const receiver = newReceiverCounters();
  Object.keys(RECEIVER_COUNTERS).forEach((name, index) => {
    receiver[name as keyof typeof receiver] = 1_000 + index;
  });
  return {
    receiver,
    repairLatency: { bucketCounts: Array.from({ length: 15 }, (_, index) => index), sumMs: 1_500 },
    overrunDatagrams: 1,
    pendingBytes: 2,
    archivedMessages: 3,
    commits: 4,
    archivedPosition: 5,
    followedSessions: 6,
    databaseAway: true,
  };
}

test('the page has every metric of the program, and no other', () => {
  const page = readFileSync(PAGE, 'utf8');
  const made = page.replace(TABLE, (_, head: string, _old, tail: string) => {
    return `${head}\n${renderTable()}\n${tail}`;
  });
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(PAGE, made);
  assert.equal(readFileSync(PAGE, 'utf8'), made, 'UPDATE_DOCS=1 rewrites the table');
  assert.match(page, TABLE);
});

test('every counter of a receiver is a metric with its unit and sentence', () => {
  const ofReceivers = METRICS.filter(({ name }) => name.startsWith('backcast_receiver_'));
  for (const { unit, sentence } of Object.values(RECEIVER_COUNTERS))
    assert.ok(
      ofReceivers.some((it) => it.unit === unit && it.sentence === sentence),
      sentence,
    );
  assert.equal(ofReceivers.length, Object.keys(RECEIVER_COUNTERS).length + 1);
});

test('names say what they are, once', () => {
  const names = METRICS.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const { name, type, unit, sentence } of METRICS) {
    assert.match(name, /^backcast_(api|archiver|receiver)_[a-z]+(_[a-z]+)*$/);
    if (type === 'counter') assert.ok(name.endsWith(`_${unit}_total`), name);
    else assert.doesNotMatch(name, /_total$/);
    assert.match(sentence, /^[A-Z0-9].+\.$/);
  }
});

test('/metrics has every metric of the program, and no other', async () => {
  await using api = await openTestApi();
  const app = await createReplayApi({
    database: api.opened,
    logger: silentLogger,
    collectMetrics: () => archiverFamilies({ orders: countedChannel() }),
  });
  try {
    await app.inject('/v1/channels');
    await app.inject('/v1/channels/none');
    await app.inject('/nowhere');
    const answer = await app.inject('/metrics');
    assert.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    const exposed = readExposition(answer.body);
    assert.deepEqual(new Set(exposed.types.keys()), new Set(METRICS.map(({ name }) => name)));
    for (const { name, type, sentence } of METRICS) {
      assert.equal(exposed.types.get(name), type);
      assert.equal(exposed.helps.get(name), sentence);
    }
    const requests = exposed.samples.filter(({ name }) => name === 'backcast_api_requests_total');
    assert.deepEqual(
      requests.map(({ labels, value }) => [labels['operation'], labels['status'], value]),
      [
        ['listChannels', '2xx', 1],
        ['getChannel', '4xx', 1],
        ['other', '4xx', 1],
      ],
    );
  } finally {
    await app.close();
  }
});

test('every number of a channel is exposed under its name', () => {
  const counters = countedChannel();
  const families = archiverFamilies({ orders: counters });
  const values = families.flatMap((family) => ('samples' in family ? family.samples : []));
  assert.ok(values.every(({ labels }) => labels['channel'] === 'orders'));
  assert.deepEqual(
    values.map(({ value }) => value),
    [3, 4, 1, 2, 5, 6, 1, ...Object.values(counters.receiver)],
  );
});
