// The part of the contract that is about what is wrong: how a problem looks, which errors the API
// answers with, and how each route declares its own. What commands and libraries report beside
// these is in the registry of errors alone.

import { Type, type TSchema } from 'typebox';
import { ERRORS, type ErrorCode } from '#base/mod.ts';
import { closed, instant, nullable, oneOf, position } from './contract-parts.ts';

/** Every error that the API answers with, and what its detail says for example. */
const DETAILS = {
  BACKCAST_RANGE_INVALID:
    'Parameter "limit" is "1e3": it must be a whole number from 1 to 10000, in plain digits.',
  BACKCAST_RANGE_INVERTED: '"from" lies behind "to". Exchange the two.',
  BACKCAST_CHANNEL_NAME: 'Parameter "channel" is "a b": it must match ^[A-Za-z0-9._-]{1,128}$.',
  BACKCAST_CURSOR_INVALID: 'Parameter "cursor" cannot be used. It belongs to another channel.',
  BACKCAST_UNAUTHENTICATED: 'The token is not known here, has expired or was revoked.',
  BACKCAST_FORBIDDEN: 'It takes a token with the scope "admin".',
  BACKCAST_CHANNEL_UNKNOWN: 'The archive has no channel "orders.eu".',
  BACKCAST_SESSION_UNKNOWN:
    'Channel "orders.eu" never had the session 5f0c9d2ab8e17346. Its list of sessions names all.',
  BACKCAST_NOT_FOUND: '/v2 is not an address of this API. GET / lists where to begin.',
  BACKCAST_NOT_ACCEPTABLE: 'A tail is served as text/event-stream. Name it in Accept.',
  BACKCAST_HISTORY_GONE: 'Positions from 1 on are no longer kept. Ask for what is after 4200.',
  BACKCAST_ARCHIVE_REWOUND:
    'Position 9100 was read of this channel, and it ends with 9000: the archive went back.',
  BACKCAST_RATE_LIMITED: 'More than 5000 requests came from this address within a second.',
  BACKCAST_TOO_MANY_READERS: '128 answers with messages are under way to this caller.',
  BACKCAST_INTERNAL: 'The log has the details under this instance.',
  BACKCAST_DATABASE_REFUSED: 'listing channels failed: permission denied for table channels.',
  BACKCAST_DATABASE_UNREACHABLE: 'postgres://10.0.0.3:5432/backcast cannot be reached.',
  BACKCAST_SCHEMA_MISSING: 'The database has no schema of Backcast. Run backcast migrate.',
  BACKCAST_ISSUER_UNREACHABLE: 'The keys at https://issuer.example/jwks.json cannot be had.',
  BACKCAST_BUSY: '256 answers with messages are under way. Try again in a moment.',
} as const satisfies Partial<Record<ErrorCode, string>>;

/** An error that the API answers with. */
export type ApiErrorCode = keyof typeof DETAILS;

/** All of them. */
export const API_ERROR_CODES = Object.keys(DETAILS) as readonly ApiErrorCode[];

/** RFC 9457, with the code from the registry of errors. */
export const Problem = Type.Object(
  {
    type: Type.String({ description: 'A URN that names the kind of problem.' }),
    title: Type.String({ description: 'The kind of problem in a sentence.' }),
    status: Type.Integer({ description: 'The HTTP status.' }),
    detail: Type.String({ description: 'What is wrong with this request, and what to do.' }),
    code: oneOf(API_ERROR_CODES, 'The code to look up in the documentation of errors.'),
    instance: Type.String({ description: 'A URN of this request, as it stands in the log.' }),
    available: Type.Optional(
      Type.Object(
        {
          firstPosition: nullable(position('The first position that is kept.')),
          archivedThrough: position('The last one.', 0),
          publishedFrom: nullable(instant('The earliest publish time that is kept.')),
          publishedThrough: nullable(instant('The latest one.')),
        },
        { ...closed, description: 'What there is instead of history that is gone.' },
      ),
    ),
  },
  {
    $id: 'Problem',
    ...closed,
    description: 'What is wrong, after RFC 9457, with the code from the registry of errors.',
  },
);

/** What every route may answer that asks the database. */
const COMMON: readonly ApiErrorCode[] = [
  'BACKCAST_RANGE_INVALID',
  'BACKCAST_UNAUTHENTICATED',
  'BACKCAST_RATE_LIMITED',
  'BACKCAST_INTERNAL',
  'BACKCAST_DATABASE_REFUSED',
  'BACKCAST_DATABASE_UNREACHABLE',
  'BACKCAST_SCHEMA_MISSING',
  'BACKCAST_ISSUER_UNREACHABLE',
];

/** What every route about one channel may answer besides. */
export const CHANNEL_PROBLEMS = ['BACKCAST_CHANNEL_NAME', 'BACKCAST_CHANNEL_UNKNOWN'] as const;
/** What every route that serves messages may answer besides. */
export const READER_PROBLEMS = ['BACKCAST_TOO_MANY_READERS', 'BACKCAST_BUSY'] as const;

type Responses = Readonly<Record<number, TSchema | object>>;

/** `responses` of a route, with the problems of `codes` and those that every route has. */
export function withProblems<Given extends Responses>(
  responses: Given,
  codes: readonly ApiErrorCode[],
): Given {
  return withOwnProblems(responses, [...COMMON, ...codes]);
}

/** `responses` of a route, with the problems of `codes` and no others. */
export function withOwnProblems<Given extends Responses>(
  responses: Given,
  codes: readonly ApiErrorCode[],
): Given {
  const byStatus = Map.groupBy(codes, (code) => ERRORS[code].httpStatus);
  const problems = [...byStatus].map(([status, those]) => [status, problemResponse(those)]);
  return { ...responses, ...Object.fromEntries(problems) } as Given;
}

function problemResponse(codes: readonly ApiErrorCode[]): object {
  const lines = codes.map((code) => `\`${code}\`: ${ERRORS[code].title}`);
  const examples = codes.map((code) => [code, { value: exampleOf(code) }]);
  return {
    description: lines.join('\n\n'),
    content: {
      'application/problem+json': {
        schema: Type.Ref('Problem#'),
        examples: Object.fromEntries(examples),
      },
    },
  };
}

function exampleOf(code: ApiErrorCode): object {
  const problem = {
    type: `urn:backcast:error:${code}`,
    title: ERRORS[code].title,
    status: ERRORS[code].httpStatus,
    detail: DETAILS[code],
    code,
    instance: 'urn:uuid:0b6c2f0e-6c1e-4b57-9f4e-2f5d7f1c9a3b',
  };
  if (code !== 'BACKCAST_HISTORY_GONE') return problem;
  const available = {
    firstPosition: 4_201,
    archivedThrough: 9_000,
    publishedFrom: '2026-11-21T00:00:00.000000Z',
    publishedThrough: '2026-11-22T14:05:00.000001Z',
  };
  return { ...problem, available };
}
