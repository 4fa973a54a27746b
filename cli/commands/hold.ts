// `hold add`, `hold list`, `hold remove`: intervals of channels that retention must not touch.

import { InvalidArgumentError, type Command } from 'commander';
import type { Hold, ListedHold } from '#archive/mod.ts';
import { BackcastError, formatInstant, parseInstant } from '#base/mod.ts';
import { requireChannel } from '../channel-argument.ts';
import { explain, runs, settingOption, type CommandContext, type CommandHost } from '../command.ts';
import type { Outcome } from '../exit-codes.ts';
import { openArchive } from '../store.ts';
import { renderTable, type Column } from '../table.ts';

interface AddOptions {
  readonly name: string;
  readonly reason: string;
  readonly from?: number;
  readonly to?: number;
}

interface ListOptions {
  readonly json?: boolean;
}

interface RemoveOptions {
  readonly yes?: boolean;
}

const USE = { command: 'hold', statementTimeoutMs: 60_000 };
const COLUMNS: readonly Column<ListedHold>[] = [
  { title: 'CHANNEL', cell: ({ channel }) => channel },
  { title: 'NAME', cell: ({ name }) => name },
  { title: 'FROM', cell: ({ fromUs }) => formatInstant(fromUs) },
  { title: 'TO', cell: ({ toUs }) => (toUs === null ? undefined : formatInstant(toUs)) },
  { title: 'ADDED', cell: ({ createdAtUs }) => formatInstant(createdAtUs) },
  { title: 'REASON', cell: ({ reason }) => reason },
];

/** Adds the commands. */
export function addHoldCommands(program: Command, host: CommandHost): void {
  const hold = program.command('hold').description('keep retention away from what must stay');
  const add = hold
    .command('add <channel>')
    .description('hold an interval of a channel')
    .requiredOption('--name <name>', 'name of the hold: A-Z a-z 0-9 . _ -', holdName)
    .requiredOption('--reason <text>', 'why, for whoever finds it years later', reasonText)
    .option('--from <time>', 'RFC 3339; from the oldest message that is kept if not given', instant)
    .option('--to <time>', 'RFC 3339, exclusive; until the hold is removed if not given', instant);
  finish(add, host, addOne);
  explain(add, [
    'backcast hold add orders --name case-17 --reason "request of 3 March"',
    'backcast hold add orders --name audit --reason audit --from 2026-01-01T00:00:00Z ' +
      '--to 2026-04-01T00:00:00Z',
  ]);
  const list = hold
    .command('list [channel]')
    .description('list the holds of a channel, or all')
    .option('--json', 'print JSON instead of a table');
  finish(list, host, listAll);
  explain(list, ['backcast hold list', 'backcast hold list orders --json']);
  const remove = hold
    .command('remove <channel> <name>')
    .description('remove a hold; what its channel no longer keeps is deleted then')
    .option('--yes', 'really');
  finish(remove, host, removeOne);
  explain(remove, ['backcast hold remove orders case-17 --yes']);
}

function finish<Options>(
  command: Command,
  host: CommandHost,
  body: Parameters<typeof runs<Options>>[2],
): void {
  command.addOption(settingOption('--database-url <url>', 'databaseUrl'));
  runs(command, host, body);
}

async function addOne(
  context: CommandContext,
  { name, reason, from, to }: AddOptions,
  channelName: string,
): Promise<Outcome> {
  requireChannel(channelName);
  await using archive = await openArchive(context, USE);
  const { addHold, findChannel } = await import('#archive/mod.ts');
  const channel = await findChannel(archive.database, channelName);
  const wanted = { name, reason, fromUs: from, toUs: to };
  const hold = await addHold(archive.database, channel, wanted);
  await logHold(context, channelName, hold, 'hold added');
  await context.output.write(renderTable(COLUMNS, [{ ...hold, channel: channelName }]));
  return 'ok';
}

async function listAll(
  context: CommandContext,
  { json }: ListOptions,
  channelName?: string,
): Promise<Outcome> {
  if (channelName !== undefined) requireChannel(channelName);
  await using archive = await openArchive(context, USE);
  const { findChannel, listHolds } = await import('#archive/mod.ts');
  if (channelName !== undefined) await findChannel(archive.database, channelName);
  const holds = await listHolds(archive.database, channelName);
  await context.output.write(json === true ? toJson(holds) : renderTable(COLUMNS, holds));
  return 'ok';
}

async function removeOne(
  context: CommandContext,
  { yes }: RemoveOptions,
  channelName: string,
  name: string,
): Promise<Outcome> {
  if (yes !== true)
    throw new BackcastError(
      'BACKCAST_USAGE',
      `without the hold ${name}, retention may delete what it kept of ${channelName}. ` +
        'Look with backcast hold list, and add --yes.',
    );
  requireChannel(channelName);
  await using archive = await openArchive(context, USE);
  const { findChannel, removeHold } = await import('#archive/mod.ts');
  const channel = await findChannel(archive.database, channelName);
  const hold = await removeHold(archive.database, channel, name);
  await logHold(context, channelName, hold, 'hold removed');
  return 'ok';
}

/** What is logged stays where the operator's logs stay, also when the hold is gone. */
async function logHold(
  { config }: CommandContext,
  channel: string,
  { name, reason, fromUs, toUs }: Hold,
  message: string,
): Promise<void> {
  const { createLogger } = await import('../services.ts');
  const to = toUs === null ? null : formatInstant(toUs);
  createLogger(config).info(
    { channel, hold: name, reason, from: formatInstant(fromUs), to },
    message,
  );
}

function toJson(holds: readonly ListedHold[]): string {
  const rows = holds.map(({ channel, name, reason, fromUs, toUs, createdAtUs }) => ({
    channel,
    name,
    reason,
    from: formatInstant(fromUs),
    to: toUs === null ? null : formatInstant(toUs),
    addedAt: formatInstant(createdAtUs),
  }));
  return `${JSON.stringify(rows, undefined, 2)}\n`;
}

function instant(text: string): number {
  const us = parseInstant(text);
  if (us !== undefined) return us;
  throw new InvalidArgumentError('It is not an instant such as 2026-11-22T14:00:00Z.');
}

function holdName(text: string): string {
  if (/^[A-Za-z0-9._-]{1,128}$/.test(text)) return text;
  throw new InvalidArgumentError('It is not 1 to 128 of A-Z a-z 0-9 . _ -.');
}

function reasonText(text: string): string {
  if (text.trim() !== '' && text.length <= 1_000) return text;
  throw new InvalidArgumentError('It is not a text of 1 to 1000 characters.');
}
