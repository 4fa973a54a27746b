import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hasRetention, loadConfig, retentionOf } from '#config/mod.ts';
import { createTestFolder } from '#test/support/folder.ts';

const GIGABYTE = 1_000_000_000;
const DAY_MS = 86_400_000;

async function load(yaml: string): Promise<ReturnType<typeof loadConfig>['retention']> {
  await using folder = await createTestFolder();
  writeFileSync(join(folder.path, 'backcast.yaml'), yaml);
  return loadConfig({ cwd: folder.path, env: {} }).retention;
}

test('without settings everything is kept', async () => {
  const retention = await load('{}');
  assert.equal(hasRetention(retention), false);
  assert.deepEqual(retentionOf(retention, 'orders'), {});
});

test('the first rule that matches counts, and leaves the rest to the default', async () => {
  const retention = await load(`
retention:
  age: 30d
  bytes: 100GB
  channels:
    - { name: orders.audit, age: forever, bytes: unlimited }
    - { name: 'orders.*', age: 1y }
    - { name: ticks, bytes: 5GB }
`);
  assert.equal(hasRetention(retention), true);
  assert.deepEqual(retentionOf(retention, 'orders.audit'), {});
  assert.deepEqual(retentionOf(retention, 'orders.eu'), {
    ageMs: 365 * DAY_MS,
    bytesMax: 100 * GIGABYTE,
  });
  assert.deepEqual(retentionOf(retention, 'ticks'), { ageMs: 30 * DAY_MS, bytesMax: 5 * GIGABYTE });
  assert.deepEqual(retentionOf(retention, 'trades'), {
    ageMs: 30 * DAY_MS,
    bytesMax: 100 * GIGABYTE,
  });
});

test('what is no duration and no size is refused with its place', async () => {
  const invalid = { code: 'BACKCAST_CONFIG_INVALID' };
  await assert.rejects(load('retention: { age: 30 days }'), invalid);
  await assert.rejects(load('retention: { bytes: 100 }'), invalid);
  await assert.rejects(load("retention: { channels: [{ name: 'a', age: 0d }] }"), invalid);
  await assert.rejects(load('retention: { channels: [{ age: 1d }] }'), invalid);
});
