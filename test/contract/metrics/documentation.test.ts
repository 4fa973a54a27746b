// docs/metrics.md against the program, and both against what is exposed: none of the three knows a
// metric that another does not. With UPDATE_DOCS=1 the table is rewritten instead.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { fastify } from 'fastify';
import {
  newPublisherCounters,
  newReceiverCounters,
  PUBLISHER_COUNTERS,
  RECEIVER_COUNTERS,
} from '#multicast/core/mod.ts';
import { type MetricDescription, publisherFamilies } from '#multicast/metrics/mod.ts';
import { SUBSCRIPTION_COUNTERS } from '#client/mod.ts';
import { subscriptionFamilies } from '#cli/subscription-metrics.ts';
import { TRANSPORT_COUNTERS, type TransportCounters } from '#multicast/udp/mod.ts';
import {
  archiverFamilies,
  compactionFamilies,
  newRetentionCounters,
  type RecorderCounters,
  retentionFamilies,
} from '#ingest/mod.ts';
import { accessFamilies, newAccessCounters } from '#replay-api/access/access-metrics.ts';
import { countRequests, loadFamilies } from '#replay-api/api-metrics.ts';
import { createReplayApi } from '#replay-api/mod.ts';
import { newTailCounters, tailFamilies } from '#replay-api/tail-metrics.ts';
import { readExposition } from '#test/support/exposition.ts';
import { openTestApi, silentLogger } from '#test/support/replay-api.ts';

const PAGE = fileURLToPath(new URL('../../../docs/metrics.md', import.meta.url));
const CLIENT_PAGE = fileURLToPath(new URL('../../../docs/client.md', import.meta.url));
const METRICS: readonly MetricDescription[] = [
  ...publisherFamilies({}),
  ...subscriptionFamilies({}),
  ...archiverFamilies({}, 'durable'),
  ...compactionFamilies(undefined),
  ...retentionFamilies(newRetentionCounters()),
  ...countRequests(fastify())(),
  ...accessFamilies(newAccessCounters()),
  ...tailFamilies(newTailCounters(), 0),
  ...loadFamilies({ readers: 0 }, { asked: 0, started: 0, segmentBytes: 0 }),
].map(({ metric }) => metric);

const code = (text: string): string => `\`${text}\``;

function renderTable(rows: readonly string[][]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const [head, ...body] = rows.map((row) => row.map((cell, index) => cell.padEnd(widths[index])));
  const rule = widths.map((width) => '-'.repeat(width));
  return [head, rule, ...body].map((row) => `| ${row.join(' | ')} |\n`).join('');
}

/** Those below, in the order in which they are exposed. */
const OWN_NUMBERS = [3, 4, 1, 2, 5, 9, 8, 7, 1, 1, 6, 1, 11, 15, 12, 13, 14, 6, 1, 1];

/** A channel of an archiver on which each number is another one. */
function countedChannel(): RecorderCounters {
  const receiver = newReceiverCounters();
  Object.keys(RECEIVER_COUNTERS).forEach((name, index) => {
    receiver[name as keyof typeof receiver] = 1_000 + index;
  });
  const transport = Object.fromEntries(
    Object.keys(TRANSPORT_COUNTERS).map((name, index) => [name, 2_000 + index]),
  ) as TransportCounters;
  return {
    receiver,
    transport,
    repairLatency: { bucketCounts: Array.from({ length: 15 }, (_, index) => index), sumMs: 1_500 },
    overrunDatagrams: 1,
    pendingBytes: 2,
    receivedPosition: 9,
    spooledPosition: 8,
    spoolBytes: 7,
    spooling: true,
    spoolUnusable: true,
    spoolFullMessages: 6,
    archivedMessages: 3,
    commits: 4,
    archivedPosition: 5,
    followedSessions: 6,
    leading: true,
    takeovers: 11,
    handovers: 15,
    rollbacks: 12,
    healedMessages: 13,
    unofferedMessages: 14,
    databaseAway: true,
    refused: true,
  };
}

/** The table between the marks of `name` in `page` has these rows. */
function holdTable(page: string, name: string, rows: readonly string[][]): void {
  const table = new RegExp(`(<!-- ${name}: [^\\n]* -->\\n)([^]*?)(<!-- /${name} -->)`);
  const text = readFileSync(page, 'utf8');
  const made = text.replace(table, (_, head: string, _old, tail: string) => {
    return `${head}\n${renderTable(rows)}\n${tail}`;
  });
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(page, made);
  assert.equal(readFileSync(page, 'utf8'), made, 'UPDATE_DOCS=1 rewrites the table');
  assert.match(text, table);
}

