// Which of several archivers is to write a channel. All of them reckon alike, each for itself, from
// what they say of themselves in the archive. Pure.
//
// Rendezvous hashing: each pair of channel and archiver has a number, and the archiver with the
// highest one is preferred. So channels spread evenly, and when an archiver comes or goes, only the
// channels move that it takes or leaves.

import type { Candidate } from '#archive/mod.ts';

/** Who has not been seen for so long is not there. */
const GONE_AFTER_MS = 8_000;
/** Who has heard nothing for so long while somebody else has is deaf. */
const DEAF_AFTER_MS = 5_000;

/** Those of `candidates`, all of one channel, that are there and hear. */
export function healthyOf(candidates: readonly Candidate[]): Candidate[] {
  const there = candidates.filter(({ seenAgoMs }) => seenAgoMs < GONE_AFTER_MS);
  const freshestMs = Math.min(...there.map(({ silentMs }) => silentMs));
  return there.filter(({ silentMs }) => silentMs <= freshestMs + DEAF_AFTER_MS);
}

/** How much longer than the others `holder` has heard nothing, if it is there. */
export function deafnessMs(candidates: readonly Candidate[], holder: string): number {
  const there = candidates.filter(({ seenAgoMs }) => seenAgoMs < GONE_AFTER_MS);
  const freshestMs = Math.min(...there.map(({ silentMs }) => silentMs));
  const found = there.find((candidate) => candidate.holder === holder);
  return found === undefined ? 0 : found.silentMs - freshestMs;
}

/** The one of `holders` that is to write `channel`; undefined if there is none. */
export function preferredOf(channel: string, holders: readonly string[]): string | undefined {
  let preferred: string | undefined;
  let highest = -1;
  for (const holder of holders.toSorted()) {
    const number = hashOf(`${channel}\n${holder}`);
    if (number <= highest) continue;
    highest = number;
    preferred = holder;
  }
  return preferred;
}

/** FNV-1a with a final mix, 32 bits: spreads names that differ in one digit. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) {
    hash ^= text.charCodeAt(index);
    hash = Math.imul(hash, 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
