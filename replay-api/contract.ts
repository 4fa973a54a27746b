// The contract of the replay API: every shape that goes in or comes out, in one place. The same
// schemas check requests, write answers and make the OpenAPI document. Positions and sequences are
// JSON numbers (they never exceed 2^53 − 1), sessions are strings, instants are RFC 3339 in UTC
// with six decimals.

import { Type, type Static, type TSchema } from 'typebox';
import { ERRORS, SEQUENCE_MAX } from '#base/mod.ts';
import { AccessItem, AccessPage } from './contract-access.ts';
import { archivers } from './contract-archivers.ts';
import { ConflictItem, ConflictPage } from './contract-conflicts.ts';
import { DeletionItem, DeletionPage, deletedRanges } from './contract-deletions.ts';
import { Health, Index, Readiness } from './contract-operation.ts';
import { cursor, limit, PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX } from './contract-paging.ts';
import { SessionChangeItem, TailEndItem, TailFrame, TailStateItem } from './contract-tail.ts';
import {
  cause,
  CHANNEL_PATTERN,
  closed,
  durability,
  encoding,
  instant,
  lostPackets,
  nullable,
  oneOf,
  position,
  SESSION_TEXT,
  sqnRange,
  status,
} from './contract-parts.ts';

export { PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX };

const sessionId = Type.String(SESSION_TEXT);
const source = nullable(Type.String({ description: 'Name of the publisher, if it told one.' }));
const next = nullable(
  Type.String({ description: 'Relative URL of the next page; null where the answer ends.' }),
);

const archivedThrough = position(
  'The last position of the channel when the answer was begun; 0 if nothing is archived.',
  0,
);

/** RFC 9457, with the code from the registry of errors. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: 'A URN that names the kind of problem.' }),
    title: Type.String({ description: 'The kind of problem in a sentence.' }),
    status: Type.Integer({ description: 'The HTTP status.' }),
    detail: Type.String({ description: 'What is wrong with this request, and what to do.' }),
    code: oneOf(Object.keys(ERRORS), 'The code to look up in the documentation of errors.'),
    instance: Type.String({ description: 'A URN of this request, as it stands in the log.' }),
  },
  { $id: 'Problem', ...closed },
);

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
  { $id: 'Channel', ...closed },
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
    state: oneOf(
      ['open', 'closed', 'expired'] as const,
      'open: heard of lately. closed: its publisher said goodbye. expired: it fell silent.',
    ),
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
  { $id: 'Session', ...closed },
);

const lostRange = {
  session: sessionId,
  source,
  first: position('The first lost sequence.'),
  last: position('The last lost sequence.'),
  packets: nullable(lostPackets),
  cause,
  afterPosition: position('The position after which the messages would have come.', 0),
  detectedAt: instant('When the archiver noticed.'),
  declaredAt: instant('When it gave up.'),
};

/** A loss in the list of losses. */
export const ListedLossItem = Type.Object(
  {
    ...lostRange,
    sqns: nullable(sqnRange),
    healedAt: nullable(instant('When the messages turned up after all.')),
    healedBy: nullable(Type.String({ description: 'Who had them.' })),
  },
  { $id: 'ListedLoss', ...closed },
);

/** A loss among messages. */
export const LossItem = Type.Object(
  { kind: Type.Literal('loss'), ...lostRange },
  { $id: 'Loss', ...closed },
);

/** A message. */
export const MessageItem = Type.Object(
  {
    kind: Type.Literal('message'),
    position: position('Its place in the channel.'),
    session: sessionId,
    source,
    sequence: position('Its number within the session.'),
    publishedAt: instant(
      'When its publisher says it published it; when it arrived, in framings that do not say.',
    ),
    archivedAt: instant('When the database had it for good.'),
    encoding: Type.Optional(encoding),
    payload: Type.Optional(
      Type.String({ description: 'Not in the framing zmq, which has parts.' }),
    ),
    parts: Type.Optional(
      Type.Array(Type.Object({ encoding, payload: Type.String() }, closed), {
        description: 'The parts of the message; only on a channel of the framing zmq.',
      }),
    ),
  },
  { $id: 'Message', ...closed },
);

