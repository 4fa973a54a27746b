import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exportProgress, progressText } from '#cli/export-progress.ts';

const START = { messages: 1_000, bytes: 10, done: 1_000, total: 100_000 };

test('a rate and the time that is left come from what was done since the beginning', () => {
  const step = { messages: 21_000, bytes: 2_000_000, done: 21_000, total: 100_000 };
  assert.equal(
    progressText(START, step, 2_000),
    '21000 messages, 2MB, 21 %, 10000 messages/s, 8 s left',
  );
  assert.match(progressText(START, { ...step, total: 3_000_000 }, 2_000), /4 min 58 s left$/);
  assert.match(progressText(START, { ...step, total: 90_000_000 }, 2_000), /2 h 29 min left$/);
});

test('without time or progress nothing is foretold', () => {
  assert.equal(progressText(START, START, 0), '1000 messages, 10B, 1 %');
  assert.equal(progressText(START, { ...START, total: 0 }, 50), '1000 messages, 10B, 100 %');
});

test('a terminal is written to at intervals, and anything else never', () => {
  const written: string[] = [];
  const terminal = { isTTY: true, write: (text: string) => written.push(text) };
  const line = exportProgress(terminal);
  for (let nowMs = 0; nowMs < 1_000; nowMs += 10) line.show(START, nowMs);
  assert.equal(written.length, 5);
  line.clear();
  assert.equal(written.at(-1), '\r\u001b[2K');
  const silent = exportProgress({ write: () => assert.fail('no terminal') });
  silent.show(START, 0);
  silent.clear();
});
