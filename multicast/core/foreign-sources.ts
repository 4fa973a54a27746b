// What a receiver remembers of foreign sources that it does not follow now: which session their TSI
// had, so that one that comes back goes on where it was left, and which TSI has just ended, so that
// its last packets, repeated or late, open nothing. Bounded; the oldest are forgotten.

import { RECEIVE_SESSIONS_MAX, type SessionId } from '#base/mod.ts';
import type { PacketReader } from '#multicast/wire/mod.ts';
import { REUSE_QUIET_MS } from './reuse-watch.ts';

/** Sessions of foreign sources, by TSI. */
export class ForeignSources {
  readonly #resting = new Map<string, SessionId>();
  readonly #endedAtMs = new Map<string, number>();

  /** The session that this TSI had when it was last heard, unless it ended. */
  sessionOf(tsi: string): SessionId | undefined {
    return this.#resting.get(tsi);
  }

  /**
   * Whether a packet of a TSI that is not followed is no beginning: it says FIN, it may still have
   * been on its way when the TSI ended, or it is a repair that somebody else asked for afterwards.
   */
  isOver(tsi: string, { kind, isFin }: PacketReader, nowMs: number): boolean {
    const endedAtMs = this.#endedAtMs.get(tsi);
    if (isFin && endedAtMs !== undefined) this.#endedAtMs.set(tsi, nowMs);
    if (isFin || endedAtMs === undefined) return isFin;
    return kind === 'rdata' || nowMs - endedAtMs < REUSE_QUIET_MS;
  }

  /** The source was not heard for long; it may come back. */
  rest(tsi: string, session: SessionId): void {
    this.#resting.set(tsi, session);
    trimOldest(this.#resting);
  }

  /** The source said that it ends, or another has its TSI. */
  end(tsi: string, endedAtMs: number): void {
    this.#resting.delete(tsi);
    this.#endedAtMs.delete(tsi);
    this.#endedAtMs.set(tsi, endedAtMs);
    trimOldest(this.#endedAtMs);
  }
}

function trimOldest(known: Map<string, unknown>): void {
  if (known.size <= RECEIVE_SESSIONS_MAX) return;
  const [oldest] = known.keys();
  if (oldest !== undefined) known.delete(oldest);
}
