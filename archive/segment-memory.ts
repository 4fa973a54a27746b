// Memory for segments that are read, used again once nobody needs what lies in it. A replay makes
// hundreds of megabytes a second; left to the garbage collector, these cost more than all the rest.
// Whoever keeps a segment holds it, and lets go of it; who only forgets it does no harm: its memory
// is collected then as any other.

import { assert } from '#base/mod.ts';

/** The memory of one segment, while somebody holds it. */
export interface HeldMemory {
  /** One more who needs it. Not to be called when nobody holds it any more. */
  hold(): void;
  /** To be called at most once for each hold, by who will not look at the segment again. */
  letGo(): void;
}

/** Sizes are multiples of this; what is smaller is not worth keeping. */
const STEP_BYTES = 8_192;
/** What is used again may be larger than what is asked for by this share. */
const WASTE_SHARE_MAX = 1 / 8;

/** Memory that has come back, up to a bound. */
export class SegmentMemory {
  readonly #spareBytesMax: number;
  readonly #spare = new Map<number, ArrayBuffer[]>();
  #spareBytes = 0;

  /** Keeps at most `spareBytesMax` bytes for later. */
  constructor(spareBytesMax: number) {
    this.#spareBytesMax = spareBytesMax;
  }

  /** Memory that nobody uses at the moment, in bytes. */
  get spareBytes(): number {
    return this.#spareBytes;
  }

  /** `bytes` bytes or some more, of any content. */
  take(bytes: number): ArrayBuffer {
    if (bytes < STEP_BYTES) return new ArrayBuffer(bytes);
    const size = Math.ceil(bytes / STEP_BYTES) * STEP_BYTES;
    const bytesMax = size * (1 + WASTE_SHARE_MAX);
    for (let fitting = size; fitting <= bytesMax; fitting += STEP_BYTES) {
      const spare = this.#spare.get(fitting)?.pop();
      if (spare === undefined) continue;
      this.#spareBytes -= fitting;
      return spare;
    }
    return Buffer.allocUnsafeSlow(size).buffer;
  }

  /** Holds `pieces` for the caller, until he and all others who hold them have let go. */
  lend(pieces: readonly ArrayBuffer[]): HeldMemory {
    let holders = 1;
    return {
      hold: () => {
        assert(holders > 0, 'who holds memory has it from one who does');
        holders += 1;
      },
      letGo: () => {
        assert(holders > 0, 'everybody lets go once');
        holders -= 1;
        if (holders === 0) for (const piece of pieces) this.#giveBack(piece);
      },
    };
  }

  #giveBack(piece: ArrayBuffer): void {
    const size = piece.byteLength;
    if (size < STEP_BYTES || this.#spareBytes + size > this.#spareBytesMax) return;
    const spare = this.#spare.get(size) ?? [];
    spare.push(piece);
    this.#spare.set(size, spare);
    this.#spareBytes += size;
  }
}
