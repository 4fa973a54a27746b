// How long a receiver waits before it asks for a repair. Many receivers often miss the same packet;
// if each waits a random time drawn from a truncated exponential, one asks early and its request,
// overheard or confirmed, silences the rest. The formula is RandomBackoff of RFC 5401, section
// 3.2.2 (NACK suppression):
//
//   λ = ln(group size) + 1
//   x = uniform(0, λ / T) + λ / (T · (e^λ − 1))
//   delay = (T / λ) · ln(x · (e^λ − 1) · (T / λ))
//
// with T the longest delay, which with u = uniform(0, 1) is (T / λ) · ln(1 + u · (e^λ − 1)). The
// delay lies in [0, T] and leans towards T, the more so the larger the group. How large it is:
// group-size.ts.

import type { Random } from '#base/mod.ts';

/** Longest wait before a first NAK: long against a LAN's reordering, short against a repair. */
export const NAK_BACKOFF_MS_MAX = 10;

/**
 * A delay in milliseconds, in [0, NAK_BACKOFF_MS_MAX], drawn from `random` for a group of
 * `groupSize` receivers that miss the same packet.
 */
export function feedbackDelayMs(random: Random, groupSize: number): number {
  const lambda = Math.log(groupSize) + 1;
  return (NAK_BACKOFF_MS_MAX / lambda) * Math.log1p(random() * Math.expm1(lambda));
}

/** The chance that a delay drawn for a group of `groupSize` is at most `delayMs` long. */
export function feedbackChance(delayMs: number, groupSize: number): number {
  const lambda = Math.log(groupSize) + 1;
  const share = Math.min(1, Math.max(0, delayMs / NAK_BACKOFF_MS_MAX));
  return Math.expm1(lambda * share) / Math.expm1(lambda);
}
