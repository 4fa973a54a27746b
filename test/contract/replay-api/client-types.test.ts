// The types that the client has of the API, held against the contract twice: the files are what the
// contract makes, and the compiler takes an answer of the contract for one of the client and back.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Static, TSchema } from 'typebox';
import type { Contract } from '#client/mod.ts';
import { clientTypes } from '#replay-api/client-types.ts';
import type { DeletionItem } from '#replay-api/contract-deletions.ts';
import type { Readiness } from '#replay-api/contract-operation.ts';
import type { TailQuery } from '#replay-api/contract-tail.ts';
import type {
  ChannelItem,
  CompletenessAnswer,
  EndItem,
  FetchBody,
  ListedLossItem,
  LossesQuery,
  LossItem,
  MessageItem,
  MessagesQuery,
  SessionItem,
  SessionsQuery,
} from '#replay-api/contract.ts';
import { declarationOf } from '#replay-api/type-declarations.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

test('the types of the client are those of the contract', () => {
  for (const [path, text] of clientTypes()) {
    const current = readFileSync(`${ROOT}/${path}`, 'utf8');
    assert.equal(current, text, 'node replay-api/write-client-types.ts writes the types anew');
  }
});

/** With every member as one that is only read, as the client has them. */
type Read<Value> = Value extends object
  ? { readonly [Name in keyof Value]: Read<Value[Name]> }
  : Value;
/** A member that is left out and one that is undefined are the same question. */
type Given<Query> = { [Name in keyof Query]: Exclude<Query[Name], undefined> };
/** A value of either type is one of the other. */
type Same<One extends TSchema, Other> = [Read<Static<One>>] extends [Other]
  ? [Other] extends [Read<Static<One>>]
    ? true
    : false
  : false;

/** Held by the compiler: each of these is `true`. */
const SAME: readonly true[] = [
  true satisfies Same<typeof ChannelItem, Contract.Channel>,
  true satisfies Same<typeof SessionItem, Contract.Session>,
  true satisfies Same<typeof ListedLossItem, Contract.ListedLoss>,
  true satisfies Same<typeof LossItem, Contract.Loss>,
  true satisfies Same<typeof MessageItem, Contract.Message>,
  true satisfies Same<typeof DeletionItem, Contract.Deletion>,
  true satisfies Same<typeof EndItem, Contract.End>,
  true satisfies Same<typeof CompletenessAnswer, Contract.Completeness>,
  true satisfies Same<typeof Readiness, Contract.Readiness>,
  true satisfies Same<typeof FetchBody, Contract.FetchBody>,
  true satisfies Same<typeof MessagesQuery, Given<Contract.MessagesQuery>>,
  true satisfies Same<typeof SessionsQuery, Given<Contract.SessionsQuery>>,
  true satisfies Same<typeof LossesQuery, Given<Contract.LossesQuery>>,
  true satisfies Same<typeof TailQuery, Given<Contract.TailQuery>>,
];

test('the compiler takes the one for the other', () => assert.ok(SAME.every(Boolean)));

const STYLE = { isQuestion: false, wordTypes: new Map([['late early', 'Hour']]) };

test('a declaration says what its schema says', () => {
  const text = { type: 'string' };
  const members = {
    kind: { const: 'one', type: 'string' },
    name: { ...text, description: 'Of whom.' },
    state: { ...text, enum: ['open', 'closed'] },
    hour: { ...text, enum: ['late', 'early'] },
    at: { anyOf: [{ type: 'integer', description: 'When.' }, { type: 'null' }] },
    rest: { type: 'array', items: { $ref: 'Other#' } },
    more: { type: 'object', properties: { isSo: { type: 'boolean' } }, required: ['isSo'] },
    any: {},
  };
  const required = Object.keys(members).filter((name) => name !== 'name');
  const schema = { type: 'object', properties: members, required, description: 'A thing.' };
  assert.equal(
    declarationOf('Thing', schema, STYLE),
    `/** A thing. */
export interface Thing {
  readonly kind: 'one';
  /** Of whom. */
  readonly name?: string;
  readonly state: 'open' | 'closed';
  readonly hour: Hour;
  /** When. */
  readonly at: number | null;
  readonly rest: readonly Other[];
  readonly more: {
    readonly isSo: boolean;
  };
  readonly any: unknown;
}
`,
  );
});

test('what may be left out of a question may be undefined in it', () => {
  const schema = { properties: { limit: { type: 'integer' } }, description: 'What.' };
  const declared = declarationOf('Query', schema, { ...STYLE, isQuestion: true });
  assert.match(declared, /readonly limit\?: number \| undefined;/);
});

test('what is too long for a line is broken as the formatter breaks it', () => {
  const words = Array.from({ length: 9 }, (_, index) => `a-rather-long-word-${index}`);
  const description = words.join(' ');
  const declared = declarationOf('Words', { enum: words, description }, STYLE);
  const lines = declared.split('\n');
  assert.ok(
    lines.every(({ length }) => length <= 100),
    declared,
  );
  assert.equal(lines.filter((line) => line.startsWith("  | 'a-rather")).length, words.length);
});
