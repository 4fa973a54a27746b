// docs/protocol.md tells when packets are sent. Its numbers are those that the machines use:
// constants are compared, and the schedule of heartbeats is played through.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  NAK_PACKETS_OUTSTANDING_MAX,
  NAK_SQNS_MAX,
  RECEIVE_GAPS_MAX,
  RECEIVE_WINDOW_PACKETS_MAX,
} from '#base/mod.ts';
import { loadConfig } from '#config/mod.ts';
import { NAK_BACKOFF_MS_MAX } from '#multicast/core/feedback-delay.ts';
import { HeartbeatSchedule, SPM_AMBIENT_MS } from '#multicast/core/heartbeat.ts';
import { NAK_DATA_MS, NAK_REPEAT_MS } from '#multicast/core/nak-scheduler.ts';
import { REPAIR_LINGER_MS } from '#multicast/core/repair-scheduler.ts';

const TEXT = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');

/** The second cell of the row that begins with `what`. */
function whenOf(what: string): string {
  const row = TEXT.split('\n').find((line) => line.startsWith(`| ${what} `));
  assert.ok(row !== undefined, `no row tells of "${what}"`);
  return row.split('|')[2]?.trim() ?? '';
}

function grouped(count: number): string {
  return count.toLocaleString('en-US');
}

/** The distances of the next `count` SPMs, the first one from `startMs`. */
function distances(schedule: HeartbeatSchedule, startMs: number, count: number): number[] {
  let lastMs = startMs;
  return Array.from({ length: count }, () => {
    const nextMs = schedule.nextAtMs;
    schedule.spmSent(nextMs);
    const distanceMs = nextMs - lastMs;
    lastMs = nextMs;
    return distanceMs;
  });
}

test('heartbeats come when the document says', () => {
  const schedule = new HeartbeatSchedule(0);
  const opening = distances(schedule, 0, 3);
  assert.deepEqual(opening, [0, 20, 20]);
  assert.equal(whenOf('first SPMs'), '3, at 20 ms from each other');
  const busySinceMs = 40 + SPM_AMBIENT_MS;
  schedule.dataSent(40);
  assert.ok(schedule.nextAtMs <= busySinceMs);
  assert.match(whenOf('SPM while data flows'), new RegExp(`^${SPM_AMBIENT_MS} ms`));
  schedule.spmSent(100);
  schedule.dataSent(100);
  const [first, ...rest] = distances(schedule, 100, 9);
  const [steady] = rest.slice(-1);
  const growing = rest.filter((distanceMs) => distanceMs !== steady);
  assert.equal(
    whenOf('SPM after the last data'),
    `after ${first} ms, then ${growing.map(grouped).join(', ')} ms, ` +
      `then every ${grouped(steady ?? 0)} ms`,
  );
  schedule.close(60_000);
  assert.deepEqual(distances(schedule, 60_000, 5), [0, 20, 20, 250, 250]);
  assert.match(whenOf('SPMs with FIN, when all is sent'), /^3, at 20 ms .* every 250 ms/);
});

test('requests and repairs take the time that the document says', () => {
  const { publisher, receiver } = loadConfig({ env: {}, cwd: '/' });
  assert.match(whenOf('first NAK'), new RegExp(`up to ${NAK_BACKOFF_MS_MAX} ms$`));
  assert.match(whenOf('NAK again without an NCF'), new RegExp(`${NAK_REPEAT_MS} at first`));
  assert.match(whenOf('NAK again after an NCF'), new RegExp(`${NAK_DATA_MS} at first`));
  assert.match(whenOf('RDATA'), new RegExp(`within ${REPAIR_LINGER_MS} ms$`));
  assert.match(
    whenOf('a packet is given up'),
    new RegExp(`${grouped(receiver.repairTimeoutMs)} ms$`),
  );
  assert.match(whenOf('linger'), new RegExp(`${grouped(publisher.lingerMs)} ms`));
  assert.match(whenOf('a small message waits for others'), new RegExp(`${publisher.flushMs} ms`));
});

test('the bounds of a receiver are those that the document names', () => {
  const prose = TEXT.replaceAll(/\s+/g, ' ');
  const sentences = [
    `up to ${NAK_SQNS_MAX} packet numbers`,
    `At most ${NAK_PACKETS_OUTSTANDING_MAX} such NAKs`,
    `${grouped(RECEIVE_GAPS_MAX)} holes`,
    `${grouped(RECEIVE_WINDOW_PACKETS_MAX)} packets behind a hole`,
  ];
  for (const sentence of sentences) assert.ok(prose.includes(sentence), sentence);
});
