// A packet that came twice with different content, as the archive keeps it.

import type { Conflict } from '#archive/mod.ts';
import type { ContentConflict } from '#multicast/core/mod.ts';

/** The number of the packet is as a capture shows it. */
export function conflictOf(event: ContentConflict, wallClockUs: number): Conflict {
  const { session, firstSequence, lastSequence, sqn } = event;
  return {
    session,
    firstSequence,
    lastSequence,
    storedSha256: null,
    heardSha256: null,
    detectedAtUs: wallClockUs,
    evidence: `packet ${sqn % 2 ** 32} came again with other content`,
  };
}
