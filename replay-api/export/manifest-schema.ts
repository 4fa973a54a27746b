// The shape of a manifest, as far as verifying rests on it. A folder may come from anywhere, so a
// manifest is not believed to be one because it parses.

import { Type } from 'typebox';
import { SESSION_TEXT } from '../contract-parts.ts';

const count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const boundary = Type.Union([Type.String(), count, Type.Null()]);
const session = Type.String(SESSION_TEXT);

const file = {
  file: Type.String({ pattern: '^[a-z0-9.-]+$' }),
  bytes: count,
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
};

const missing = Type.Object({ ...file, count, listed: Type.Array(Type.Object({})) });

/** A manifest; members that verifying does not look at may be anything. */
export const MANIFEST_SCHEMA = Type.Object({
  kind: Type.Literal('backcast-export'),
  version: Type.Literal(1),
  channel: Type.String(),
  status: Type.String(),
  bounds: Type.Record(Type.String(), boundary),
  messages: Type.Object({ count }),
  sessions: Type.Array(
    Type.Object({
      session,
      messages: count,
      sequences: Type.Array(Type.Tuple([count, count])),
    }),
  ),
  losses: missing,
  deletions: missing,
  parts: Type.Array(Type.Object({ ...file, messages: count })),
  sha256: file.sha256,
});
