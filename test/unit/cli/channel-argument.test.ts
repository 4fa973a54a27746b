import assert from 'node:assert/strict';
import test from 'node:test';
import { addressOf, withSources } from '#cli/channel-argument.ts';

const GIVEN = { port: 7_600, dport: 7_500, framing: 'native' } as const;

test('a group is given with its port, an IPv6 one in brackets and in any text', () => {
  assert.deepEqual(addressOf({ group: '239.10.0.7:7600' }), { ...GIVEN, group: '239.10.0.7' });
  assert.deepEqual(addressOf({ group: '[FF15:0::7]:7600' }), { ...GIVEN, group: 'ff15::7' });
  assert.equal(addressOf({}), undefined);
});

for (const group of [
  '239.10.0.7',
  '239.10.0.7:0',
  '239.10.0.7:99999',
  '10.0.0.1:7600',
  'ff15::7:7600',
  '[ff15::7]',
  '[fd00::7]:7600',
  '[239.10.0.7:7600',
  '[ff15::7%eth0]:7600',
])
  test(`the group ${group} is refused with an example of each kind`, () => {
    assert.throws(() => addressOf({ group }), {
      code: 'BACKCAST_USAGE',
      message: /239\.192\.0\.7:7600 or \[ff15::7\]:7600/,
    });
  });

test('sources are a list of addresses of the family of the group', () => {
  const ipv4 = { ...GIVEN, group: '232.10.0.7' };
  const ipv6 = { ...GIVEN, group: 'ff35::7' };
  assert.equal(withSources(ipv4, undefined), ipv4);
  assert.deepEqual(withSources(ipv4, '10.0.0.1, 10.0.0.2').sources, ['10.0.0.1', '10.0.0.2']);
  assert.deepEqual(withSources(ipv6, 'FD00::1').sources, ['fd00::1']);
  for (const [address, list] of [
    [ipv4, 'fd00::1'],
    [ipv6, '10.0.0.1'],
    [ipv4, 'gateway-7'],
    [ipv4, ''],
  ] as const)
    assert.throws(() => withSources(address, list), {
      code: 'BACKCAST_USAGE',
      message: /^--sources: source /,
    });
});