const list = (schemaName: string, id: string) =>
  Type.Object({ items: Type.Array(Type.Ref(`${schemaName}#`)), next }, { $id: id, ...closed });

/** A page of channels. */
export const ChannelPage = list('Channel', 'ChannelPage');
/** A page of sessions. */
export const SessionPage = list('Session', 'SessionPage');
/** A page of losses. */
export const LossPage = list('ListedLoss', 'LossPage');

/** A page of messages in JSON. */
export const MessagePage = Type.Object(
  {
    channel: Type.String(),
    status,
    archivedThrough,
    items: Type.Array(Type.Ref('Message#')),
    losses: Type.Array(Type.Ref('Loss#'), {
      description: 'What is lost among the items of this page, in their order.',
    }),
    deletions: Type.Array(Type.Ref('Deletion#'), {
      description:
        'What a policy has deleted among them. One that reaches over the end of the page is ' +
        'named on the next one again.',
    }),
    next,
  },
  { $id: 'MessagePage', ...closed },
);

/** The last line of an NDJSON answer; an answer without it was cut off. */
export const EndItem = Type.Object(
  {
    kind: Type.Literal('end'),
    complete: Type.Boolean({ description: 'Whether `status` is "complete".' }),
    status,
    count: Type.Integer({ minimum: 0, description: 'Messages in this answer.' }),
    lastPosition: nullable(position('Of the last message in this answer.')),
    archivedThrough,
    next,
  },
  { $id: 'End', ...closed },
);

/** Any line of an NDJSON answer. */
export const MessageLine = Type.Union(
  [Type.Ref('Message#'), Type.Ref('Loss#'), Type.Ref('Deletion#'), Type.Ref('End#')],
  {
    $id: 'MessageLine',
    description:
      'One JSON object per line: messages, losses and deletions where they lie, and an end.',
  },
);

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
  { $id: 'Completeness', ...closed },
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
  closed,
);
/** Which sessions. */
export const SessionsQuery = Type.Object(
  { cursor: cursor('^[0-9]{1,16}~[0-7][0-9a-f]{15}$'), limit },
  closed,
);
/** Which losses, which deletions. */
export const LossesQuery = Type.Object(
  {
    session: Type.Optional(Type.String(SESSION_TEXT)),
    cursor: cursor('^[0-9]{1,16}~[0-7][0-9a-f]{15}~[0-9]{1,16}$'),
    limit,
  },
  closed,
);

/** Which messages. Either by position and publish time, or by session. */
export const MessagesQuery = Type.Object(
  {
    after: Type.Optional(position('Only positions after this one.', 0)),
    before: Type.Optional(position('Only positions before this one.')),
    from: Type.Optional(instant('Only messages published at this instant or later.')),
    to: Type.Optional(instant('Only messages published before this instant.')),
    session: Type.Optional(Type.String(SESSION_TEXT)),
    first: Type.Optional(
      position(
        'The first sequence of `session`; if not given, 1, or the first of a foreign source.',
      ),
    ),
    last: Type.Optional(
      position('The last sequence of `session`; all that is archived if not given.'),
    ),
    order: Type.Optional(
      oneOf(['asc', 'desc'] as const, 'Oldest first (the default) or newest first.'),
    ),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: SEQUENCE_MAX,
        description:
          `Messages in the answer. JSON: ${PAGE_ITEMS_DEFAULT} if not given, at most ` +
          `${PAGE_ITEMS_MAX}. NDJSON: all if not given.`,
        examples: [10],
      }),
    ),
  },
  closed,
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
  closed,
);

export type MessagesQuery = Static<typeof MessagesQuery>;
