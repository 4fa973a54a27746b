// The pieces of which the schemas of the contract are made: how a position, an instant or a value
// that may be missing looks, whatever it is about.

import {
  Type,
  type TInteger,
  type TNull,
  type TObject,
  type TSchema,
  type TString,
  type TUnion,
  type TUnsafe,
} from 'typebox';
import { LOSS_CAUSES, type LossCause, SEQUENCE_MAX } from '#base/mod.ts';
import { STREAM_STATUSES, type StreamStatus } from '#client/stream/mod.ts';

/** No members beside those that are named. */
export const closed = { additionalProperties: false };

/** A position or a sequence, from `minimum` on. */
export function position(description: string, minimum = 1): TInteger {
  return Type.Integer({ minimum, maximum: SEQUENCE_MAX, description });
}

/** An instant in UTC with six decimals. */
export function instant(description: string): TString {
  return Type.String({
    format: 'date-time',
    description,
    examples: ['2026-11-22T14:05:00.000001Z'],
  });
}

/** `schema`, or null. */
export function nullable<Schema extends TSchema>(schema: Schema): TUnion<[Schema, TNull]> {
  return Type.Union([schema, Type.Null()]);
}

/** One of these words. */
export function oneOf<Value extends string>(
  values: readonly Value[],
  description: string,
): TUnsafe<Value> {
  return Type.Unsafe<Value>({ type: 'string', enum: values, description });
}

/** How the name of a channel looks. */
export const CHANNEL_PATTERN = '^[A-Za-z0-9._-]{1,128}$';

/** How a cursor of messages looks. */
export const MESSAGE_CURSOR_PATTERN = '^[A-Za-z0-9_-]{16,512}$';

/** How the name of a session looks. */
export const SESSION_TEXT = {
  pattern: '^[0-7][0-9a-f]{15}$',
  description: 'One incarnation of a publisher: 16 lower-case hex digits.',
  examples: ['5f0c9d2ab8e17346'],
};

/** What a lost range of a foreign source counts as. */
export const lostPackets: TInteger = Type.Integer({
  minimum: 1,
  description:
    'How many packets of a foreign source these sequences are: nobody knows how many messages ' +
    'they held. null: every sequence from `first` to `last` is a lost message.',
});

const sqn = Type.Integer({ minimum: 0, maximum: 2 ** 32 - 1 });

/** Where in a capture to look for a loss. */
export const sqnRange: TObject<{ first: TInteger; last: TInteger }> = Type.Object(
  { first: sqn, last: sqn },
  {
    ...closed,
    description:
      'The packets in which the loss lies, by the numbers that a capture shows: behind 2^32 − 1 ' +
      'they begin again at 0. null if that is not known.',
  },
);

/** Whether what is committed stays. */
export const durability: TUnsafe<'durable' | 'degraded'> = oneOf(
  ['durable', 'degraded'] as const,
  'degraded: the settings of the database allow a crash to lose what it has committed.',
);

/** Why something is lost. */
export const cause: TUnsafe<LossCause> = oneOf(
  Object.keys(LOSS_CAUSES) as LossCause[],
  describeCauses(),
);

/** Whether an answer has all that was asked for. */
export const status: TUnsafe<StreamStatus> = oneOf(
  STREAM_STATUSES,
  'complete: everything that was asked for is here. partial: what is missing is lost, and named. ' +
    'deleted: some of it was archived and has been deleted by a policy, which is named, as is ' +
    'what is lost. unsettled: the archive has not got that far, ask again. unknown: the ' +
    'publisher fell silent before the end of the range; whether it published more, nobody knows.',
);

function describeCauses(): string {
  const lines = Object.entries(LOSS_CAUSES).map(([name, sentence]) => `${name}: ${sentence}`);
  return `Why. ${lines.join(' ')}`;
}

/** A session, by its name. */
export const sessionId: TString = Type.String(SESSION_TEXT);

/** What became of it. */
export const sessionState: TUnsafe<'open' | 'closed' | 'expired'> = oneOf(
  ['open', 'closed', 'expired'] as const,
  'open: heard of lately. closed: its publisher said goodbye. expired: it fell silent.',
);

/** Who publishes it. */
export const source: TUnion<[TString, TNull]> = nullable(
  Type.String({ description: 'Name of the publisher, if it told one.' }),
);

/** Where the following page is. */
export const next: TUnion<[TString, TNull]> = nullable(
  Type.String({ description: 'Relative URL of the next page; null where the answer ends.' }),
);

/** How far the archive was. */
export const archivedThrough: TInteger = position(
  'The last position of the channel when the answer was begun; 0 if nothing is archived.',
  0,
);

/** What every loss has, wherever it is told. */
export const lostRange = {
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
