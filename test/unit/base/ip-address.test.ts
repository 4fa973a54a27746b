import assert from 'node:assert/strict';
import { isIPv6 } from 'node:net';
import test from 'node:test';
import {
  canonicalAddress,
  datagramHeaderBytes,
  endpointText,
  ipv6FromWords,
  ipv6Words,
  isIpv6,
  isMulticastGroup,
  isSourceSpecificGroup,
  needsZone,
  sourcesProblem,
  withoutZone,
} from '#base/mod.ts';
import * as fc from 'fast-check';

const CANONICAL: readonly (readonly [given: string, canonical: string])[] = [
  ['239.192.0.7', '239.192.0.7'],
  ['::', '::'],
  ['::1', '::1'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['FF15::1:0007', 'ff15::1:7'],
  ['ff15:0:0:0:0:0:1:7', 'ff15::1:7'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['ff15:0:0:1:0:0:0:7', 'ff15:0:0:1::7'],
  ['fe80:0:0:0:0:0:0:0', 'fe80::'],
  ['::ffff:192.0.2.1', '::ffff:c000:201'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
];

test('every text of an address has one canonical text', () => {
  for (const [given, canonical] of CANONICAL) assert.equal(canonicalAddress(given), canonical);
});

test('what is no address has no canonical text', () => {
  const wrong = ['', ':', ':::', '1::2::3', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '12345::', 'g::'];
  const odd = [
    '1.2.3.4::',
    '::1.2.3.4:1',
    '::1.2.3.256',
    'fe80::1%lo',
    '01.2.3.4',
    '1.2.3',
    '::1 ',
  ];
  for (const text of [...wrong, ...odd]) assert.equal(canonicalAddress(text), undefined, text);
});

test('a canonical text is read back as the words it was made of, as Node reads it too', () => {
  const words = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), {
    minLength: 8,
    maxLength: 8,
  });
  fc.assert(
    fc.property(words, (given) => {
      const text = ipv6FromWords(given);
      assert.deepEqual(ipv6Words(text), given);
      assert.equal(canonicalAddress(text), text);
      assert.ok(isIPv6(text), text);
    }),
  );
});

test('what is accepted as an IPv6 address is what Node accepts, zones aside', () => {
  const pieces = fc.constantFrom('', '0', '1', 'ff15', 'FFFF', '12345', '1.2.3.4', '1.2.3', 'g');
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 9 }), (parts) => {
      const text = parts.join(':');
      assert.equal(isIpv6(text), isIPv6(text), text);
    }),
    { numRuns: 2_000 },
  );
});

test('a multicast group is one by its first bits, and IPv6 only in its canonical text', () => {
  const groups = ['224.0.0.1', '239.255.255.255', 'ff02::1', 'ff15::1:7', 'ff35::8000:1'];
  for (const text of groups) assert.equal(isMulticastGroup(text), true, text);
  const others = [
    '223.255.255.255',
    '240.0.0.0',
    'fe80::1',
    'FF15::7',
    'ff15:0::7',
    'ff',
    'ffg::1',
  ];
  for (const text of others) assert.equal(isMulticastGroup(text), false, text);
});

test('groups for named sources are those of 232.0.0.0/8 and ff3x::/32', () => {
  for (const group of ['232.1.2.3', 'ff35::8000:1', 'ff3e::1'])
    assert.equal(isSourceSpecificGroup(group), true, group);
  for (const group of ['231.1.2.3', '239.232.0.1', 'ff15::1', 'ff35:1::1'])
    assert.equal(isSourceSpecificGroup(group), false, group);
});

test('addresses of one link or host need a zone, wider ones do not', () => {
  for (const address of ['fe80::1', 'febf::1', 'ff02::1', 'ff12::1', 'ff11::1', 'ff32::1'])
    assert.equal(needsZone(address), true, address);
  for (const address of ['fec0::1', '::1', 'fd00::1', 'ff15::1', 'ff05::2', '239.0.0.1'])
    assert.equal(needsZone(address), false, address);
  assert.equal(withoutZone('fe80::1%eth0'), 'fe80::1');
});

test('IPv6 takes 20 bytes more before each payload, and brackets before a port', () => {
  assert.deepEqual([datagramHeaderBytes('239.0.0.1'), datagramHeaderBytes('ff15::1')], [28, 48]);
  assert.equal(endpointText('239.0.0.1', 7), '239.0.0.1:7');
  assert.equal(endpointText('ff15::1', 7), '[ff15::1]:7');
});

test('sources are canonical addresses of hosts, of the family of the group', () => {
  assert.equal(sourcesProblem({ group: '239.0.0.1' }), undefined);
  assert.equal(sourcesProblem({ group: '239.0.0.1', sources: ['10.0.0.1'] }), undefined);
  assert.equal(sourcesProblem({ group: 'ff15::1', sources: ['fd00::1', '::1'] }), undefined);
  const wrong: readonly (readonly [group: string, source: string, problem: RegExp])[] = [
    ['239.0.0.1', 'gateway-7', /not the IP address of a host/],
    ['239.0.0.1', '239.0.0.2', /not the IP address of a host/],
    ['239.0.0.1', 'fd00::1', /no IPv4 address, but the group 239\.0\.0\.1 is/],
    ['ff15::1', '10.0.0.1', /no IPv6 address/],
    ['ff15::1', 'FD00::1', /is to be written fd00::1/],
  ];
  for (const [group, source, problem] of wrong)
    assert.match(sourcesProblem({ group, sources: [source] }) ?? '', problem);
});
