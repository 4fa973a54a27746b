import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMemberAddress } from '#base/mod.ts';

test('a member is an address of one host and a port', () => {
  assert.deepEqual(parseMemberAddress('10.0.0.1:7600'), { address: '10.0.0.1', port: 7_600 });
  assert.deepEqual(parseMemberAddress('[FD77:0::1]:1'), { address: 'fd77::1', port: 1 });
});

for (const text of [
  '',
  '10.0.0.1',
  '10.0.0.1:',
  '10.0.0.1:0',
  '10.0.0.1:65536',
  '10.0.0.1:7600:1',
  '10.0.0.01:7600',
  '239.1.2.3:7600',
  '255.255.255.255:7600',
  'host:7600',
  'fd77::1:7600',
  '[ff15::1]:7600',
  '[::]:7600',
  '[fe80::7%eth0]:7600',
])
  test(`${JSON.stringify(text)} names no member`, () => {
    assert.equal(parseMemberAddress(text), undefined);
  });
