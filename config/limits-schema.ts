// The settings of what the replay API takes on at once. A part of the one table in schema.ts.

import { Type } from 'typebox';
import { integer } from './setting-types.ts';

const MEBIBYTE = 1_048_576;

/** Bounds of one server; each of several has its own. */
export const API_LIMITS = Type.Object({
  readersMax: integer({
    description: 'Most answers with messages under way at once; further ones are asked to wait.',
    range: [1, 100_000],
    default: 256,
  }),
  readersPerCallerMax: integer({
    description: 'Most of them for one caller: a token, or an address where there is none.',
    range: [1, 100_000],
    default: 128,
  }),
  requestsPerSecMax: integer({
    description: 'Most requests from one address in a second.',
    range: [1, 1_000_000],
    default: 5_000,
  }),
  connectionsMax: integer({
    description: 'Most connections at once; further ones are closed without an answer.',
    range: [1, 1_000_000],
    default: 4_096,
  }),
  sharedBytesMax: integer({
    description: 'Memory for history that several readers want at the same time.',
    range: [MEBIBYTE, 64 * 1_024 * MEBIBYTE],
    default: 64 * MEBIBYTE,
  }),
});
