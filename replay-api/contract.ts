// The contract of the replay API: every shape that goes in or comes out, in one place. The same
// schemas check requests, write answers and make the OpenAPI document. Positions and sequences are
// JSON numbers (they never exceed 2^53 − 1), sessions are strings, instants are RFC 3339 in UTC
// with six decimals.

import { Type, type TSchema } from 'typebox';
import { AccessItem, AccessPage } from './contract-access.ts';
import { archivers } from './contract-archivers.ts';
import { ConflictItem, ConflictPage } from './contract-conflicts.ts';
import { DeletionItem, DeletionPage, deletedRanges } from './contract-deletions.ts';
import { Health, Index, Readiness } from './contract-operation.ts';
import { cursor, limit } from './contract-paging.ts';
import { Problem } from './contract-problems.ts';
import { SessionChangeItem, TailEndItem, TailFrame, TailStateItem } from './contract-tail.ts';
import {
  EndItem,
  EstimateItem,
  LossItem,
  MessageItem,
  MessageLine,
  MessagePage,
  RangeItem,
} from './contract-messages.ts';
import {
  archivedThrough,
  cause,
  CHANNEL_PATTERN,
  closed,
  durability,
  instant,
  lostPackets,
  lostRange,
  next,
  nullable,
  oneOf,
  position,
  SESSION_TEXT,
  sessionId,
  sessionState,
  source,
  sqnRange,
  status,
} from './contract-parts.ts';

export { PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX } from './contract-paging.ts';
export * from './contract-messages.ts';
export { Problem } from './contract-problems.ts';

/** A channel as GET /v1/channels/{channel} answers it. */
export const ChannelItem = Type.Object(
  {
    channel: Type.String({ description: 'Name of the channel.' }),
    group: Type.String({ description: 'Multicast group, IPv4 or IPv6.' }),
    port: Type.Integer({ description: 'UDP port.' }),
    dport: Type.Integer({ description: 'PGM data-destination port.' }),
    framing: oneOf(['native', 'raw', 'zmq'] as const, 'How packets are cut into messages.'),
    createdAt: instant('When the archive first knew the channel.'),
    archivedThrough,
    durability,
    firstPosition: nullable(position('The first position that is kept.')),
    firstAvailable: position('From this position on nothing has been deleted.'),
    publishedFrom: nullable(instant('The earliest publish time that is kept.')),
    publishedThrough: nullable(instant('The latest publish time that is kept.')),
    archivers,
  },
  { $id: 'Channel', ...closed, description: 'A channel, as the archive knows it.' },
);

/** A session of a channel. */
export const SessionItem = Type.Object(
  {
    session: sessionId,
    source,
    tsi: Type.String({ description: 'Transport session identifier on the wire.' }),
    isForeign: Type.Boolean({
      description:
        'Whether its source is not of Backcast: then sequences are made of packet numbers, begin ' +
        'anywhere, and not every one of them is a message.',
    }),
    state: sessionState,
    firstArchived: position(
      'The first sequence that the archive accounts for; 1 while nothing of a foreign source is.',
    ),
    watermark: position('Through here every sequence is stored or declared lost.', 0),
    lead: position('The highest sequence known to exist.', 0),
    tail: oneOf(
      ['open', 'complete', 'unknown'] as const,
      'What is behind the lead. open: more may come. complete: nothing. unknown: the publisher ' +
        'fell silent, and what it published last may have been heard by nobody.',
    ),
    openedAt: instant('When the archiver first heard the session.'),
    seenAt: instant('When it last heard it.'),
    closedAt: nullable(instant('When it ended.')),
  },
  { $id: 'Session', ...closed, description: 'One incarnation of a publisher on a channel.' },
);

/** A loss in the list of losses. */
export const ListedLossItem = Type.Object(
  {
    ...lostRange,
    sqns: nullable(sqnRange),
    healedAt: nullable(instant('When the messages turned up after all.')),
    healedBy: nullable(Type.String({ description: 'Who had them.' })),
  },
  {
    $id: 'ListedLoss',
    ...closed,
    description: 'Sequences that were given up, in the list of losses.',
  },
);

const list = (schemaName: string, id: string, description: string) =>
  Type.Object(
    { items: Type.Array(Type.Ref(`${schemaName}#`)), next },
    { $id: id, ...closed, description },
  );

