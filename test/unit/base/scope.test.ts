import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allowsAdmin, allowsChannel, parseScope, patternsOf, scopeText } from '#base/mod.ts';

test('a scope is read back as it was written', () => {
  for (const text of ['read:*', 'read:orders.*', 'export:a-b_c.D9', 'admin'])
    assert.equal(scopeText(parseScope(text) ?? { kind: 'admin' }), text);
});

const NONE = [
  '',
  'read',
  'read:',
  'read: orders',
  'Read:orders',
  'read:a/b',
  'read:a%',
  'write:orders',
  'admin:*',
  ' admin',
  'read:a\n',
  `read:${'x'.repeat(129)}`,
];

for (const text of NONE)
  test(`${JSON.stringify(text)} is no scope`, () => assert.equal(parseScope(text), undefined));

test('a scope gives its own right on the channels of its pattern and nothing else', () => {
  const scopes = ['read:orders.*', 'export:trades'].flatMap((text) => parseScope(text) ?? []);
  assert.ok(allowsChannel(scopes, 'read', 'orders.eu'));
  assert.ok(!allowsChannel(scopes, 'read', 'ordersxeu'), 'a point is a point');
  assert.ok(!allowsChannel(scopes, 'read', 'trades'));
  assert.ok(allowsChannel(scopes, 'export', 'trades'));
  assert.ok(!allowsChannel(scopes, 'export', 'orders.eu'));
  assert.ok(!allowsAdmin(scopes));
  assert.deepEqual(patternsOf(scopes, 'read'), ['orders.*']);
});

test('admin gives no right on any channel', () => {
  assert.ok(allowsAdmin([{ kind: 'admin' }]));
  assert.ok(!allowsChannel([{ kind: 'admin' }], 'read', 'orders'));
  assert.ok(!allowsChannel([{ kind: 'admin' }], 'export', 'orders'));
});
