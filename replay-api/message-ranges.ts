// What a fetch asks for: many ranges of sessions at once.

import type { SessionRange } from '#archive/mod.ts';
import type { FetchBody } from './contract.ts';
import { assertNotInverted, toSessionId } from './message-request.ts';

/** The ranges of `body`; BACKCAST_RANGE_INVALID, BACKCAST_RANGE_INVERTED. */
export function toRanges(body: FetchBody): readonly SessionRange[] {
  return body.ranges.map(({ session, first, last }) => {
    assertNotInverted('first', first, 'last', last);
    return { session: toSessionId(session), first, last };
  });
}
