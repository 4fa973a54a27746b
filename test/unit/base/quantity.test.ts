import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatDuration, formatSize, parseDuration, parseSize } from '#base/mod.ts';

test('durations are whole hours, days, weeks or years', () => {
  assert.equal(parseDuration('36h'), 36 * 3_600_000);
  assert.equal(parseDuration('30d'), 30 * 86_400_000);
  assert.equal(parseDuration('4w'), 28 * 86_400_000);
  assert.equal(parseDuration('1y'), 365 * 86_400_000);
  for (const text of ['', '0d', '30', 'd', '1.5d', '-1d', '30D', '30 d', '30m', '123456d'])
    assert.equal(parseDuration(text), undefined, text);
});

test('sizes are whole megabytes or more, by 1000 or by 1024', () => {
  assert.equal(parseSize('500MB'), 500_000_000);
  assert.equal(parseSize('1GiB'), 2 ** 30);
  assert.equal(parseSize('2TB'), 2e12);
  for (const text of ['', '0MB', '5', '5kB', '1.5GB', '5 GB', '5gb', 'GB', '1234567GB'])
    assert.equal(parseSize(text), undefined, text);
});

test('what is parsed is written the same, or in a larger unit', () => {
  for (const text of ['36h', '30d', '2y']) {
    assert.equal(formatDuration(parseDuration(text) ?? 0), text);
  }
  assert.equal(formatDuration(48 * 3_600_000), '2d');
  for (const text of ['500MB', '100GB', '2TiB', '64GiB']) {
    assert.equal(formatSize(parseSize(text) ?? 0), text);
  }
  assert.equal(formatSize(1_234_567_890), '1.2GB');
  assert.equal(formatSize(999), '999B');
});
