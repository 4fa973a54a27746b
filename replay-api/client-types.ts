// The types that clients know the API by: the contract as TypeScript, in the files of the client,
// which has no dependency on what the contract is made of. A test holds that the files are current.

import type { TSchema } from 'typebox';
import { LOSS_CAUSES } from '#base/mod.ts';
import { AccessItem, AccessPage, AccessQuery } from './contract-access.ts';
import { ConflictItem, ConflictPage } from './contract-conflicts.ts';
import { DeletionItem, DeletionPage } from './contract-deletions.ts';
import { ExportQuery } from './contract-export.ts';
import { Health, Index, Readiness } from './contract-operation.ts';
import { API_ERROR_CODES, Problem } from './contract-problems.ts';
import { SessionChangeItem, TailEndItem, TailFrame, TailQuery } from './contract-tail.ts';
import { TailStateItem } from './contract-tail.ts';
import * as contract from './contract.ts';
import { declarationOf, type JsonSchema } from './type-declarations.ts';

const MESSAGES = {
  Message: contract.MessageItem,
  Loss: contract.LossItem,
  Deletion: DeletionItem,
  Range: contract.RangeItem,
  Estimate: contract.EstimateItem,
  End: contract.EndItem,
  MessagePage: contract.MessagePage,
  MessageLine: contract.MessageLine,
  SessionChange: SessionChangeItem,
  TailState: TailStateItem,
  TailEnd: TailEndItem,
  TailFrame,
};

const CATALOGUE = {
  Channel: contract.ChannelItem,
  ChannelPage: contract.ChannelPage,
  Session: contract.SessionItem,
  SessionPage: contract.SessionPage,
  ListedLoss: contract.ListedLossItem,
  LossPage: contract.LossPage,
  DeletionPage,
  Conflict: ConflictItem,
  ConflictPage,
  Completeness: contract.CompletenessAnswer,
};

const SERVICE = {
  Problem,
  Access: AccessItem,
  AccessPage,
  Health,
  Readiness,
  Index,
};

const QUESTIONS = {
  ChannelsQuery: contract.ChannelsQuery,
  SessionsQuery: contract.SessionsQuery,
  LossesQuery: contract.LossesQuery,
  MessagesQuery: contract.MessagesQuery,
  FetchBody: contract.FetchBody,
  CompletenessQuery: contract.CompletenessQuery,
  TailQuery,
  ExportQuery,
  AccessQuery,
};

const WORD_TYPES: ReadonlyMap<string, string> = new Map([
  [API_ERROR_CODES.join(' '), 'ProblemCode'],
  [Object.keys(LOSS_CAUSES).join(' '), 'LossCause'],
]);

const IMPORT_CAUSE = "import type { LossCause } from '#base/mod.ts';\n";
const IMPORT_CODE = "import type { ProblemCode } from './contract-service.ts';\n";
const IMPORT_DELETION = "import type { Deletion } from './contract-messages.ts';\n";

/** The files, by their paths. */
export function clientTypes(): ReadonlyMap<string, string> {
  const answers = (schemas: Schemas, about: string, imports: string): string =>
    `${head(`What the replay API answers about ${about}.`)}${imports}\n` +
    declarations(schemas, false);
  return new Map([
    ['client/contract-messages.ts', answers(MESSAGES, 'messages', IMPORT_CAUSE + IMPORT_CODE)],
    [
      'client/contract-catalogue.ts',
      answers(CATALOGUE, 'channels and sessions', IMPORT_CAUSE + IMPORT_DELETION),
    ],
    [
      'client/contract-service.ts',
      head('What the replay API answers about itself, and what is wrong.') +
        `${problemCodes()}\n${declarations(SERVICE, false)}`,
    ],
    [
      'client/contract-questions.ts',
      head('What the replay API takes as parameters and bodies.') + declarations(QUESTIONS, true),
    ],
  ]);
}

function problemCodes(): string {
  const codes = {
    enum: API_ERROR_CODES,
    description: 'An error that the replay API answers with.',
  };
  return declarationOf('ProblemCode', codes, { isQuestion: false, wordTypes: new Map() });
}

function head(what: string): string {
  return `// ${what}\n// Written by replay-api/write-client-types.ts; do not edit.\n\n`;
}

type Schemas = Readonly<Record<string, TSchema>>;

function declarations(schemas: Readonly<Record<string, TSchema>>, isQuestion: boolean): string {
  const style = { isQuestion, wordTypes: WORD_TYPES };
  return Object.entries(schemas)
    .map(([name, schema]) => {
      return declarationOf(name, JSON.parse(JSON.stringify(schema)) as JsonSchema, style);
    })
    .join('\n');
}
