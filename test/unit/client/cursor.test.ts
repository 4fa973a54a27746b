import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SessionId } from '#base/mod.ts';
import { type CursorPlace, cursorText, parseCursor } from '#client/cursor.ts';

const SESSION = '5f0c9d2ab8e17346' as SessionId;
const OVER = '5f0c9d2ab8e17347' as SessionId;
const INVALID = { code: 'BACKCAST_CURSOR_INVALID' };

const PLACE: CursorPlace = { position: 1, begin: 'one', nexts: new Map(), ended: new Set() };

function forged(content: unknown): string {
  return `bc1.${Buffer.from(JSON.stringify(content)).toString('base64url')}`;
}

test('a cursor says what went into it', () => {
  for (const position of [undefined, 0, 17, Number.MAX_SAFE_INTEGER]) {
    for (const begin of ['one', 'archive', 'heard'] as const) {
      const nexts = new Map([
        [SESSION, 9],
        [OVER, 3],
      ]);
      const place = { position, begin, nexts, ended: new Set([OVER]) };
      assert.deepEqual(parseCursor('orders', cursorText('orders', place)), place);
    }
  }
});

test('a cursor is good for its channel alone, and says for which', () => {
  const text = cursorText('orders', PLACE);
  assert.throws(() => parseCursor('ticks', text), { ...INVALID, message: /"orders".*"ticks"/ });
});

test('what is no cursor is refused, whatever it is', () => {
  const whole = cursorText('orders', { ...PLACE, nexts: new Map([[SESSION, 2]]) });
  const texts = ['', 'bc1.', 'bc2.e30', '17', whole.slice(0, 20), whole.slice(4), `${whole}=x`];
  const contents = [
    {},
    null,
    ['orders'],
    ['orders', -1, 'one', []],
    ['orders', 1.5, 'one', []],
    ['orders', 1, 'two', []],
    ['orders', 1, 'one', {}],
    ['orders', 1, 'one', [[SESSION]]],
    ['orders', 1, 'one', [[SESSION, 0]]],
    ['orders', 1, 'one', [[SESSION, 1, 0]]],
    ['orders', 1, 'one', [[SESSION, 1, 1, 1]]],
    ['orders', 1, 'one', [['0000000000000000', 1]]],
    ['orders', 1, 'one', [], 'more'],
    [7, 1, 'one', []],
  ];
  for (const text of [...texts, ...contents.map(forged)]) {
    if (text === `${whole}=x`) continue;
    assert.throws(() => parseCursor('orders', text), INVALID, text);
  }
});
