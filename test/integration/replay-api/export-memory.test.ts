// However much is exported, memory holds some pages of it. The channel is several times larger than
// what may be held, and every byte of it goes through.

import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { test } from 'node:test';
import { EXPORT_FORMATS, runExport, toExportRange } from '#replay-api/mod.ts';
import { agedSegment, agedSessions, AGED_SESSION } from '#test/support/aged-archive.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { openTestApi } from '#test/support/replay-api.ts';

const MEBIBYTE = 1_048_576;
const SEGMENTS = 256;
/** Payloads of 256 bytes, a mebibyte in a segment. */
const SEGMENT_MESSAGES = 4_096;
/** What is garbage already is swept in the background, so a part of it counts as held. */
const HELD_BYTES_MAX = 128 * MEBIBYTE;

/** Makes room, so that what is counted is what is held. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

/** Repeats the only segment of the channel behind itself, inside the database. */
const REPEAT = `
  INSERT INTO segments (channel_id, first_position, message_count, payload_bytes, run_session,
      run_first, run_length, min_published_at, max_published_at, archived_at, published_at, payload)
  SELECT channel_id, 1 + n * ${SEGMENT_MESSAGES}, ${SEGMENT_MESSAGES}, ${MEBIBYTE}, run_session,
      ARRAY[1 + n * ${SEGMENT_MESSAGES}], ARRAY[${SEGMENT_MESSAGES}], min_published_at,
      max_published_at, archived_at, array_fill(published_at[1], ARRAY[${SEGMENT_MESSAGES}]),
      array_fill(decode(repeat('7b', 256), 'hex'), ARRAY[${SEGMENT_MESSAGES}])
  FROM segments, generate_series(1::bigint, ${SEGMENTS - 1}) AS n`;

test(`an export of ${SEGMENTS} MiB holds a fraction of it, in every format`, async () => {
  await using api = await openTestApi();
  await using folder = await createTestFolder();
  const deliveries = [agedSegment(1, 1, SEGMENT_MESSAGES)];
  await api.addChannel({ name: 'large', deliveries, sessions: agedSessions(AGED_SESSION) });
  const { pool } = api.opened;
  const count = SEGMENTS * SEGMENT_MESSAGES;
  await pool.query(REPEAT);
  await pool.query(`UPDATE leases SET head = ${count}`);
  await pool.query(`UPDATE partition_bounds SET last_position = ${count}`);
  for (const format of EXPORT_FORMATS) {
    collectGarbage();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    let held = 0;
    let steps = 0;
    const onStep = (): void => {
      steps += 1;
      if (steps % 32 > 0) return;
      collectGarbage();
      const now = process.memoryUsage();
      held = Math.max(held, now.heapUsed - heapUsed + now.arrayBuffers - arrayBuffers);
    };
    const manifest = await runExport({
      opened: api.opened,
      plan: { ...toExportRange('large', {}), format, partMessages: count },
      path: `${folder.path}/${format}`,
      signal: new AbortController().signal,
      onStep,
    });
    assert.equal(manifest.messages.count, count);
    assert.ok(steps > 32, `${steps} steps`);
    assert.ok(held < HELD_BYTES_MAX, `${format} held ${Math.round(held / MEBIBYTE)} MiB`);
  }
});
