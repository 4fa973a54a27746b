// The database away under load for as long as one likes:
//
//   node test/soak/outage.ts [--minutes 15] [--rate 20000]

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mebibytes, runOutage } from '#test/support/outage-run.ts';
import { soakOptions } from '#test/support/soak-options.ts';

const options = soakOptions('Takes the database away from an archiver under load.', {
  minutes: [15, 'how long the database is away'],
  rate: [20_000, 'messages a second'],
});
const messagesPerSec = options.rate;
const awayMs = options.minutes * 60_000;
/** Beside its payload a message takes less than this in the spool. */
const SPOOL_BYTES_A_MESSAGE = 300;
const MEMORY_BYTES_MAX = 512 * 1_048_576;

test(`${options.minutes} min without database, ${messagesPerSec} messages a second`, async (t) => {
  const spooledBytes = (messagesPerSec * awayMs * SPOOL_BYTES_A_MESSAGE) / 1_000;
  const result = await runOutage({
    awayMs,
    messagesPerSec,
    spoolBytesMax: Math.max(1_073_741_824, spooledBytes),
    onSample: (line) => t.diagnostic(line),
  });
  const { messageCount, residentBytesMost, spoolBytesMost, drainedPerSec } = result;
  t.diagnostic(`${messageCount} messages, none lost`);
  t.diagnostic(`memory ${mebibytes(residentBytesMost)}, spool ${mebibytes(spoolBytesMost)}`);
  assert.ok(residentBytesMost <= MEMORY_BYTES_MAX);
  assert.ok(drainedPerSec >= 3 * messagesPerSec);
});
