// The archived option (0x43) of an acknowledgement: what of a session the archive does not have,
// although it has accounted for it. Through which sequence that is says the session option beside
// it.
//
//     0 …  3   43 │ 12 + 16 n │ 00 │ 00
//     4 … 11   exact from: what is lost before this sequence is not told
//    12 …      n times: first and last sequence of a loss, 8 bytes each, in order

import { assert, SEQUENCE_MAX, type SequenceRange } from '#base/mod.ts';
import { readSafeU64, writeSafeU64 } from './bytes.ts';
import * as wire from './layout.ts';

/** As many ranges as the length of an option, one byte, leaves room for. */
export const ARCHIVED_LOSSES_MAX = 15;

/** Content of the archived option. */
export interface ArchivedFields {
  /** From here on everything that is not in `lost` is archived; at least 1. */
  readonly exactFrom: number;
  /** In order, apart from each other, none before `exactFrom`; at most ARCHIVED_LOSSES_MAX. */
  readonly lost: readonly SequenceRange[];
}

const RANGES_AT = 12;
const RANGE_BYTES = 16;

/** Reads the option of `optionBytes` at `at`; undefined if it contradicts itself. */
export function readArchived(
  bytes: Uint8Array,
  at: number,
  optionBytes: number,
): ArchivedFields | undefined {
  if (optionBytes < RANGES_AT || (optionBytes - RANGES_AT) % RANGE_BYTES !== 0) return undefined;
  const exactFrom = readSafeU64(bytes, at + wire.OPTION_HEAD_BYTES);
  if (exactFrom < 1) return undefined;
  const lost: SequenceRange[] = [];
  let next = exactFrom;
  for (let rangeAt = at + RANGES_AT; rangeAt < at + optionBytes; rangeAt += RANGE_BYTES) {
    const range = { first: readSafeU64(bytes, rangeAt), last: readSafeU64(bytes, rangeAt + 8) };
    if (range.first < next || range.last < range.first) return undefined;
    lost.push(range);
    next = range.last + 1;
  }
  return { exactFrom, lost };
}

/** Writes the option's content behind its head; gives the bytes of the whole option. */
export function writeArchived(bytes: Uint8Array, at: number, fields: ArchivedFields): number {
  const { exactFrom, lost } = fields;
  assert(exactFrom >= 1 && exactFrom <= SEQUENCE_MAX, 'a sequence on the wire is 1 to 2^53 − 1');
  assert(lost.length <= ARCHIVED_LOSSES_MAX, 'the losses of an acknowledgement fit an option');
  writeSafeU64(bytes, at + wire.OPTION_HEAD_BYTES, exactFrom);
  let rangeAt = at + RANGES_AT;
  for (const { first, last } of lost) {
    writeSafeU64(bytes, rangeAt, first);
    writeSafeU64(bytes, rangeAt + 8, last);
    rangeAt += RANGE_BYTES;
  }
  return archivedOptionBytes(fields);
}

/** Bytes of the option with these losses. */
export function archivedOptionBytes({ lost }: ArchivedFields): number {
  return RANGES_AT + RANGE_BYTES * lost.length;
}
