import assert from 'node:assert/strict';
import test from 'node:test';
import * as fc from 'fast-check';
import {
  describeCounters,
  type MetricDescription,
  type MetricFamily,
  renderMetrics,
} from '#multicast/metrics/mod.ts';
import { readExposition } from '#test/support/exposition.ts';

function metric(type: MetricDescription['type'], sentence = 'It counts.'): MetricDescription {
  return { name: `backcast_test_${type}`, type, unit: 'things', labels: ['channel'], sentence };
}

test('the text is the one of the documentation of the format', () => {
  const families: MetricFamily[] = [
    {
      metric: metric('counter'),
      samples: [
        { labels: { channel: 'a' }, value: 1 },
        { labels: {}, value: 2.5 },
      ],
    },
    {
      metric: metric('histogram'),
      histograms: [
        { labels: { channel: 'a' }, bounds: [0.5, 1], bucketCounts: [3, 0, 4], sum: 9.25 },
      ],
    },
  ];
  assert.equal(
    renderMetrics(families),
    `# HELP backcast_test_counter It counts.
# TYPE backcast_test_counter counter
backcast_test_counter{channel="a"} 1
backcast_test_counter 2.5
# HELP backcast_test_histogram It counts.
# TYPE backcast_test_histogram histogram
backcast_test_histogram_bucket{channel="a",le="0.5"} 3
backcast_test_histogram_bucket{channel="a",le="1"} 3
backcast_test_histogram_bucket{channel="a",le="+Inf"} 7
backcast_test_histogram_sum{channel="a"} 9.25
backcast_test_histogram_count{channel="a"} 7
`,
  );
});

test('whatever stands in labels, sentences and values comes back as it was', () => {
  const value = fc.double({ noNaN: true });
  fc.assert(
    fc.property(fc.string(), fc.string(), value, (label, sentence, number) => {
      const channel = `${label}\\n"\n\\`;
      const help = `${sentence}\\\n"x`;
      const samples = [{ labels: { channel }, value: number }];
      const { helps, samples: read } = readExposition(
        renderMetrics([{ metric: metric('gauge', help), samples }]),
      );
      assert.deepEqual([...helps.values()], [help]);
      assert.deepEqual(
        read.map(({ labels }) => labels['channel']),
        [channel],
      );
      assert.ok(read[0].value === number);
    }),
  );
});

test('the unit of a counter stands last in its name, and once', () => {
  const registry = {
    packetsReceived: { unit: 'packets', sentence: 'A.' },
    duplicates: { unit: 'packets', sentence: 'B.' },
    nakSqnsSent: { unit: 'requests', sentence: 'C.' },
  } as const;
  const names = Object.values(describeCounters('x', registry, [])).map(({ name }) => name);
  assert.deepEqual(names, [
    'backcast_x_received_packets_total',
    'backcast_x_duplicates_packets_total',
    'backcast_x_nak_sqns_sent_requests_total',
  ]);
});