/** A page of channels. */
export const ChannelPage = list('Channel', 'ChannelPage', 'A page of channels.');
/** A page of sessions. */
export const SessionPage = list('Session', 'SessionPage', 'A page of sessions.');
/** A page of losses. */
export const LossPage = list('ListedLoss', 'LossPage', 'A page of losses.');

/** How complete a range of a session is. */
export const CompletenessAnswer = Type.Object(
  {
    channel: Type.String(),
    session: sessionId,
    source,
    state: Type.Index(SessionItem, ['state']),
    first: position('First sequence of the range.'),
    last: position('Last sequence of the range.', 0),
    status,
    lost: Type.Array(
      Type.Object(
        {
          first: position('The first lost sequence.'),
          last: position('The last lost sequence.'),
          packets: nullable(lostPackets),
          cause,
        },
        closed,
      ),
    ),
    deleted: deletedRanges,
    storedCount: nullable(
      Type.Integer({
        minimum: 0,
        description:
          'Messages of the range that are stored; null for a foreign source, where only reading ' +
          'the range counts them.',
      }),
    ),
    lostCount: Type.Integer({
      minimum: 0,
      description: 'Messages of the range that are lost; packets, for a foreign source.',
    }),
    deletedCount: nullable(
      Type.Integer({
        minimum: 0,
        description:
          'Messages that are deleted; null where the range cuts those of a foreign source.',
      }),
    ),
    unsettledFrom: nullable(position('The first sequence of the range still to come.')),
    unknownFrom: nullable(
      position('The first sequence of the range that nobody can say was published.'),
    ),
    tail: Type.Index(SessionItem, ['tail']),
    watermark: position('Through here the archive accounts for the session.', 0),
  },
  { $id: 'Completeness', ...closed, description: 'How complete a range of a session is.' },
);

/** Every schema that others refer to by name. */
export const SHARED_SCHEMAS: readonly TSchema[] = [
  Problem,
  ChannelItem,
  SessionItem,
  ListedLossItem,
  LossItem,
  DeletionItem,
  MessageItem,
  RangeItem,
  EstimateItem,
  EndItem,
  ChannelPage,
  SessionPage,
  LossPage,
  DeletionPage,
  ConflictItem,
  ConflictPage,
  AccessItem,
  AccessPage,
  MessagePage,
  MessageLine,
  SessionChangeItem,
  TailStateItem,
  TailEndItem,
  TailFrame,
  CompletenessAnswer,
  Health,
  Readiness,
  Index,
];

/** The path parameter of everything below a channel. */
export const ChannelParams = Type.Object(
  {
    channel: Type.String({
      pattern: CHANNEL_PATTERN,
      description: 'Name of the channel: 1 to 128 of A–Z a–z 0–9 . _ -',
      examples: ['orders.eu'],
    }),
  },
  closed,
);

/** Which channels. */
export const ChannelsQuery = Type.Object(
  { cursor: cursor('^[A-Za-z0-9._-]{1,128}$'), limit },
  { ...closed, description: 'Which channels.' },
);
/** Which sessions. */
export const SessionsQuery = Type.Object(
  {
    state: Type.Optional(sessionState),
    session: Type.Optional(Type.String(SESSION_TEXT)),
    cursor: cursor('^[0-9]{1,16}~[0-7][0-9a-f]{15}$'),
    limit,
  },
  { ...closed, description: 'Which sessions.' },
);
/** Which losses, which deletions. */
export const LossesQuery = Type.Object(
  {
    session: Type.Optional(Type.String(SESSION_TEXT)),
    cursor: cursor('^[0-9]{1,16}~[0-7][0-9a-f]{15}~[0-9]{1,16}$'),
    limit,
  },
  { ...closed, description: 'Which losses, deletions, conflicts.' },
);

/** Which range of which session. */
export const CompletenessQuery = Type.Object(
  {
    session: Type.String(SESSION_TEXT),
    first: Type.Optional(
      position(
        'The first sequence of the range; if not given, 1, or the first of a foreign source.',
      ),
    ),
    last: Type.Optional(
      position('The last sequence of the range; the highest known to exist if not given.'),
    ),
  },
  { ...closed, description: 'Which range of which session.' },
);
