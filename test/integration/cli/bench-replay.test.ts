// `bench replay` as a user runs it, small: that it measures what it says, not how fast this machine
// is.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runBackcast } from '#test/support/cli.ts';
import { createTestDatabase } from '#test/support/postgres.ts';

interface Result {
  readonly messages: number;
  readonly steps: readonly {
    readonly storedMessages: number;
    readonly rates: readonly {
      readonly form: string;
      readonly messagesPerSecond: number;
      readonly firstMessageMs: number | null;
    }[];
    readonly pageMsP50: number;
    readonly pageMsP99: number;
  }[];
}

test('bench replay prints what it measured as one JSON object', { timeout: 120_000 }, async () => {
  await using created = await createTestDatabase();
  const size = ['--messages', '20000', '--size', '64', '--pages', '20'];
  const place = ['--database-url', created.url, '--stored', '30000,60000'];
  const command = ['bench', 'replay', '--json', ...size, ...place];
  const { end, stdout, stderr } = await runBackcast(command);
  assert.equal(end, 0, stderr);
  const { messages, steps } = JSON.parse(stdout) as Result;
  assert.equal(messages, 20_000);
  assert.equal(steps.length, 2);
  assert.ok(steps[0].storedMessages >= 40_000 && steps[1].storedMessages >= 60_000);
  for (const { rates, pageMsP50, pageMsP99 } of steps) {
    assert.deepEqual(
      rates.map(({ form }) => form),
      ['copy', 'segments', 'ndjson'],
    );
    assert.ok(rates.every(({ messagesPerSecond }) => messagesPerSecond > 0));
    assert.ok(
      rates.every(({ form, firstMessageMs }) => (form === 'copy') === (firstMessageMs === null)),
    );
    assert.ok(pageMsP50 > 0 && pageMsP50 <= pageMsP99);
  }
});
