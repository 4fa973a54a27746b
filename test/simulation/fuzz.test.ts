// The fuzzer, for as long as a quick check may take: `npm run fuzz` goes on for millions.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Fuzzer, fuzzSeeds } from '#sim/mod.ts';
import { MALFORMED_REASONS, PacketReader } from '#multicast/wire/mod.ts';

const DATAGRAMS = 120_000;
/** A name that is too long is seldom found; of blocks a receiver has a counter of its own. */
const RARE = ['publisher', 'block_version', 'block'];
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
  const expected = ['fin', 'fragment', 'nak', 'nak list', 'ncf', 'ncf list', 'odata', 'rdata'];
  assert.deepEqual([...kinds].toSorted(), [...expected, 'spm', 'spmr']);
});

for (const seed of [1, 2]) {
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
    const [receiver] = fuzzer.receivers;
    const { counters, malformedReasons } = receiver ?? {};
    const never = Object.keys(MALFORMED_REASONS).filter(
      (reason) => !malformedReasons?.has(reason as keyof typeof MALFORMED_REASONS),
    );
    assert.deepEqual(
      never.filter((reason) => !RARE.includes(reason)),
      [],
    );
    assert.ok((counters?.messagesDelivered ?? 0) > 100 && (counters?.naksSent ?? 0) > 100);
    assert.ok(fuzzer.publisher.counters.repairsSent > 100 && fuzzer.messagesRead > 1_000);
  });
}
