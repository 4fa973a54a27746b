// The part of the contract that is about the tail: what its frames carry, beside messages, losses
// and deletions, which look as they do everywhere.

import { type Static, Type } from 'typebox';
import {
  closed,
  MESSAGE_CURSOR_PATTERN,
  nullable,
  oneOf,
  position,
  SESSION_TEXT,
} from './contract-parts.ts';
import { API_ERROR_CODES } from './contract-problems.ts';

/** Frame `session`: a publisher's session began, ended, or is not heard any more. */
export const SessionChangeItem = Type.Object(
  {
    kind: Type.Literal('session'),
    session: Type.String(SESSION_TEXT),
    source: nullable(Type.String({ description: 'Name of the publisher, if it told one.' })),
    state: oneOf(
      ['open', 'closed', 'expired'] as const,
      'open: told before its first message, and of every open session when a tail gets live. ' +
        'closed: its publisher said goodbye. expired: it fell silent. Both come behind its last ' +
        'message.',
    ),
  },
  {
    $id: 'SessionChange',
    ...closed,
    description: 'A session of a publisher began, ended, or is not heard any more.',
  },
);

/** Frame `state`: what the tail does from here on. */
export const TailStateItem = Type.Object(
  {
    kind: Type.Literal('state'),
    state: oneOf(
      ['replaying', 'live', 'away', 'rewound'] as const,
      'replaying: what follows is history, up to `archivedThrough`. live: what follows is sent ' +
        'as soon as it is archived. away: the database does not answer; the tail goes on when it ' +
        'does. rewound: the archive ends before `after` or Last-Event-ID; a server took over ' +
        'that lacks the last commits, and positions behind `position` are given out anew.',
    ),
    position: position('The reader has everything up to here.', 0),
    archivedThrough: position('The archive has everything up to here.', 0),
  },
  { $id: 'TailState', ...closed, description: 'What a tail does from here on.' },
);

/** Frame `end`: the server ends the tail. */
export const TailEndItem = Type.Object(
  {
    kind: Type.Literal('end'),
    position: position('The reader has everything up to here.', 0),
    code: nullable(oneOf(API_ERROR_CODES, 'Why; null if the server stops.')),
    detail: Type.String({ description: 'The same for people.' }),
  },
  { $id: 'TailEnd', ...closed, description: 'The server ends a tail.' },
);

/** What the line `data` of any frame of a tail is. */
export const TailFrame = Type.Union(
  [
    Type.Ref('Message#'),
    Type.Ref('Loss#'),
    Type.Ref('Deletion#'),
    Type.Ref('SessionChange#'),
    Type.Ref('TailState#'),
    Type.Ref('TailEnd#'),
  ],
  {
    $id: 'TailFrame',
    description:
      'Server-sent events. The line `event` of each names the `kind` of the object in its line ' +
      '`data`: message, loss, deletion, session, state, end. The line `id` is the position up to ' +
      'which the reader has everything.',
  },
);

/** Where a tail begins. */
export const TailQuery = Type.Object(
  {
    after: Type.Optional(
      position(
        'Begin behind this position; with what is archived next if not given. The header ' +
          'Last-Event-ID, which a reader sends that connects again, goes before it.',
        0,
      ),
    ),
    cursor: Type.Optional(
      Type.String({
        pattern: MESSAGE_CURSOR_PATTERN,
        description:
          'Begin where an answer about messages ended, in place of `after`. The question of that ' +
          'answer must have been one of the channel, in ascending order and without an end.',
      }),
    ),
  },
  { ...closed, description: 'Where a tail begins.' },
);

export type TailQuery = Static<typeof TailQuery>;
