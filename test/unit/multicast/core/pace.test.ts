import assert from 'node:assert/strict';
import test from 'node:test';
import { Pace, PACE_INTERVAL_MS, PACE_SHARE_MIN } from '#multicast/core/pace.ts';

/** Sends 100 packets in each interval, of which those at `askedFor` are asked for. */
class Stream {
  readonly pace = new Pace(-1, 0);
  sentLead = -1;
  nowMs = 0;

  interval(askedFor: readonly number[] = [], backlogMs = 0): number {
    const first = this.sentLead + 1;
    this.sentLead += 100;
    for (const index of askedFor) this.pace.asked(first + index);
    this.nowMs += PACE_INTERVAL_MS;
    assert.ok(this.pace.isDue(this.sentLead, this.nowMs));
    this.pace.judge(this.sentLead, backlogMs, this.nowMs);
    return this.pace.share;
  }
}

function upTo(end: number): number[] {
  return [...Array(end).keys()];
}

test('a tenth of the packets asked for changes nothing, more cuts to what arrived', () => {
  const stream = new Stream();
  assert.equal(stream.interval(upTo(10)), 1);
  assert.equal(stream.interval(upTo(30)), 0.7);
});

test('one cut takes an eighth at least and a half at most', () => {
  assert.equal(new Stream().interval(upTo(11)), 0.875);
  assert.equal(new Stream().interval(upTo(100)), 0.5);
});

test('a packet number counts once, however often it is asked for', () => {
  const stream = new Stream();
  const asked = Array.from({ length: 1_000 }, (_, n) => n % 10);
  assert.equal(stream.interval(asked), 1);
  assert.equal(stream.interval([-100, -99, -98, -97, -96, -95, 0, 1, 2, 3, 4]), 1);
});

test('what was sent before the interval before says nothing', () => {
  const stream = new Stream();
  for (let n = 0; n < 3; n += 1) stream.interval();
  assert.equal(stream.interval(upTo(100).map((n) => n - 300)), 1);
  assert.equal(stream.interval(upTo(50).map((n) => n - 100)), 0.5);
});

test('after a cut only what was sent since then counts', () => {
  const stream = new Stream();
  assert.equal(stream.interval(upTo(20)), 0.8);
  const lateNaks = Array.from({ length: 80 }, (_, n) => n - 80);
  assert.ok(stream.interval(lateNaks) > 0.8);
});

test('repairs that wait ever longer cut, those that wait long but shorter hold', () => {
  const stream = new Stream();
  assert.equal(stream.interval([], 199), 1);
  assert.equal(stream.interval([], 300), 0.875);
  assert.equal(stream.interval([], 250), 0.875);
  assert.ok(stream.interval([], 150) > 0.875);
});

test('the share never falls below its floor, and is whole again eight seconds later', () => {
  const stream = new Stream();
  for (let n = 0; n < 50; n += 1) stream.interval(upTo(100));
  assert.equal(stream.pace.share, PACE_SHARE_MIN);
  for (let n = 0; n < 79; n += 1) assert.ok(stream.interval() < 1);
  stream.interval();
  assert.ok(stream.pace.share > 0.999_999);
});

test('an interval with few packets goes on, for a second at most, and says nothing', () => {
  const pace = new Pace(-1, 0);
  for (let sqn = 0; sqn < 31; sqn += 1) pace.asked(sqn);
  assert.deepEqual(
    [99, 100, 999, 1_000].map((nowMs) => pace.isDue(30, nowMs)),
    [false, false, false, true],
  );
  assert.equal(pace.isDue(31, 100), true);
  pace.judge(30, 0, 1_000);
  assert.equal(pace.share, 1);
});

test('a stream that pauses recovers as one that goes on', () => {
  const stream = new Stream();
  stream.interval(upTo(100));
  stream.pace.judge(stream.sentLead, 0, stream.nowMs + 8_000);
  assert.equal(stream.pace.share, 1);
});
