// Makes hostile datagrams out of sound ones: flipped bits, fields with numbers at the edges, cuts,
// splices, noise. Damaged ones keep a checksum that no longer fits; forged ones get one that does.

import { assert, type Random, randomBelow, unreachable } from '#base/mod.ts';
import { onesSum } from '#multicast/wire/mod.ts';
import { FUZZED_SESSION } from './fuzz-seeds.ts';

/** What was done to a datagram. */
export const MUTATIONS = [
  'sound',
  'unsummed',
  'flipped',
  'flipped_forged',
  'field_forged',
  'cut',
  'cut_forged',
  'spliced_forged',
  'longer_forged',
  'noise',
] as const;
/** One of MUTATIONS. */
export type Mutation = (typeof MUTATIONS)[number];

const CHECKSUM_AT = 6;
const TSDU_LENGTH_AT = 14;
const HEADER_BYTES = 16;
const FLIPS_MAX = 8;
const NOISE_BYTES_MAX = 1_472;
const EXTRA_BYTES_MAX = 64;
/** Fields are forged where headers and options lie. */
const FIELDS_END = 96;
const EDGES = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff];

/** Draws hostile datagrams from `seeds`. */
export class Mutator {
  readonly #random: Random;
  readonly #seeds: readonly Uint8Array[];
  /** Where each seed names the session; −1 if it does not. */
  readonly #sessionsAt: readonly number[];

  constructor(seeds: readonly Uint8Array[], random: Random) {
    assert(seeds.length > 0, 'there is something to mutate');
    this.#seeds = seeds;
    this.#random = random;
    const session = Buffer.from(FUZZED_SESSION, 'hex');
    this.#sessionsAt = seeds.map((seed) => Buffer.from(seed).indexOf(session));
  }

  /** From now on the seeds are of the session `number`: what ended before says nothing of it. */
  renew(number: number): void {
    for (const [index, seed] of this.#seeds.entries()) {
      const at = this.#sessionsAt[index] ?? -1;
      if (at === -1) continue;
      for (let byte = 0; byte < 4; byte += 1) seed[at + 4 + byte] = number >>> (24 - 8 * byte);
      forged(seed);
    }
  }

  /** A datagram with bytes of its own, mutated in the given way. */
  next(mutation: Mutation): Uint8Array {
    switch (mutation) {
      case 'sound':
        return this.#seed();
      case 'unsummed':
        return this.#seed().fill(0, CHECKSUM_AT, CHECKSUM_AT + 2);
      case 'flipped':
        return this.#flip(this.#seed());
      case 'flipped_forged':
        return forged(this.#flip(this.#seed()));
      case 'field_forged':
        return forged(this.#setFields(this.#seed()));
      case 'cut':
        return this.#cut(this.#seed());
      case 'cut_forged':
        return forged(this.#resized((seed) => this.#cut(seed)));
      case 'spliced_forged':
        return forged(this.#splice());
      case 'longer_forged':
        return forged(this.#resized((seed) => joined(seed, this.#noise(EXTRA_BYTES_MAX))));
      case 'noise':
        return this.#noise(NOISE_BYTES_MAX);
      default:
        return unreachable(mutation);
    }
  }

  #below(end: number): number {
    return randomBelow(this.#random, end);
  }

  #seed(): Uint8Array {
    return (this.#seeds[this.#below(this.#seeds.length)] ?? new Uint8Array(0)).slice();
  }

  #flip(bytes: Uint8Array): Uint8Array {
    for (let flips = 1 + this.#below(FLIPS_MAX); flips > 0; flips -= 1) {
      const bit = this.#below(bytes.length * 8);
      bytes[bit >> 3] ^= 1 << (bit & 7);
    }
    return bytes;
  }

  #setFields(bytes: Uint8Array): Uint8Array {
    for (let fields = 1 + this.#below(3); fields > 0; fields -= 1) {
      const at = 4 * this.#below(Math.min(bytes.length, FIELDS_END) >> 2);
      const edge = EDGES[this.#below(EDGES.length * 2)] ?? this.#below(0x1_0000_0000);
      for (let byte = 0; byte < 4; byte += 1) bytes[at + byte] = edge >>> (24 - 8 * byte);
    }
    return bytes;
  }

  #cut(bytes: Uint8Array): Uint8Array {
    return bytes.slice(0, this.#below(bytes.length));
  }

  /** Every other time the payload's stated length follows. */
  #resized(resize: (seed: Uint8Array) => Uint8Array): Uint8Array {
    const seed = this.#seed();
    const bytes = resize(seed);
    if (bytes.length < HEADER_BYTES || this.#below(2) === 0) return bytes;
    const stated = ((seed[TSDU_LENGTH_AT] ?? 0) << 8) | (seed[TSDU_LENGTH_AT + 1] ?? 0);
    const length = Math.max(0, stated + bytes.length - seed.length);
    bytes[TSDU_LENGTH_AT] = length >>> 8;
    bytes[TSDU_LENGTH_AT + 1] = length;
    return bytes;
  }

  #splice(): Uint8Array {
    const head = this.#cut(this.#seed());
    const tail = this.#seed();
    return joined(head, tail.subarray(this.#below(tail.length)));
  }

  #noise(bytesMax: number): Uint8Array {
    return Uint8Array.from({ length: this.#below(bytesMax + 1) }, () => this.#below(256));
  }
}

function joined(head: Uint8Array, tail: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(head.length + tail.length);
  bytes.set(head);
  bytes.set(tail, head.length);
  return bytes;
}

/** Makes the checksum fit: what a forger does. */
function forged(packet: Uint8Array): Uint8Array {
  if (packet.length < HEADER_BYTES) return packet;
  packet[CHECKSUM_AT] = 0;
  packet[CHECKSUM_AT + 1] = 0;
  const checksum = ~onesSum(packet, packet.length) & 0xffff;
  packet[CHECKSUM_AT] = (checksum === 0 ? 0xffff : checksum) >>> 8;
  packet[CHECKSUM_AT + 1] = checksum === 0 ? 0xff : checksum;
  return packet;
}
