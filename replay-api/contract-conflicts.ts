// What GET /v1/channels/{channel}/conflicts takes and answers.

import { Type } from 'typebox';
import { closed, instant, nullable, position, SESSION_TEXT } from './contract-parts.ts';

const sha256 = Type.String({
  pattern: '^[0-9a-f]{64}$',
  description: 'SHA-256 of the payloads, one behind the other, in hex digits.',
});

/** Sequences that came twice with different bytes. */
export const ConflictItem = Type.Object(
  {
    session: Type.String(SESSION_TEXT),
    source: nullable(Type.String({ description: 'Name of the publisher, if it told one.' })),
    first: position('The first sequence concerned.'),
    last: position('The last sequence concerned.'),
    detectedAt: instant('When the archiver noticed.'),
    archiver: Type.String({ description: 'Who noticed.' }),
    evidence: Type.String({ description: 'How it showed.' }),
    storedSha256: nullable(sha256),
    heardSha256: nullable(sha256),
  },
  { $id: 'Conflict', ...closed, description: 'Sequences that came twice with different bytes.' },
);

/** A page of conflicts. */
export const ConflictPage = Type.Object(
  {
    items: Type.Array(Type.Ref('Conflict#')),
    next: nullable(
      Type.String({ description: 'Relative URL of the next page; null where the answer ends.' }),
    ),
  },
  { $id: 'ConflictPage', ...closed, description: 'A page of conflicts.' },
);
