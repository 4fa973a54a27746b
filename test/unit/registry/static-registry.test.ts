// Channels with a fixed address and, for unicast delivery, with fixed members.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ChannelMember, openFileRegistry, openStaticRegistry } from '#registry/mod.ts';
import { createTestFolder } from '#test/support/folder.ts';

const PLACE = { group: '239.9.9.9', port: 9_999, dport: 7_500, framing: 'native' } as const;
const UNICAST = { ...PLACE, delivery: 'unicast' } as const;
const LISTED = [
  { address: '10.0.0.1', port: 7_601 },
  { address: '10.0.0.2', port: 7_601 },
];

function member(changes: Partial<ChannelMember> = {}): ChannelMember {
  const id = '0123456789abcdef';
  return { channel: 'fixed', id, host: 'host', joinedAtUs: 1, ...LISTED[0], ...changes };
}

test('fixed members are the members, in their order, and stay for ever', async () => {
  const channels = new Map([['fixed', { ...UNICAST, members: LISTED }]]);
  await using registry = openStaticRegistry(channels);
  assert.deepEqual(await registry.resolve('fixed', { delivery: 'unicast' }), UNICAST);
  await registry.join(member());
  await registry.leave('fixed', member().id);
  const leases = await registry.members('fixed');
  assert.deepEqual(
    leases.map(({ member: { address, port } }) => ({ address, port })),
    LISTED,
  );
  assert.ok(leases.every(({ remainingMs }) => remainingMs === Number.POSITIVE_INFINITY));
  assert.equal(new Set(leases.map((lease) => lease.member.id)).size, 2);
});

test('who is not in a fixed list cannot join, and the error says what to do', async () => {
  const channels = new Map([['fixed', { ...UNICAST, members: LISTED }]]);
  await using registry = openStaticRegistry(channels);
  for (const changes of [{ port: 7_602 }, { address: '10.0.0.3' }])
    await assert.rejects(registry.join(member(changes)), {
      code: 'BACKCAST_CONFIG_INVALID',
      message: /is none of the members of channel "fixed": add it to `members`.*`unicast\.ports`/,
    });
});

test('a channel without fixed members has those of the registry beneath', async () => {
  await using folder = await createTestFolder();
  const beneath = openFileRegistry({ path: join(folder.path, 'registry.json') });
  await using registry = openStaticRegistry(new Map([['fixed', UNICAST]]), beneath);
  await registry.join(member());
  const [lease] = await registry.members('fixed');
  assert.deepEqual(lease.member, member());
  assert.equal((await registry.reconcile()).renewedMemberCount, 1);
  await registry.leave('fixed', member().id);
  const [left] = await registry.members('fixed');
  assert.notEqual(left.member.leftAtUs, undefined);
});

test('a fixed channel keeps its delivery', async () => {
  await using registry = openStaticRegistry(new Map([['fixed', PLACE]]));
  assert.deepEqual(await registry.resolve('fixed'), PLACE);
  await assert.rejects(registry.resolve('fixed', { delivery: 'unicast' }), {
    code: 'BACKCAST_REGISTRY_INVALID',
  });
});
