import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressOf, outcomeOf, describeError, renderTable } from '#cli/mod.ts';
import { BackcastError } from '#base/mod.ts';

interface Row {
  readonly name: string;
  readonly count?: number;
}

const COLUMNS = [
  { title: 'NAME', cell: ({ name }: Row) => name },
  { title: 'COUNT', cell: ({ count }: Row) => count },
];

test('columns are as wide as their widest cell, and numbers stand to the right', () => {
  const rows = [{ name: 'a', count: 1_000_000 }, { name: 'longer-name', count: 7 }, { name: 'b' }];
  assert.equal(
    renderTable(COLUMNS, rows),
    'NAME           COUNT\na            1000000\nlonger-name        7\nb                  -\n',
  );
});

test('a table without rows is its titles', () => {
  assert.equal(renderTable(COLUMNS, []), 'NAME  COUNT\n');
});

test('a name cannot move the cursor of the terminal', () => {
  const shown = renderTable(COLUMNS, [{ name: 'a\u001B[2J\nb\u202E', count: 1 }]);
  assert.equal(shown.split('\n').length, 3);
  assert.match(shown, /^a·\[2J·b· /m);
});

test('an error is one line with its code', () => {
  const error = new BackcastError('BACKCAST_USAGE', 'do it so');
  assert.equal(describeError(error, false), 'backcast: do it so (BACKCAST_USAGE)\n');
});

test('--verbose shows the chain of causes', () => {
  const cause = new Error('outer', { cause: new Error('inner', { cause: 'text' }) });
  const text = describeError(new BackcastError('BACKCAST_USAGE', 'top', { cause }), true);
  assert.match(text, /^backcast: top .*caused by: Error: outer.*caused by: Error: inner.*"text"/s);
});

test('what is no BackcastError is a bug and says how to see more', () => {
  assert.match(
    describeError(new TypeError('x'), false),
    /^backcast: x; --verbose .*\(BACKCAST_INTERNAL\)\n$/,
  );
  assert.match(describeError('thrown text', false), /^backcast: thrown text; /);
  assert.match(describeError(new Error(''), false), /^backcast: Error; /);
});

test('wrong usage and wrong configuration have an exit code of their own', () => {
  assert.equal(outcomeOf(new BackcastError('BACKCAST_CONFIG_INVALID', '')), 'usage');
  assert.equal(outcomeOf(new BackcastError('BACKCAST_RANGE_INVERTED', '')), 'usage');
  assert.equal(outcomeOf(new BackcastError('BACKCAST_CHANNEL_UNKNOWN', '')), 'failure');
  assert.equal(outcomeOf(new Error('x')), 'failure');
});

test('an address by hand has a group and a port, and the rest by default', () => {
  assert.deepEqual(addressOf({ group: '239.1.2.3:7600' }), {
    group: '239.1.2.3',
    port: 7_600,
    dport: 7_500,
    framing: 'native',
  });
  assert.deepEqual(addressOf({ group: '239.1.2.3:1', dport: 9, framing: 'raw' }), {
    group: '239.1.2.3',
    port: 1,
    dport: 9,
    framing: 'raw',
  });
  assert.equal(addressOf({}), undefined);
});

for (const options of [
  { group: '10.0.0.1:7600' },
  { group: '239.1.2.3' },
  { group: '239.1.2.3:' },
  { group: '239.1.2.3:0' },
  { group: '239.1.2.3:65536' },
  { group: '239.1.2.3:1:2' },
  { group: '239.1.2.3:7e3' },
  { group: '239.1.2.3:1', dport: 65_536 },
  { dport: 7_500 },
])
  test(`the address ${JSON.stringify(options)} is wrong usage`, () => {
    assert.throws(() => addressOf(options), { code: 'BACKCAST_USAGE' });
  });
