// Messages as text, beside the library that everybody trusts with it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ArchivedSegment, MessageRun } from '#archive/mod.ts';
import { formatInstant, POSTGRES_EPOCH_US, type SessionId } from '#base/mod.ts';
import { writeRun } from '../../../replay-api/message-text.ts';

const SESSION = '00000000000000aa' as SessionId;
const INSTANTS_US = [
  POSTGRES_EPOCH_US,
  POSTGRES_EPOCH_US + 1,
  POSTGRES_EPOCH_US + 999_999,
  0,
  1,
  -1,
];

function runOf(payloads: readonly Buffer[]): MessageRun {
  const ends = payloads.map((_, index) =>
    payloads.slice(0, index + 1).reduce((sum, payload) => sum + payload.length, 0),
  );
  const segment: ArchivedSegment = {
    firstPosition: 101,
    messageCount: payloads.length,
    archivedAtUs: 1_500_000,
    runs: [{ session: SESSION, firstSequence: 11, length: payloads.length }],
    bytes: Buffer.concat(payloads),
    payloadStarts: Uint32Array.from(ends, (end, index) => end - payloads[index].length),
    payloadEnds: Uint32Array.from(ends),
    publishedAtUs: Float64Array.from(
      payloads,
      (_, index) => INSTANTS_US[index % INSTANTS_US.length],
    ),
  };
  const messageCount = payloads.length;
  return {
    kind: 'messages',
    segment,
    session: SESSION,
    firstIndex: 0,
    firstSequence: 11,
    messageCount,
  };
}

const PAYLOADS = ['a', 'b"\\\n', 'ü🛰️', '', '\u0000\u2028', '\ufffd', 'end'].map((text) =>
  Buffer.from(text),
);

function write(order: 'asc' | 'desc', textLengthTarget: number, writtenCount = 0) {
  const style = { source: 'gateway "7"', order, terminator: '\n', textLengthTarget };
  return writeRun(runOf(PAYLOADS), style, writtenCount);
}

test('a run is written as JSON.stringify would write its messages', () => {
  const expected = PAYLOADS.map((payload, index) =>
    JSON.stringify({
      kind: 'message',
      position: 101 + index,
      session: SESSION,
      source: 'gateway "7"',
      sequence: 11 + index,
      publishedAt: formatInstant(INSTANTS_US[index % INSTANTS_US.length]),
      archivedAt: '1970-01-01T00:00:01.500000Z',
      encoding: 'utf8',
      payload: payload.toString(),
    }),
  );
  const { text } = write('asc', Infinity);
  assert.deepEqual(text.trimEnd().split('\n'), expected);
  const { text: reversed } = write('desc', Infinity);
  assert.deepEqual(reversed.trimEnd().split('\n'), expected.toReversed());
});

test('a run that is written in pieces is the same', () => {
  let text = '';
  let writtenCount = 0;
  while (writtenCount < PAYLOADS.length) {
    const piece = write('asc', 1, writtenCount);
    assert.equal(piece.writtenCount, writtenCount + 1);
    text += piece.text;
    writtenCount = piece.writtenCount;
  }
  assert.equal(text, write('asc', Infinity).text);
});
