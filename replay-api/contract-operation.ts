// The part of the contract that is about the service itself: whether it runs, whether it can
// answer, and where to go.

import { Type, type Static } from 'typebox';
import { closed, durability, nullable, oneOf } from './contract-parts.ts';

/** GET /healthz: the process runs. */
export const Health = Type.Object(
  { status: Type.Literal('ok') },
  { $id: 'Health', ...closed, description: 'The process runs.' },
);

/** GET /readyz: whether requests can be answered, and how far the archive is behind. */
export const Readiness = Type.Object(
  {
    status: oneOf(['ready', 'unready'] as const, 'Whether requests can be answered.'),
    database: oneOf(['reachable', 'unreachable'] as const, 'Whether the database answers.'),
    schema: oneOf(['current', 'missing', 'unknown'] as const, 'Whether it has our tables.'),
    archive: nullable(
      Type.Object(
        {
          channels: Type.Integer({ description: 'Channels that are known.' }),
          channelsWritten: Type.Integer({ description: 'Channels that an archiver holds now.' }),
          sessionsOpen: Type.Integer({ description: 'Sessions that are open.' }),
          messagesOutstanding: Type.Integer({
            description:
              'Messages of open sessions that exist and are not archived yet; of foreign sources ' +
              'packets.',
          }),
        },
        closed,
      ),
    ),
    durability: nullable(
      Type.Object(
        {
          state: durability,
          reasons: Type.Array(Type.String(), { description: 'Why it is degraded.' }),
        },
        closed,
      ),
    ),
    detail: nullable(Type.String({ description: 'What is wrong.' })),
  },
  {
    $id: 'Readiness',
    ...closed,
    description: 'Whether requests can be answered, and how far the archive is behind.',
  },
);

/** GET /: where to go. */
export const Index = Type.Object(
  {
    name: Type.Literal('backcast'),
    channels: Type.String(),
    docs: Type.String(),
    openapi: Type.String(),
    health: Type.String(),
    readiness: Type.String(),
  },
  { $id: 'Index', ...closed, description: 'Where to go.' },
);

export type Readiness = Static<typeof Readiness>;
