import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { openRegistry, POOL_DEFAULT } from '#registry/mod.ts';
import { createTestFolder } from '#test/support/folder.ts';

test('a fixed channel has canonical addresses, however the configuration writes them', async () => {
  await using folder = await createTestFolder();
  const plain = { port: 7_600, dport: 7_500, framing: 'native' } as const;
  await using registry = await openRegistry({
    home: join(folder.path, 'home'),
    registry: { kind: 'file', prefix: '', leaseMs: 30_000, pool: POOL_DEFAULT },
    channels: [
      { name: 'plain', group: 'FF15:0::7', ...plain },
      { name: 'picky', group: 'ff15::8', sources: ['FD00:0::1', '::1'], ...plain },
    ],
  });
  assert.deepEqual(await registry.resolve('plain'), { group: 'ff15::7', ...plain });
  const sources = ['fd00::1', '::1'];
  assert.deepEqual(await registry.resolve('picky'), { group: 'ff15::8', sources, ...plain });
});
