// What a receiver told comes back from the spool as it was.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { sessionFromWords } from '#base/mod.ts';
import { readSpooledEvent, type SpooledEvent, writeSpooledEvent } from '#ingest/spool/mod.ts';

const NUMBER = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const SESSION = fc
  .tuple(fc.nat(0x7fff_ffff), fc.integer({ min: 1, max: 0xffff_ffff }))
  .map(([high, low]) => sessionFromWords(high, low));

const MESSAGES = fc.record({
  kind: fc.constant('messages' as const),
  session: SESSION,
  firstSequence: NUMBER,
  lastSequence: NUMBER,
  messageCount: fc.nat(0xffff_ffff),
  bytes: fc.uint8Array({ minLength: 8, maxLength: 600 }),
  start: fc.nat(4),
  end: fc.integer({ min: 4, max: 8 }),
  nextSqn: NUMBER,
});

const OTHER = fc.oneof(
  fc.record({
    kind: fc.constant('opened' as const),
    session: SESSION,
    tsi: fc.string(),
    isForeign: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('source' as const),
    session: SESSION,
    source: fc.string({ unit: 'binary' }),
  }),
  fc.record({ kind: fc.constant('lead' as const), session: SESSION, sequence: NUMBER }),
  fc.record({
    kind: fc.constant('lost' as const),
    session: SESSION,
    firstSequence: NUMBER,
    lastSequence: NUMBER,
    cause: fc.constantFrom('repair_expired' as const, 'source_gone' as const),
    nextSqn: NUMBER,
  }),
  fc.record({
    kind: fc.constant('closed' as const),
    session: SESSION,
    cause: fc.constantFrom('fin' as const, 'expired' as const),
  }),
);

const IDENTITY = fc.record({
  tsi: fc.stringMatching(/^[0-9a-f]{12}\.[0-9]{1,5}$/),
  isForeign: fc.boolean(),
});

test('blocks of messages come back byte for byte', () => {
  fc.assert(
    fc.property(MESSAGES, NUMBER, IDENTITY, (event, heardAtUs, identity) => {
      const back = readSpooledEvent(writeSpooledEvent({ event, heardAtUs, identity }));
      assert.deepEqual(back.identity, { ...identity });
      assert.ok(back.event.kind === 'messages');
      const { bytes, start, end, ...rest } = back.event;
      const { bytes: givenBytes, start: givenStart, end: givenEnd, ...given } = event;
      assert.deepEqual(rest, given);
      assert.equal(back.heardAtUs, heardAtUs);
      assert.deepEqual(
        new Uint8Array(bytes.subarray(start, end)),
        givenBytes.subarray(givenStart, givenEnd),
      );
    }),
  );
});

test('everything else comes back as it was', () => {
  fc.assert(
    fc.property(OTHER, NUMBER, IDENTITY, (event, heardAtUs, identity) => {
      const told: SpooledEvent = { event, heardAtUs, identity };
      const back = readSpooledEvent(writeSpooledEvent(told));
      assert.deepEqual({ ...back.event }, { ...event });
      assert.equal(back.heardAtUs, heardAtUs);
      assert.deepEqual(back.identity, { ...identity });
    }),
  );
});
