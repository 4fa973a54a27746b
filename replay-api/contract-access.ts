// What GET /v1/access takes and answers: who read which messages.

import { Type } from 'typebox';
import { cursor, limit } from './contract-paging.ts';
import { CHANNEL_PATTERN, closed, instant, nullable, oneOf, position } from './contract-parts.ts';

/** No text of the database has a control character in it, and NUL it refuses. */
const WHO_PATTERN = '^[^\\u0000-\\u001F\\u007F]{1,1000}$';
const UUID = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';

/** One reading. */
export const AccessItem = Type.Object(
  {
    id: Type.String({
      pattern: `^${UUID}$`,
      description: 'The request, as it stands in the log and in the `instance` of problems.',
    }),
    channel: Type.String(),
    who: Type.String({
      description: '`token:ID`, `jwt:SUBJECT`, or `anybody` where no token is needed.',
    }),
    remote: Type.String({ description: 'The address from which it was asked.' }),
    operation: Type.String({ description: 'What was done, by the operationId of this document.' }),
    request: Type.String({ description: 'What was asked for, cut at 1,000 characters.' }),
    startedAt: instant('When the answer was begun.'),
    endedAt: nullable(instant('When it had ended; null while it runs.')),
    outcome: oneOf(
      ['running', 'complete', 'aborted', 'revoked'] as const,
      'running: under way, or its server did not live to say how it ended. complete: sent to its ' +
        'end. aborted: ended before, by either side. revoked: cut because the right was gone.',
    ),
    messages: Type.Integer({
      minimum: 0,
      description: 'Messages that were handed over to be sent. Of what was aborted, fewer came.',
    }),
    firstPosition: nullable(position('The lowest position among them.')),
    lastPosition: nullable(position('The highest.')),
  },
  { $id: 'Access', ...closed, description: 'One reading of messages.' },
);

/** A page of readings. */
export const AccessPage = Type.Object(
  {
    items: Type.Array(Type.Ref('Access#')),
    next: nullable(
      Type.String({ description: 'Relative URL of the next page; null where the answer ends.' }),
    ),
  },
  { $id: 'AccessPage', ...closed, description: 'A page of readings.' },
);

/** Which readings of messages. */
export const AccessQuery = Type.Object(
  {
    channel: Type.Optional(Type.String({ pattern: CHANNEL_PATTERN })),
    who: Type.Optional(
      Type.String({ pattern: WHO_PATTERN, description: 'As it stands in the list.' }),
    ),
    from: Type.Optional(instant('Only readings begun at this instant or later.')),
    to: Type.Optional(instant('Only readings begun before this instant.')),
    cursor: cursor(`^[0-9]{1,16}~${UUID}$`),
    limit,
  },
  { ...closed, description: 'Which readings of messages.' },
);
