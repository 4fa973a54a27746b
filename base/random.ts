// Randomness as a value that is handed in, so that every machine that draws a back-off can be
// replayed from a seed. Production seeds it from the operating system once per process
// (multicast/udp).

/** A source of numbers: each call returns the next one, uniform in [0, 1). */
export type Random = () => number;

/**
 * A deterministic generator (sfc32 by Chris Doty-Humphrey, public domain): the same seed gives the
 * same numbers on every machine. 128 bits of state, period about 2^127; not for secrets.
 */
export function seededRandom(seed: number): Random {
  let a = seed >>> 0;
  let b = 0x9e3779b9;
  let c = Math.floor(seed / 0x1_0000_0000) >>> 0;
  let counter = 1;
  const next = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return (sum >>> 0) / 0x1_0000_0000;
  };
  for (let round = 0; round < 12; round += 1) next();
  return next;
}

/** A uniform integer in [0, `end`). */
export function randomBelow(random: Random, end: number): number {
  return Math.floor(random() * end);
}
