// The frames of the segment stream, one by one: what each tells, and what is no stream of ours.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SessionId } from '#base/mod.ts';
import { jsonFrame } from '#client/stream/mod.ts';
import {
  beginFrame,
  decoded,
  endFrame,
  joined,
  messagesAmong,
  runsFrame,
  sessionFrame,
} from '#test/support/segment-stream.ts';

const SESSION = '5f0c9d2ab8e17346' as SessionId;
const EMPTY = new Uint8Array(0);
const RUN = { session: SESSION, firstSequence: 7, archivedAtUs: 5, messages: [said('a')] };
const LOSS = {
  kind: 'loss',
  session: SESSION,
  source: null,
  first: 3,
  last: 7,
  packets: null,
  cause: 'repair_expired',
  afterPosition: 3,
  detectedAt: '1970-01-01T00:00:00.000001Z',
  declaredAt: '1970-01-01T00:00:01.000000Z',
};

function said(text: string, publishedAtUs = 1) {
  return { publishedAtUs, payload: new TextEncoder().encode(text) };
}

function complaint(...pieces: readonly Uint8Array[]): string | undefined {
  const last = decoded(joined(pieces)).at(-1);
  return last?.kind === 'malformed' ? last.reason : undefined;
}

test('an empty payload is a message', () => {
  const run = { ...RUN, messages: [{ publishedAtUs: 1, payload: EMPTY }, said('b')] };
  const stream = joined([beginFrame(), sessionFrame(SESSION, null), runsFrame(4, [run])]);
  assert.deepEqual(
    messagesAmong(decoded(stream)).map(({ position, payload }) => [position, payload.length]),
    [
      [4, 0],
      [5, 1],
    ],
  );
});

test('a run tells who published it, where it stands and when it was archived', () => {
  const stream = joined([beginFrame(), sessionFrame(SESSION, 'gateway-7'), runsFrame(4, [RUN])]);
  const [, run] = decoded(stream);
  assert.ok(run?.kind === 'messages');
  const { session, source, firstPosition, firstSequence, throughSequence, archivedAtUs } = run;
  assert.deepEqual(
    { session, source, firstPosition, firstSequence, throughSequence, archivedAtUs },
    {
      session: SESSION,
      source: 'gateway-7',
      firstPosition: 4,
      firstSequence: 7,
      throughSequence: 7,
      archivedAtUs: 5,
    },
  );
});

test('a loss has the members of its line, with instants as microseconds', () => {
  const { detectedAt, declaredAt, ...members } = LOSS;
  const [, loss] = decoded(joined([beginFrame(), jsonFrame('loss', JSON.stringify(LOSS))]));
  assert.deepEqual(loss, { ...members, detectedAtUs: 1, declaredAtUs: 1_000_000 });
  assert.ok(detectedAt < declaredAt);
});

test('what comes behind the end is passed over', () => {
  const kinds = decoded(joined([beginFrame(), endFrame(0), endFrame(0)])).map(({ kind }) => kind);
  assert.deepEqual(kinds, ['begin', 'end']);
});

test('a frame that may be passed over is, and one that may not is malformed', () => {
  const frame = jsonFrame('estimate', '{"kind":"novelty"}');
  assert.equal(complaint(beginFrame(), frame.with(4, 200), endFrame(0)), undefined);
  assert.match(complaint(beginFrame(), frame.with(4, 99), endFrame(0)) ?? '', /kind 99/);
});

test('an end that counts other messages than came is malformed', () => {
  const pieces = [beginFrame(), sessionFrame(SESSION, null), runsFrame(4, [RUN])];
  assert.match(complaint(...pieces, endFrame(2)) ?? '', /counts 2 messages behind 1/);
  assert.equal(complaint(...pieces, endFrame(1)), undefined);
});

test('a stream begins with its begin, once, and of a version that is known', () => {
  assert.match(complaint(endFrame(0)) ?? '', /no begin/);
  assert.match(complaint(runsFrame(1, [RUN])) ?? '', /no begin/);
  assert.match(complaint(beginFrame(), beginFrame()) ?? '', /a second/);
  const later = jsonFrame('begin', '{"kind":"begin","version":2,"channel":"x"}');
  assert.match(complaint(later) ?? '', /kind 1/);
});

test('messages of a session that was not told of are malformed', () => {
  assert.match(complaint(beginFrame(), runsFrame(1, [RUN])) ?? '', /not told/);
});

test('a frame longer than any is refused before memory is taken for it', () => {
  assert.match(complaint(beginFrame(), new Uint8Array([255, 0, 0, 0, 3])) ?? '', /longer/);
});

test('a loss without its cause, or with another, is malformed', () => {
  for (const cause of [undefined, 'weather']) {
    const frame = jsonFrame('loss', JSON.stringify({ ...LOSS, cause }));
    assert.match(complaint(beginFrame(), frame) ?? '', /kind 4/);
  }
});

test('a frame whose lengths do not add up is malformed', () => {
  const head = [beginFrame(), sessionFrame(SESSION, null)];
  const frame = runsFrame(1, [RUN]);
  const longer = joined([frame, new Uint8Array([0])]);
  new DataView(longer.buffer).setUint32(0, frame.length - 5 + 1);
  assert.match(complaint(...head, longer) ?? '', /behind the last payload/);
  const payloadLengthAt = frame.length - 1 - 4;
  assert.match(complaint(...head, frame.with(payloadLengthAt, 127)) ?? '', /longer than its frame/);
});
