import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalAddress } from '#base/mod.ts';
import {
  allocate,
  parsePool,
  poolHolds,
  slotAddress,
  POOL_DEFAULT,
  type PoolOptions,
} from '#registry/mod.ts';

const SMALL: PoolOptions = { groups: ['239.1.0.0/30'], ports: [5000, 5003], dport: 7500 };

function pool(changes: Partial<PoolOptions>): ReturnType<typeof parsePool> {
  return parsePool({ ...SMALL, ...changes });
}

test('the default pool has room for 4,096 channels', () => {
  assert.equal(parsePool(POOL_DEFAULT).slotCount, 4_096);
});

test('a slot pairs the n-th group with the n-th port', () => {
  const mixed = pool({
    groups: ['239.1.0.255-239.1.1.0', '239.9.9.9', '239.2.0.0/31'],
    ports: [100, 104],
  });
  const groups = [0, 1, 2, 3, 4].map((slot) => slotAddress(mixed, slot, 'native').group);
  assert.deepEqual(groups, ['239.1.0.255', '239.1.1.0', '239.9.9.9', '239.2.0.0', '239.2.0.1']);
  assert.equal(slotAddress(mixed, 4, 'native').port, 104);
});

test('the smaller of groups and ports bounds the pool', () => {
  assert.equal(pool({ ports: [5000, 5001] }).slotCount, 2);
  assert.equal(pool({ ports: [5000, 5999] }).slotCount, 4);
  assert.equal(pool({ groups: ['234.0.0.0/7'], ports: [1, 65_535] }).slotCount, 65_535);
});

test('an IPv6 pool hands out canonical texts, whatever the number leaves to be left out', () => {
  const pools: readonly (readonly [entry: string, first: string, second: string])[] = [
    ['ff15::1:0/112', 'ff15::1:0', 'ff15::1:1'],
    ['FF15:0::/112', 'ff15::', 'ff15::1'],
    ['ff15:0:0:1:2::/112', 'ff15:0:0:1:2::', 'ff15::1:2:0:0:1'],
    ['ff15:1:2:3:4:5:6:0/112', 'ff15:1:2:3:4:5:6:0', 'ff15:1:2:3:4:5:6:1'],
    ['ff15::fffe-ff15::ffff', 'ff15::fffe', 'ff15::ffff'],
  ];
  for (const [entry, first, second] of pools) {
    const ipv6 = pool({ groups: [entry], ports: [1, 65_535] });
    const groups = [0, 1].map((slot) => slotAddress(ipv6, slot, 'native').group);
    assert.deepEqual(groups, [first, second]);
    for (let slot = 0; slot < Math.min(ipv6.slotCount, 300); slot += 1) {
      const address = slotAddress(ipv6, slot, 'native');
      assert.equal(canonicalAddress(address.group), address.group);
      assert.ok(poolHolds(ipv6, address), address.group);
    }
    assert.ok(!poolHolds(ipv6, { ...slotAddress(ipv6, 0, 'native'), group: 'ff15::2:1' }));
    assert.ok(!poolHolds(ipv6, { ...slotAddress(ipv6, 0, 'native'), group: '239.0.0.1' }));
  }
});

test('groups of both kinds may stand in one pool', () => {
  const both = pool({ groups: ['ff15::1:8/127', '239.1.0.0/31'] });
  const groups = [0, 1, 2, 3].map((slot) => slotAddress(both, slot, 'native').group);
  assert.deepEqual(groups, ['ff15::1:8', 'ff15::1:9', '239.1.0.0', '239.1.0.1']);
});

test('a pool holds its own slots and nothing beside them', () => {
  const inside = slotAddress(pool({}), 3, 'raw');
  assert.ok(poolHolds(pool({}), inside));
  assert.ok(!poolHolds(pool({}), { ...inside, group: '239.1.0.4' }));
  assert.ok(!poolHolds(pool({}), { ...inside, port: 5004 }));
  assert.ok(!poolHolds(pool({}), { ...inside, port: 4999 }));
});

