// The messages that measurements of the archive publish: JSON as an application would send it, of
// one size, different, so that they compress as such do.

import { randomBelow } from '#base/mod.ts';
import { processRandom } from '#multicast/udp/mod.ts';

const SAMPLES = 1_024;

/** Texts of exactly `payloadBytes` bytes each. */
export function samplePayloads(payloadBytes: number): Uint8Array[] {
  const random = processRandom();
  return Array.from({ length: SAMPLES }, (_, index) => {
    const symbol = ['ACME', 'GLOBEX', 'INITECH', 'HOOLI'][randomBelow(random, 4)];
    const text = JSON.stringify({
      type: 'trade',
      id: index * 7_919,
      symbol,
      price: randomBelow(random, 1_000_000) / 100,
      quantity: randomBelow(random, 1_000),
      trader: `desk-${randomBelow(random, 50)}`,
      note: 'settled at venue',
    });
    return new TextEncoder().encode(text.padEnd(payloadBytes, ' ').slice(0, payloadBytes));
  });
}
