// What the parameters of an export mean together, for the API and the command line alike.

import { BackcastError, parseInstant } from '#base/mod.ts';
import { assertNotInverted, toSessionId } from '../message-request.ts';
import type { ExportRange } from './types.ts';

/** The parameters as they were given. */
export interface ExportParameters {
  readonly after?: number;
  readonly before?: number;
  readonly seenThrough?: number;
  readonly from?: string;
  readonly to?: string;
  readonly session?: string;
}

/** The range that `given` names. BACKCAST_RANGE_INVALID, BACKCAST_RANGE_INVERTED. */
export function toExportRange(channel: string, given: ExportParameters): ExportRange {
  const { after, before, seenThrough, session } = given;
  const publishedFromUs = toInstantUs('from', given.from);
  const publishedToUs = toInstantUs('to', given.to);
  assertNotInverted('after', after, 'before', before);
  assertNotInverted('from', publishedFromUs, 'to', publishedToUs);
  const wanted = session === undefined ? undefined : toSessionId(session);
  const positions = { after, before, seenThrough };
  return { channel, ...positions, publishedFromUs, publishedToUs, session: wanted };
}

function toInstantUs(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const us = parseInstant(text);
  if (us !== undefined) return us;
  throw new BackcastError(
    'BACKCAST_RANGE_INVALID',
    `"${name}" is ${JSON.stringify(text)}: it must be an RFC 3339 instant with an offset, as ` +
      '2026-11-22T14:05:00.000001Z.',
  );
}
