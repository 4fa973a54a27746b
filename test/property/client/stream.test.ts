// What is encoded comes back, however the stream is cut on its way; and whatever the bytes are, the
// decoder gives entries or says that they are no stream, and ends.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { SessionId } from '#base/mod.ts';
import {
  beginFrame,
  decoded,
  endFrame,
  joined,
  messagesAmong,
  type RunOfMessages,
  runsFrame,
  sessionFrame,
  type ToldMessage,
} from '#test/support/segment-stream.ts';

const SESSIONS = ['00000000000000aa', '7bbbbbbbbbbbbbbb'] as SessionId[];
const instant = fc.integer({ min: -8_000_000_000_000_000, max: 9_000_000_000_000_000 });

const run: fc.Arbitrary<RunOfMessages> = fc.record({
  session: fc.constantFrom(...SESSIONS),
  firstSequence: fc.integer({ min: 1, max: 2 ** 52 }),
  archivedAtUs: instant,
  messages: fc.array(
    fc.record({ publishedAtUs: instant, payload: fc.uint8Array({ maxLength: 50 }) }),
    { minLength: 1, maxLength: 5 },
  ),
});
const frames = fc.array(fc.array(run, { minLength: 1, maxLength: 4 }), { maxLength: 4 });
const cuts = fc.array(fc.nat({ max: 2_000 }), { maxLength: 30 });

function streamOf(all: readonly (readonly RunOfMessages[])[]): {
  readonly stream: Uint8Array;
  readonly messages: ToldMessage[];
} {
  const pieces = [beginFrame(), ...SESSIONS.map((session) => sessionFrame(session, 'gateway'))];
  const messages: ToldMessage[] = [];
  for (const runs of all) {
    pieces.push(runsFrame(messages.length + 1, runs));
    for (const { session, firstSequence, messages: own } of runs) {
      own.forEach(({ publishedAtUs, payload }, step) => {
        const place = { position: messages.length + 1, session, sequence: firstSequence + step };
        messages.push({ ...place, publishedAtUs, payload });
      });
    }
  }
  pieces.push(endFrame(messages.length));
  return { stream: joined(pieces), messages };
}

test('a stream comes back message for message, wherever it is cut into chunks', () => {
  fc.assert(
    fc.property(frames, cuts, (all, places) => {
      const { stream, messages } = streamOf(all);
      const entries = decoded(
        stream,
        places.map((place) => Math.min(place, stream.length)),
      );
      assert.deepEqual(messagesAmong(entries), messages);
      assert.equal(entries.at(0)?.kind, 'begin');
      assert.equal(entries.at(-1)?.kind, 'end');
    }),
    { numRuns: 300 },
  );
});

test('a stream that is cut short has no end, and every message of its whole frames', () => {
  fc.assert(
    fc.property(frames, fc.nat(), (all, place) => {
      const { stream, messages } = streamOf(all);
      const entries = decoded(stream.slice(0, place % stream.length));
      assert.ok(entries.every(({ kind }) => kind !== 'end' && kind !== 'malformed'));
      const told = messagesAmong(entries);
      assert.deepEqual(told, messages.slice(0, told.length));
    }),
    { numRuns: 300 },
  );
});

test('spoilt bytes give entries or are called malformed, and nothing is thrown', () => {
  const spoils = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(frames, spoils, cuts, (all, changes, places) => {
      const { stream } = streamOf(all);
      for (const [place, byte] of changes) stream[place % stream.length] = byte;
      const entries = decoded(
        stream,
        places.map((one) => Math.min(one, stream.length)),
      );
      const ends = entries.filter(({ kind }) => kind === 'end' || kind === 'malformed');
      assert.ok(ends.length <= 1);
    }),
    { numRuns: 1_000 },
  );
});

test('any bytes at all are taken without a throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), cuts, (bytes, places) => {
      const entries = decoded(
        bytes,
        places.map((one) => Math.min(one, bytes.length)),
      );
      assert.ok(entries.every(({ kind }) => kind === 'malformed'));
    }),
    { numRuns: 500 },
  );
});
