// The database gone for a minute under 20,000 messages a second, longer than the publisher could
// help out: its window holds half of that. `node test/soak/outage.ts` lets it be away for as long
// as one likes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runOutage } from '#test/support/outage-run.ts';
import { inFull } from '#test/support/thoroughness.ts';

const AWAY_MS = inFull(60_000, 10_000);
const MESSAGES_PER_SEC = 20_000;
const MEMORY_BYTES_MAX = 512 * 1_048_576;

test(`${AWAY_MS / 1_000} s without the database cost nothing and are made up for`, async () => {
  const { messageCount, residentBytesMost, spoolBytesMost, drainedPerSec } = await runOutage({
    awayMs: AWAY_MS,
    messagesPerSec: MESSAGES_PER_SEC,
    spoolBytesMax: 2 * 1_073_741_824,
  });
  assert.ok(messageCount > (MESSAGES_PER_SEC * AWAY_MS) / 1_000 / 2, `${messageCount} messages`);
  assert.ok(spoolBytesMost > 0);
  assert.ok(residentBytesMost <= MEMORY_BYTES_MAX, `${residentBytesMost} bytes of memory`);
  assert.ok(drainedPerSec >= 3 * MESSAGES_PER_SEC, `${drainedPerSec} messages a second`);
});
