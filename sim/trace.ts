// A fingerprint of a run: everything that happened goes in, in order, and two runs with the same
// fingerprint did the same. Not for secrets (FNV-1a, two lanes of 32 bits).

const PRIME = 0x01000193;

/** A fingerprint that grows with what is put in. */
export class Trace {
  #high = 0x811c9dc5;
  #low = 0xcbf29ce4;

  /** The fingerprint so far, 16 hex digits. */
  get digest(): string {
    return hex8(this.#high) + hex8(this.#low);
  }

  /** Puts a number in, to the last bit that matters here: microseconds. */
  number(value: number): void {
    const scaled = Math.round(value * 1_000);
    this.#word(scaled >>> 0);
    this.#word(Math.floor(scaled / 0x1_0000_0000) >>> 0);
  }

  /** Puts text in. */
  text(value: string): void {
    for (let at = 0; at < value.length; at += 1) this.#word(value.charCodeAt(at));
  }

  /** Puts the length and up to the first 64 bytes in: header, options, and some of the content. */
  bytes(value: Uint8Array): void {
    this.#word(value.length);
    const end = Math.min(64, value.length);
    for (let at = 0; at < end; at += 1) this.#word(value[at] ?? 0);
  }

  #word(word: number): void {
    this.#high = Math.imul(this.#high ^ word, PRIME) >>> 0;
    this.#low = Math.imul(this.#low ^ (word + this.#high), PRIME) >>> 0;
  }
}

function hex8(word: number): string {
  return word.toString(16).padStart(8, '0');
}
