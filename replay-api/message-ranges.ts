// What a fetch asks for: many ranges of sessions at once, each answered by a reading of its own,
// one after the other.

import { type Channel, type MessageReading, openReading, type ReadDatabase } from '#archive/mod.ts';
import { BackcastError } from '#base/mod.ts';
import type { FetchBody } from './contract.ts';
import { assertNotInverted, toSessionId } from './message-request.ts';
import type { AnswerPart, SessionRange } from './message-stream.ts';

/** The ranges of `body`; BACKCAST_RANGE_INVALID, BACKCAST_RANGE_INVERTED. */
export function toRanges(body: FetchBody): readonly SessionRange[] {
  return body.ranges.map(({ session, first, last }) => {
    assertNotInverted('first', first, 'last', last);
    return { session: toSessionId(session), first, last };
  });
}

/** The readings of `ranges`, each begun when the one before has been read. */
export async function* openRanges(
  opened: ReadDatabase,
  channel: Channel,
  ranges: readonly SessionRange[],
): AsyncGenerator<AnswerPart> {
  for (const range of ranges) yield { range, reading: await openRange(opened, channel, range) };
}

/** Undefined for a session that the archive has not heard: it may yet. */
async function openRange(
  opened: ReadDatabase,
  channel: Channel,
  range: SessionRange,
): Promise<MessageReading | undefined> {
  try {
    return await openReading(opened, channel, { kind: 'sequences', ...range, order: 'asc' });
  } catch (error) {
    if (error instanceof BackcastError && error.code === 'BACKCAST_SESSION_UNKNOWN') {
      return undefined;
    }
    throw error;
  }
}
