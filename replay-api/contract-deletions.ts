// The part of the contract that is about what retention has deleted: how a deletion looks in a
// list, among messages and in an answer about completeness.

import { Type } from 'typebox';
import { closed, instant, nullable, position, SESSION_TEXT } from './contract-parts.ts';

const messages = nullable(
  Type.Integer({
    minimum: 0,
    description:
      'How many messages these sequences were; null where a range cuts those of a foreign source.',
  }),
);

const sequences = {
  first: position('The first deleted sequence.'),
  last: position('The last deleted sequence.'),
  messages,
};

const circumstances = {
  firstPosition: position('From here'),
  lastPosition: position('to here every position was deleted, of this session or of others.'),
  publishedFrom: instant('Nothing of it was published before this instant,'),
  publishedThrough: instant('or after this one.'),
  deletedAt: instant('When it was deleted.'),
  policy: Type.String({ description: 'By which policy.', examples: ['age 30d', 'bytes 100GB'] }),
};

const deletedRange = {
  session: Type.String(SESSION_TEXT),
  source: nullable(Type.String({ description: 'Name of the publisher, if it told one.' })),
  ...sequences,
  ...circumstances,
};

/** A deletion among messages, and in the list of deletions. */
export const DeletionItem = Type.Object(
  { kind: Type.Literal('deletion'), ...deletedRange },
  {
    $id: 'Deletion',
    ...closed,
    description: 'Sequences that were archived, and that a policy has deleted since.',
  },
);

/** A page of deletions. */
export const DeletionPage = Type.Object(
  {
    items: Type.Array(Type.Ref('Deletion#')),
    next: nullable(
      Type.String({ description: 'Relative URL of the next page; null where the answer ends.' }),
    ),
  },
  { $id: 'DeletionPage', ...closed, description: 'A page of deletions.' },
);

/** Deleted sequences of the range that completeness was asked for. */
export const deletedRanges = Type.Array(
  Type.Object(
    { ...sequences, deletedAt: circumstances.deletedAt, policy: circumstances.policy },
    closed,
  ),
  { description: 'What was archived, and deleted by a policy since.' },
);
