// `token create`, `token list`, `token revoke`: who may ask the replay API. Works on the database,
// not through the API: whoever may do this needs no token.

import { InvalidArgumentError, type Command } from 'commander';
import type { Token } from '#archive/mod.ts';
import {
  BackcastError,
  formatInstant,
  parseInstant,
  parseScope,
  type Scope,
  scopeText,
} from '#base/mod.ts';
import { explain, runs, settingOption, type CommandContext, type CommandHost } from '../command.ts';
import type { Outcome } from '../exit-codes.ts';
import { openArchive } from '../store.ts';
import { renderTable, type Column } from '../table.ts';

interface CreateOptions {
  readonly scope: readonly Scope[];
  readonly expires?: number;
}

interface ListOptions {
  readonly json?: boolean;
}

const NAME_CHARACTERS_MAX = 128;

const USE = { command: 'token', statementTimeoutMs: 60_000 };
const COLUMNS: readonly Column<Token>[] = [
  { title: 'ID', cell: ({ id }) => id },
  { title: 'NAME', cell: ({ name }) => name },
  { title: 'STATE', cell: (token) => stateOf(token, Date.now() * 1_000) },
  { title: 'CREATED', cell: ({ createdAtUs }) => formatInstant(createdAtUs) },
  { title: 'EXPIRES', cell: ({ expiresAtUs }) => instantText(expiresAtUs) },
  { title: 'SCOPES', cell: ({ scopes }) => scopes.map(scopeText).join(' ') },
];

/** Adds the commands. */
export function addTokenCommands(program: Command, host: CommandHost): void {
  const token = program.command('token').description('manage who may ask the replay API');
  const create = token
    .command('create <name>')
    .description('make a token and print it, this once')
    .requiredOption('--scope <scope>', 'read:PATTERN, export:PATTERN or admin; repeatable', scopes)
    .option('--expires <time>', 'RFC 3339; it never expires if not given', instant);
  finish(create, host, createOne);
  explain(create, [
    "backcast token create reports --scope 'read:orders.*'",
    "backcast token create audit --scope admin --scope 'export:*' --expires 2027-01-01T00:00:00Z",
  ]);
  const list = token
    .command('list')
    .description('list all tokens, also those that are revoked or expired')
    .option('--json', 'print JSON instead of a table');
  finish(list, host, listAll);
  explain(list, ['backcast token list', 'backcast token list --json']);
  const revoke = token
    .command('revoke <id>')
    .description(
      'revoke a token, by its id or the whole of it, for good; what is read with it ends within ' +
        'a minute',
    );
  finish(revoke, host, revokeOne);
  explain(revoke, ['backcast token revoke 4f7k2m9qx3wz']);
}

function finish<Options>(
  command: Command,
  host: CommandHost,
  body: Parameters<typeof runs<Options>>[2],
): void {
  command.addOption(settingOption('--database-url <url>', 'databaseUrl'));
  runs(command, host, body);
}

async function createOne(
  context: CommandContext,
  { scope, expires }: CreateOptions,
  name: string,
): Promise<Outcome> {
  if (!isName(name))
    throw new BackcastError(
      'BACKCAST_USAGE',
      `a token's name is 1 to ${NAME_CHARACTERS_MAX} characters on one line.`,
    );
  await using archive = await openArchive(context, USE);
  const { createToken } = await import('#archive/mod.ts');
  const wanted = { name, scopes: scope, expiresAtUs: expires };
  const { token, text } = await createToken(archive.database, wanted);
  context.note(`token ${token.id}: keep it now, it is not shown again`);
  await context.output.write(`${text}\n`);
  return 'ok';
}

async function listAll(context: CommandContext, { json }: ListOptions): Promise<Outcome> {
  await using archive = await openArchive(context, USE);
  const { listTokens } = await import('#archive/mod.ts');
  const tokens = await listTokens(archive.database);
  await context.output.write(json === true ? toJson(tokens) : renderTable(COLUMNS, tokens));
  return 'ok';
}

async function revokeOne(context: CommandContext, _: object, text: string): Promise<Outcome> {
  await using archive = await openArchive(context, USE);
  const { revokeToken, TOKEN_PREFIX } = await import('#archive/mod.ts');
  // Who revokes one that got out may have nothing but the whole of it: its secret is not repeated.
  const [id] = text.replace(TOKEN_PREFIX, '').split('.');
  const token = await revokeToken(archive.database, id);
  await context.output.write(renderTable(COLUMNS, [token]));
  return 'ok';
}

function toJson(tokens: readonly Token[]): string {
  const nowUs = Date.now() * 1_000;
  const rows = tokens.map((token) => ({
    id: token.id,
    name: token.name,
    state: stateOf(token, nowUs),
    scopes: token.scopes.map(scopeText),
    createdAt: formatInstant(token.createdAtUs),
    expiresAt: instantText(token.expiresAtUs),
    revokedAt: instantText(token.revokedAtUs),
  }));
  return `${JSON.stringify(rows, undefined, 2)}\n`;
}

function stateOf({ revokedAtUs, expiresAtUs }: Token, nowUs: number): string {
  if (revokedAtUs !== null) return 'revoked';
  return expiresAtUs !== null && expiresAtUs <= nowUs ? 'expired' : 'valid';
}

function instantText(us: number | null): string | null {
  return us === null ? null : formatInstant(us);
}

/** One line, so that lists stay lists. */
function isName(text: string): boolean {
  return text.trim() !== '' && text.length <= NAME_CHARACTERS_MAX && !/\p{Cc}/u.test(text);
}

function scopes(text: string, before: readonly Scope[] = []): readonly Scope[] {
  const scope = parseScope(text);
  if (scope !== undefined) return [...before, scope];
  throw new InvalidArgumentError(
    'It is not read:PATTERN, export:PATTERN or admin; a pattern is of A-Z a-z 0-9 . _ - *.',
  );
}

function instant(text: string): number {
  const us = parseInstant(text);
  if (us !== undefined) return us;
  throw new InvalidArgumentError('It is not an instant such as 2026-11-22T14:00:00Z.');
}
