import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { deafnessMs, healthyOf, preferredOf } from '#ingest/preference.ts';

const CHANNELS = Array.from({ length: 1_000 }, (_, index) => `channel-${index}`);

function candidate(holder: string, seenAgoMs: number, silentMs: number) {
  return { channelId: 1, holder, seenAgoMs, silentMs };
}

test('channels spread evenly over archivers, however alike their names', () => {
  const holders = ['archiver-1', 'archiver-2', 'archiver-3', 'archiver-4'];
  const counts = new Map(holders.map((holder) => [holder, 0]));
  for (const channel of CHANNELS) {
    const holder = preferredOf(channel, holders) ?? '';
    counts.set(holder, (counts.get(holder) ?? 0) + 1);
  }
  for (const [holder, count] of counts)
    assert.ok(count > 180 && count < 320, `${holder} has ${count} of 1,000`);
});

test('when an archiver comes or goes, only the channels move that it takes or leaves', () => {
  const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 8 }), { minLength: 2 });
  fc.assert(
    fc.property(names, fc.string(), (holders, channel) => {
      const [added, ...before] = holders;
      const preferred = preferredOf(channel, holders);
      if (preferred !== added) assert.equal(preferred, preferredOf(channel, before));
      assert.equal(preferredOf(channel, holders.toReversed()), preferred);
    }),
  );
});

test('nobody is preferred where nobody is', () => {
  assert.equal(preferredOf('orders', []), undefined);
});

test('who was not seen lately is not there, who hears nothing while another does is deaf', () => {
  const gone = candidate('gone', 9_000, 100);
  const deaf = candidate('deaf', 500, 7_000);
  const well = candidate('well', 500, 900);
  assert.deepEqual(healthyOf([gone, deaf, well]), [well]);
  assert.equal(deafnessMs([gone, deaf, well], 'deaf'), 6_100);
  assert.equal(deafnessMs([gone, deaf, well], 'gone'), 0);
});

test('where all is silent, nobody is deaf', () => {
  const all = [candidate('one', 500, 600_000), candidate('other', 2_500, 602_000)];
  assert.deepEqual(healthyOf(all), all);
});
