// The losses of one batch. A full spool is told of every half second; to readers it is one loss, so
// neighbouring ones of a session are merged. Pure.

import type { DeclaredLoss } from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';

/** Losses in the order in which they were declared. */
export class BatchLosses {
  readonly #losses: DeclaredLoss[] = [];
  /** Where the last one of a session is that a full spool has made. */
  readonly #full = new Map<SessionId, number>();

  /** All of them. */
  get all(): readonly DeclaredLoss[] {
    return this.#losses;
  }

  /** Adds a loss, or lets the one before it grow. */
  add(loss: DeclaredLoss): void {
    if (loss.cause !== 'spool_full') {
      this.#losses.push(loss);
      return;
    }
    const index = this.#full.get(loss.session) ?? -1;
    const before = this.#losses[index];
    const isNext = before?.lastSequence === loss.firstSequence - 1;
    if (isNext && before.afterPosition === loss.afterPosition) {
      this.#losses[index] = merged(before, loss);
      return;
    }
    this.#full.set(loss.session, this.#losses.length);
    this.#losses.push(loss);
  }
}

function merged(before: DeclaredLoss, loss: DeclaredLoss): DeclaredLoss {
  const { firstSequence, detectedAtUs, firstSqn } = before;
  const isCounted = before.packetCount !== null && loss.packetCount !== null;
  const packetCount = isCounted ? before.packetCount + loss.packetCount : null;
  return { ...loss, firstSequence, detectedAtUs, firstSqn, packetCount };
}
