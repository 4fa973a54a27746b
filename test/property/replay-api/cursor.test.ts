// A cursor gives back exactly the question that it was made of, on its channel only, and anything
// else is refused as no cursor rather than understood as some other question.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { MessageRequest } from '#archive/mod.ts';
import { BackcastError, type SessionId } from '#base/mod.ts';
import { fromCursor, toCursor } from '#replay-api/message-cursor.ts';

const count = fc.option(fc.maxSafeNat(), { nil: undefined });
const instant = fc.option(fc.maxSafeInteger(), { nil: undefined });
const order = fc.constantFrom('asc' as const, 'desc' as const);
const request: fc.Arbitrary<MessageRequest> = fc.oneof(
  fc.record({
    kind: fc.constant('positions' as const),
    after: count,
    before: count,
    publishedFromUs: instant,
    publishedToUs: instant,
    archivedFromUs: instant,
    archivedToUs: instant,
    seenThrough: count,
    order,
  }),
  fc.record({
    kind: fc.constant('sequences' as const),
    session: fc.constant('00000000000000aa' as SessionId),
    first: count,
    last: count,
    order,
  }),
);
const channel = fc.stringMatching(/^[A-Za-z0-9._-]{1,128}$/);

function isRefused(ofChannel: string, cursor: string): boolean {
  try {
    fromCursor(ofChannel, cursor);
    return false;
  } catch (error) {
    return error instanceof BackcastError && error.code === 'BACKCAST_CURSOR_INVALID';
  }
}

test('a cursor gives back the question, in a text that the contract takes', () => {
  fc.assert(
    fc.property(channel, request, (name, wanted) => {
      const cursor = toCursor(name, wanted);
      assert.match(cursor, /^[A-Za-z0-9_-]{16,512}$/);
      assert.deepEqual(fromCursor(name, cursor), { ...wanted });
    }),
  );
});

test('a cursor of one channel is refused on every other', () => {
  fc.assert(
    fc.property(channel, channel, request, (name, other, wanted) => {
      fc.pre(name !== other);
      assert.ok(isRefused(other, toCursor(name, wanted)));
    }),
  );
});

test('what is made to look like a cursor is refused, whatever it holds', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const check = createHash('sha256').update(text).digest().subarray(0, 6);
      const forged = Buffer.concat([check, Buffer.from(text)]).toString('base64url');
      assert.ok(isRefused('orders', forged));
      assert.ok(isRefused('orders', Buffer.from(text).toString('base64url')));
    }),
  );
});
