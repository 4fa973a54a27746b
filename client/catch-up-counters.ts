// What catching up counts. Plain numbers, read at any time, never reset.

/** Numbers since the subscription was opened. */
export interface CatchUpCounters {
  /** Readings of the archive from a place to its end. */
  rounds: number;
  /** Requests for exactly what was missing. */
  fetches: number;
  /** Returns from live to the archive: the reader was slow, or the stream was not heard. */
  fallbacks: number;
  /** Requests to the archive that failed, for now or for good. */
  failures: number;
  /** Packets heard live and let go for newer ones, to be read from the archive. */
  entriesSlid: number;
}

/** All at zero. */
export function newCatchUpCounters(): CatchUpCounters {
  return { rounds: 0, fetches: 0, fallbacks: 0, failures: 0, entriesSlid: 0 };
}
