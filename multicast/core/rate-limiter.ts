// A token bucket: lets bytes out at an average rate with a bounded burst. Knows nothing of packets
// or queues. The bucket may go into debt by one packet, so a packet larger than the burst still
// leaves; the debt is paid before the next one does.

import { assert, datagramHeaderBytes } from '#base/mod.ts';

/** The burst of a rate: what accrues in this time. Timers fire up to some milliseconds late. */
const BURST_MS = 10;

/** Grants bytes at `rateBytesPerSec`, at most `burstBytes` at once. */
export class RateLimiter {
  #rateBytesPerMs: number;
  readonly #burstBytes: number;
  #tokensBytes: number;
  #refilledAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: { readonly rateBytesPerSec: number; readonly burstBytes: number }) {
    assert(options.rateBytesPerSec > 0, 'a rate is positive');
    assert(options.burstBytes > 0, 'a burst is positive');
    this.#rateBytesPerMs = options.rateBytesPerSec / 1000;
    this.#burstBytes = options.burstBytes;
    this.#tokensBytes = options.burstBytes;
  }

  /** Adds what has accrued since the last call. */
  refill(nowMs: number): void {
    if (nowMs > this.#refilledAtMs) {
      const accrued = (nowMs - this.#refilledAtMs) * this.#rateBytesPerMs;
      this.#tokensBytes = Math.min(this.#burstBytes, this.#tokensBytes + accrued);
      this.#refilledAtMs = nowMs;
    }
  }

  /** From now on, `rateBytesPerSec`; to be refilled first. The burst stays what it was. */
  setRate(rateBytesPerSec: number): void {
    assert(rateBytesPerSec > 0, 'a rate is positive');
    this.#rateBytesPerMs = rateBytesPerSec / 1000;
  }

  /** Whether `take` would take. */
  get isReady(): boolean {
    return this.#tokensBytes > 0;
  }

  /** Takes `bytes` if the bucket is not empty; false leaves it as it was. */
  take(bytes: number): boolean {
    if (this.#tokensBytes <= 0) return false;
    this.#tokensBytes -= bytes;
    return true;
  }

  /** When the bucket is no longer empty, given no takes until then. */
  get readyAtMs(): number {
    if (this.#tokensBytes > 0) return this.#refilledAtMs;
    return this.#refilledAtMs + -this.#tokensBytes / this.#rateBytesPerMs + 1e-6;
  }
}

/** A limiter for packets of up to `packetBytesMax`, with the burst that late timers need. */
export function newRateLimiter(rateBytesPerSec: number, packetBytesMax: number): RateLimiter {
  const burstBytes = Math.max(2 * packetBytesMax, (rateBytesPerSec * BURST_MS) / 1000);
  return new RateLimiter({ rateBytesPerSec, burstBytes });
}

/** What a packet to `group` takes of a rate: IP and UDP headers count too. */
export function wireBytesOf(packet: Uint8Array, group: string): number {
  return packet.length + datagramHeaderBytes(group);
}
