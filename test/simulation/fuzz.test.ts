// The fuzzer, for as long as a quick check may take: `npm run fuzz` goes on for millions.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Fuzzer, fuzzSeeds } from '#sim/mod.ts';
import { MALFORMED_REASONS, PacketReader } from '#multicast/wire/mod.ts';
import { inFull } from '#test/support/thoroughness.ts';

const DATAGRAMS = inFull(240_000, 120_000);
/** What is seldom found; of blocks a receiver has a counter of its own. */
const RARE = ['publisher', 'option_discard', 'block_version', 'block'];
const GROWTH_BYTES_MAX = 32 * 1_048_576;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

test('the fuzzer starts from sound packets of every kind', () => {
  const reader = new PacketReader();
  const kinds = new Set<string>();
  for (const seed of fuzzSeeds(1)) {
    assert.equal(reader.read(seed), undefined);
    kinds.add(reader.kind);
    if (reader.hasFragment) kinds.add('fragment');
    if (reader.isFin) kinds.add('fin');
    if (reader.sqnCount > 1) kinds.add(`${reader.kind} list`);
  }
  const expected = [
    'ack',
    'fin',
    'fragment',
    'nak',
    'nak list',
    'ncf',
    'ncf list',
    'odata',
    'rdata',
  ];
  assert.deepEqual([...kinds].toSorted(), [...expected, 'spm', 'spmr']);
});

for (const seed of inFull([1, 2], [1])) {
  test(`${DATAGRAMS} hostile datagrams of seed ${seed} break nothing and hold no memory`, (t) => {
    const fuzzer = new Fuzzer(seed);
    while (fuzzer.datagrams < DATAGRAMS / 4) fuzzer.step();
    collectGarbage();
    const warmBytes = process.memoryUsage().heapUsed;
    while (fuzzer.datagrams < DATAGRAMS) fuzzer.step();
    fuzzer.checkBounds();
    collectGarbage();
    const grownBytes = process.memoryUsage().heapUsed - warmBytes;
    t.diagnostic(`the heap grew by ${(grownBytes / 1_048_576).toFixed(1)} MiB`);
    assert.ok(grownBytes <= GROWTH_BYTES_MAX);
    const reasons = new Set<string>();
    for (const { publisher, receivers, framing } of fuzzer.channels) {
      for (const { machine } of receivers) {
        for (const reason of machine.malformedReasons.keys()) reasons.add(reason);
        const { messagesDelivered, naksSent } = machine.counters;
        assert.ok(messagesDelivered > 100 && naksSent > 100, framing);
      }
      assert.ok(publisher.counters.repairsSent > 100, framing);
    }
    const never = Object.keys(MALFORMED_REASONS).filter((reason) => !reasons.has(reason));
    assert.deepEqual(
      never.filter((reason) => !RARE.includes(reason)),
      [],
    );
    assert.ok(fuzzer.messagesRead > 1_000);
  });
}

test('of hostile datagrams exactly those pass that are sealed with the right key', () => {
  const fuzzer = new Fuzzer(3, true);
  while (fuzzer.datagrams < DATAGRAMS / 2) fuzzer.step();
  fuzzer.checkBounds();
  const [channel] = fuzzer.channels;
  assert.ok(channel !== undefined && fuzzer.genuine > 100);
  const [member, outsider] = channel.receivers.map(({ machine }) => machine.counters);
  assert.ok(member !== undefined && outsider !== undefined);
  assert.ok(member.messagesDelivered > 100 && channel.publisher.counters.naksReceived > 10);
  const { unauthenticatedMissing, unauthenticatedUnknownKey, unauthenticatedWrong } = outsider;
  assert.ok(Math.min(unauthenticatedMissing, unauthenticatedUnknownKey) > 100);
  assert.ok(unauthenticatedWrong > 1_000);
});
