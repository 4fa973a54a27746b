// Whether an answer has all that was asked for, and if something may still come, when to ask again.

import type { MessagePage, MessageReading, MessageRequest } from '#archive/mod.ts';
import type { StreamStatus } from '#client/stream/mod.ts';

/** As the contract has it. */
export type AnswerStatus = StreamStatus;

/** What an answer named as missing so far. */
export interface Missing {
  readonly losses: number;
  readonly deletions: number;
}

/** An archiver commits several times a second: what is asked for is there soon, or not for long. */
const ASK_AGAIN_MS = 1_000;
const ASK_AGAIN_MS_MAX = 3_600_000;

/** An answer that stops at its limit says nothing of what follows, so that cannot unsettle it. */
export function statusOf(reading: MessageReading, missing: Missing, isLast: boolean): AnswerStatus {
  const { unsettled } = reading;
  if (unsettled !== undefined && isLast) return unsettled.isUnknown ? 'unknown' : 'unsettled';
  if (missing.deletions > 0) return 'deleted';
  return missing.losses > 0 ? 'partial' : 'complete';
}

const WORSE: readonly AnswerStatus[] = ['complete', 'partial', 'deleted', 'unknown', 'unsettled'];

/** The status of two answers together. */
export function worseOf(one: AnswerStatus, other: AnswerStatus): AnswerStatus {
  return WORSE.indexOf(one) > WORSE.indexOf(other) ? one : other;
}

/** `missing` and what `page` names besides. */
export function missingWith({ losses, deletions }: Missing, page: MessagePage): Missing {
  const kinds = page.entries.map(({ kind }) => kind);
  return {
    losses: losses + kinds.filter((kind) => kind === 'loss').length,
    deletions: deletions + kinds.filter((kind) => kind === 'deletion').length,
  };
}

/** When asking again for an answer of `status` is worth it, from now on; null if it is not. */
export function askAgainMs(
  status: AnswerStatus,
  request: MessageRequest | undefined,
  nowMs: number,
): number | null {
  if (status !== 'unsettled') return null;
  if (request?.kind !== 'positions') return ASK_AGAIN_MS;
  const ends = [request.publishedToUs ?? 0, request.archivedToUs ?? 0];
  const untilEndMs = Math.ceil(Math.max(...ends) / 1_000) - nowMs;
  return Math.min(Math.max(0, untilEndMs) + ASK_AGAIN_MS, ASK_AGAIN_MS_MAX);
}
