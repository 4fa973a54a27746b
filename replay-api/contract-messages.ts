// The part of the contract that is about messages: how they are asked for, one range or many, and
// the forms in which they come. The binary form is not of this contract: its layout stands with the
// code that both ends share.

import { Type, type Static } from 'typebox';
import { SEQUENCE_MAX } from '#base/mod.ts';
import { PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX } from './contract-paging.ts';
import {
  archivedThrough,
  closed,
  instant,
  lostRange,
  MESSAGE_CURSOR_PATTERN,
  next,
  nullable,
  oneOf,
  position,
  SESSION_TEXT,
  sessionId,
  source,
  status,
} from './contract-parts.ts';

/** Ranges in one fetch: what a client that lost packets for a while has holes, and more. */
export const FETCH_RANGES_MAX = 1_000;

/** A loss among messages. */
export const LossItem = Type.Object(
  { kind: Type.Literal('loss'), ...lostRange },
  {
    $id: 'Loss',
    ...closed,
    description: 'Sequences that were given up, where they lie among the messages.',
  },
);

const content = {
  encoding: oneOf(
    ['utf8', 'base64', 'json'] as const,
    'utf8: `payload` is the text whose bytes were published. base64: the bytes are no UTF-8. ' +
      'json: the bytes are JSON and `payload` is that, which is only done with `decode=json`.',
  ),
  payload: Type.Unknown({ description: 'A text, or with `decode=json` any JSON.' }),
};

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
    encoding: Type.Optional(content.encoding),
    payload: Type.Optional(content.payload),
    parts: Type.Optional(
      Type.Array(Type.Object(content, closed), {
        description:
          'The parts of the message, only on a channel of the framing zmq; it has no `payload`.',
      }),
    ),
  },
  { $id: 'Message', ...closed, description: 'A message of the archive.' },
);

const cursor = Type.String({
  description: 'Goes on behind this answer, also where it ends: then with what comes later.',
  examples: ['AbC_0123456789-xyz'],
});
const askAgainMs = nullable(
  Type.Integer({
    minimum: 0,
    description:
      'Of what is not archived yet: after so many milliseconds asking again is worth it.',
  }),
);

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
    remaining: Type.Integer({
      minimum: 0,
      description: 'Messages behind this page, at most.',
    }),
    cursor,
    next,
    askAgainMs,
  },
  { $id: 'MessagePage', ...closed, description: 'A page of messages.' },
);

/** One of several ranges has been told. */
export const RangeItem = Type.Object(
  {
    kind: Type.Literal('range'),
    session: sessionId,
    first: position('As it was asked for.'),
    last: position('As it was asked for.'),
    status,
    untoldFrom: nullable(
      position(
        'The first sequence of the range that is not told: where `status` is unsettled, it may ' +
          'still come. null: the whole range is.',
      ),
    ),
  },
  { $id: 'Range', ...closed, description: 'One of several ranges has been told.' },
);

const rate = (description: string) => nullable(Type.Integer({ minimum: 0, description }));

/** How long a stream will take, told in it now and then. */
export const EstimateItem = Type.Object(
  {
    kind: Type.Literal('estimate'),
    remaining: Type.Integer({ minimum: 0, description: 'Messages still to come, at most.' }),
    rate: rate('Messages per second that this reader takes; null before that is known.'),
    liveRate: rate('Messages per second that are archived meanwhile; null before it is known.'),
    etaSeconds: rate(
      'Until the reader has all, also what is archived until then; null if that is not known, or ' +
        'never.',
    ),
    isCatchingUp: Type.Boolean({
      description: 'false: at these rates the reader never reaches what is archived last.',
    }),
  },
  {
    $id: 'Estimate',
    ...closed,
    description: 'How long a stream will take, told in it now and then.',
  },
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
    cursor: nullable(cursor),
    next,
    askAgainMs,
  },
  { $id: 'End', ...closed, description: 'The end of a stream; one without it was cut off.' },
);

/** Any line of an NDJSON answer. */
export const MessageLine = Type.Union(
  ['Message', 'Loss', 'Deletion', 'Range', 'Estimate', 'End'].map((name) => Type.Ref(`${name}#`)),
  {
    $id: 'MessageLine',
    description:
      'One JSON object per line: messages, losses and deletions where they lie, and an end. With ' +
      '`estimate=true` now and then an estimate; of a fetch, a range behind each range.',
  },
);

/** Which messages. Either by position and time, or by session, or by a cursor. */
export const MessagesQuery = Type.Object(
  {
    after: Type.Optional(position('Only positions after this one.', 0)),
    before: Type.Optional(position('Only positions before this one.')),
    seenThrough: Type.Optional(
      position(
        'A position that was read before, such as that of `after`: if the archive ends before ' +
          'it, it went back to an earlier moment, and the answer is a refusal (410) rather than ' +
          'one to wait for. A cursor has it within.',
        0,
      ),
    ),
    from: Type.Optional(instant('Only messages published at this instant or later.')),
    to: Type.Optional(instant('Only messages published before this instant.')),
    archivedFrom: Type.Optional(
      instant('Only messages archived, and losses declared, at this instant or later.'),
    ),
    archivedTo: Type.Optional(
      instant('Only messages archived, and losses declared, before this instant.'),
    ),
    session: Type.Optional(Type.String(SESSION_TEXT)),
    first: Type.Optional(
      position(
        'The first sequence of `session`; if not given, 1, or the first of a foreign source.',
      ),
    ),
    last: Type.Optional(
      position('The last sequence of `session`; all that is archived if not given.'),
    ),
    cursor: Type.Optional(
      Type.String({
        pattern: MESSAGE_CURSOR_PATTERN,
        description:
          'Goes on where another answer ended; says by itself what was asked for there, so that ' +
          'none of the parameters above may stand beside it.',
      }),
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
          `${PAGE_ITEMS_MAX}. Streams: all if not given.`,
        examples: [10],
      }),
    ),
    decode: Type.Optional(
      oneOf(['json'] as const, 'json: payloads that are JSON stand as JSON, in JSON and NDJSON.'),
    ),
    estimate: Type.Optional(
      oneOf(['true', 'false'] as const, 'true: NDJSON tells now and then how long it will take.'),
    ),
  },
  { ...closed, description: 'Which messages: by position and time, by session, or by a cursor.' },
);

/** What a fetch asks for. */
export const FetchBody = Type.Object(
  {
    ranges: Type.Array(
      Type.Object(
        {
          session: sessionId,
          first: position('The first sequence.'),
          last: position('The last sequence.'),
        },
        closed,
      ),
      { minItems: 1, maxItems: FETCH_RANGES_MAX },
    ),
  },
  {
    ...closed,
    description: 'Which ranges of which sessions.',
    examples: [{ ranges: [{ session: '5f0c9d2ab8e17346', first: 1, last: 10 }] }],
  },
);

export type MessagesQuery = Static<typeof MessagesQuery>;
export type FetchBody = Static<typeof FetchBody>;
