// How long a receiver waits before it asks for a repair. Many receivers often miss the same packet;
// if each waits a random time drawn from a truncated exponential, one asks early and its request,
// overheard or confirmed, silences the rest. The formula is RandomBackoff of RFC 5401, section
// 3.2.2 (NACK suppression):
//
//   λ = ln(group size) + 1
//   x = uniform(0, λ / T) + λ / (T · (e^λ − 1))
//   delay = (T / λ) · ln(x · (e^λ − 1) · (T / λ))
//
// with T the longest delay. The delay lies in [0, T] and leans towards T.

import type { Random } from '#base/mod.ts';

/** Longest wait before a first NAK: long against a LAN's reordering, short against a repair. */
export const NAK_BACKOFF_MS_MAX = 10;
/**
 * Receivers assumed to share a loss: the value that Aeron settled on; wrong by 10 × costs little.
 */
export const NAK_GROUP_SIZE = 10;

const LAMBDA = Math.log(NAK_GROUP_SIZE) + 1;
const SCALE_MS = NAK_BACKOFF_MS_MAX / LAMBDA;
const FACTOR_MS = SCALE_MS * (Math.exp(LAMBDA) - 1);
const X_BASE = 1 / FACTOR_MS;
const X_SPAN = LAMBDA / NAK_BACKOFF_MS_MAX;

/** A delay in milliseconds, in [0, NAK_BACKOFF_MS_MAX], drawn from `random`. */
export function feedbackDelayMs(random: Random): number {
  const x = random() * X_SPAN + X_BASE;
  return SCALE_MS * Math.log(x * FACTOR_MS);
}