test('a taken group or a taken port is enough to pass a slot over', () => {
  const taken = [
    { group: '239.1.0.0', port: 1 },
    { group: '1.2.3.4', port: 5001 },
    { group: undefined, port: '5003' },
  ];
  const first = allocate(pool({}), { name: 'a', framing: 'native' }, taken);
  assert.ok(first !== undefined);
  const second = allocate(pool({}), { name: 'b', framing: 'native' }, [...taken, first]);
  assert.deepEqual(new Set([first.port, second?.port]), new Set([5002, 5003]));
  assert.ok(second !== undefined);
  const third = allocate(pool({}), { name: 'c', framing: 'native' }, [...taken, first, second]);
  assert.equal(third, undefined);
});

test('the dport of a channel is that of the pool, except that ZeroMQ wants the UDP port', () => {
  for (const framing of ['native', 'raw', 'zmq'] as const) {
    const address = allocate(pool({}), { name: 'a', framing }, []);
    assert.ok(address !== undefined);
    assert.equal(address.dport, framing === 'zmq' ? address.port : SMALL.dport);
  }
});

const WRONG: readonly [string, Partial<PoolOptions>, RegExp][] = [
  ['a unicast group', { groups: ['10.0.0.1'] }, /"10\.0\.0\.1"/],
  [
    'a block that does not begin at its boundary',
    { groups: ['239.1.0.1/30'] },
    /"239\.1\.0\.1\/30"/,
  ],
  ['a prefix that is too long', { groups: ['239.1.0.0/33'] }, /"239\.1\.0\.0\/33"/],
  ['a range that ends before it begins', { groups: ['239.1.0.2-239.1.0.1'] }, /239\.1\.0\.2-/],
  ['three addresses in a range', { groups: ['239.1.0.1-239.1.0.2-239.1.0.3'] }, /239\.1\.0\.3/],
  ['a name instead of an address', { groups: ['localhost'] }, /"localhost"/],
  ['link-local groups', { groups: ['224.0.0.0/24'] }, /routing protocols/],
  ['all of multicast, for the same reason', { groups: ['224.0.0.0/4'] }, /routing protocols/],
  ['groups that overlap', { groups: ['239.1.0.0/24', '239.1.0.7'] }, /overlap/],
  ['a range over both kinds', { groups: ['239.1.0.1-ff15::1'] }, /"239\.1\.0\.1-ff15::1"/],
  ['IPv6 groups that differ in more than 16 bits', { groups: ['ff15::/96'] }, /last 16 bits/],
  ['a range over two blocks', { groups: ['ff15::1:ffff-ff15::2:1'] }, /last 16 bits/],
  ['a unicast IPv6 address', { groups: ['fd00::/112'] }, /"fd00::\/112"/],
  ['an IPv6 prefix that is too long', { groups: ['ff15::/129'] }, /"ff15::\/129"/],
  ['IPv6 groups that overlap', { groups: ['ff15::/120', 'FF15::0:7'] }, /overlap/],
  ['assigned IPv6 groups', { groups: ['ff02::/112'] }, /ff00::\/12/],
  ['groups for named sources', { groups: ['232.1.0.0/24'] }, /must name their sources/],
  ['a range across those', { groups: ['231.0.0.0-233.0.0.0'] }, /must name their sources/],
  ['IPv6 groups for named sources', { groups: ['ff35::1:0/112'] }, /must name their sources/],
  ['no group', { groups: [] }, /groups is empty/],
  ['port 0', { ports: [0, 10] }, /ports \[0, 10\]/],
  ['ports the wrong way round', { ports: [10, 9] }, /ports \[10, 9\]/],
  ['half a port', { ports: [1.5, 9] }, /ports/],
  ['a dport beyond 16 bits', { dport: 65_536 }, /dport 65536/],
];

for (const [what, changes, message] of WRONG)
  test(`${what} is refused by name`, () => {
    assert.throws(() => pool(changes), { code: 'BACKCAST_CONFIG_INVALID', message });
  });