test('the page has every metric of the program, and no other', () => {
  const rows = METRICS.map(({ name, type, unit, labels, sentence }) => {
    return [code(name), type, unit, labels.map(code).join(', '), sentence];
  });
  holdTable(PAGE, 'metrics', [['Metric', 'Type', 'Unit', 'Labels', 'Meaning'], ...rows]);
});

const PARTS = new Set(
  'api archiver compaction publisher receiver subscription transport'.split(' '),
);

const COUNTED = {
  publisher: PUBLISHER_COUNTERS,
  subscription: SUBSCRIPTION_COUNTERS,
  receiver: RECEIVER_COUNTERS,
  transport: TRANSPORT_COUNTERS,
};

for (const [part, registry] of Object.entries(COUNTED)) {
  test(`every counter of a ${part} is a metric with its unit and sentence`, () => {
    const ofPart = METRICS.filter(({ name, type }) => {
      return name.startsWith(`backcast_${part}_`) && type === 'counter';
    });
    assert.deepEqual(
      ofPart.map(({ unit, sentence }) => ({ unit, sentence })),
      Object.values(registry).map(({ unit, sentence }) => ({ unit, sentence })),
    );
  });
}

test('names say what they are, once', () => {
  const names = METRICS.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const { name, type, unit, sentence } of METRICS) {
    const [, part = '', ...words] = name.split('_');
    assert.ok(name.startsWith('backcast_') && PARTS.has(part), name);
    assert.match(words.join('_'), /^[a-z]+(_[a-z]+)*$/);
    if (type === 'counter') assert.ok(name.endsWith(`_${unit}_total`), name);
    else assert.doesNotMatch(name, /_total$/);
    assert.match(sentence, /^[A-Z0-9].+\.$/);
  }
});

test('/metrics has every metric of an archiver and its API, and no other', async () => {
  await using api = await openTestApi();
  const app = await createReplayApi({
    database: api.opened,
    logger: silentLogger,
    collectMetrics: () => [
      ...archiverFamilies({ orders: countedChannel() }, 'durable'),
      ...compactionFamilies(undefined),
      ...retentionFamilies(newRetentionCounters()),
    ],
  });
  try {
    await app.inject('/v1/channels');
    await app.inject('/v1/channels/none');
    await app.inject('/nowhere');
    const answer = await app.inject('/metrics');
    assert.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    const exposed = readExposition(answer.body);
    const elsewhere = /^backcast_(publisher|subscription)_/;
    const metrics = METRICS.filter(({ name }) => !elsewhere.test(name));
    assert.deepEqual(new Set(exposed.types.keys()), new Set(metrics.map(({ name }) => name)));
    for (const { name, type, sentence } of metrics) {
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
  const [degraded, ...families] = archiverFamilies({ orders: counters }, 'degraded');
  assert.deepEqual(degraded, { metric: degraded.metric, samples: [{ labels: {}, value: 1 }] });
  const values = families.flatMap((family) => ('samples' in family ? family.samples : []));
  assert.ok(values.every(({ labels }) => labels['channel'] === 'orders'));
  assert.deepEqual(
    values.map(({ value }) => value),
    [...OWN_NUMBERS, ...Object.values(counters.receiver), ...Object.values(counters.transport)],
  );
});

test('every number of retention is exposed under its name', () => {
  const counters = { ...newRetentionCounters() };
  Object.keys(counters).forEach((name, index) => {
    counters[name as keyof typeof counters] = 1 + index;
  });
  assert.deepEqual(
    retentionFamilies(counters).flatMap((family) => ('samples' in family ? family.samples : [])),
    Object.values(counters).map((value) => ({ labels: {}, value })),
  );
});

test('the page of the client has every counter of a subscription', () => {
  const rows = Object.entries(SUBSCRIPTION_COUNTERS).map(([name, { sentence }]) => {
    return [code(name), sentence];
  });
  holdTable(CLIENT_PAGE, 'counters', [['Counter', 'Counts'], ...rows]);
});

test('every number of a publisher is exposed under its name', () => {
  const counters = newPublisherCounters();
  Object.keys(PUBLISHER_COUNTERS).forEach((name, index) => {
    counters[name as keyof typeof counters] = 1 + index;
  });
  const families = publisherFamilies({ orders: counters });
  assert.deepEqual(
    families.flatMap((family) => ('samples' in family ? family.samples : [])),
    Object.values(counters).map((value) => ({ labels: { channel: 'orders' }, value })),
  );
});
