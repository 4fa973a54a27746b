// `channels`, `sessions`, `losses` and `conflicts`: what the archive knows about, as tables or as
// JSON. Asks the replay API.

import type { Command } from 'commander';
import { requestList } from '../api-request.ts';
import { requireChannel } from '../channel-argument.ts';
import { explain, runs, settingOption, type CommandContext, type CommandHost } from '../command.ts';
import type { Outcome } from '../exit-codes.ts';
import { renderTable, type Column } from '../table.ts';

type Row = Readonly<Record<string, unknown>>;

interface ListOptions {
  readonly json?: boolean;
}

const CHANNEL_COLUMNS: readonly Column<Row>[] = [
  { title: 'CHANNEL', cell: (row) => text(row['channel']) },
  { title: 'GROUP', cell: (row) => text(row['group']) },
  { title: 'PORT', cell: (row) => text(row['port']) },
  { title: 'DPORT', cell: (row) => text(row['dport']) },
  { title: 'FRAMING', cell: (row) => text(row['framing']) },
  { title: 'FIRST', cell: (row) => text(row['firstPosition']) },
  { title: 'ARCHIVED THROUGH', cell: (row) => text(row['archivedThrough']) },
  { title: 'LAST PUBLISHED', cell: (row) => text(row['publishedThrough']) },
];

const SESSION_COLUMNS: readonly Column<Row>[] = [
  { title: 'SESSION', cell: (row) => text(row['session']) },
  { title: 'SOURCE', cell: (row) => text(row['source']) ?? foreignSource(row) },
  { title: 'STATE', cell: (row) => text(row['state']) },
  { title: 'FIRST', cell: (row) => text(row['firstArchived']) },
  { title: 'WATERMARK', cell: (row) => text(row['watermark']) },
  { title: 'LEAD', cell: (row) => text(row['lead']) },
  { title: 'TAIL', cell: (row) => text(row['tail']) },
  { title: 'OPENED', cell: (row) => text(row['openedAt']) },
  { title: 'LAST SEEN', cell: (row) => text(row['seenAt']) },
];

const LOSS_COLUMNS: readonly Column<Row>[] = [
  { title: 'SESSION', cell: (row) => text(row['session']) },
  { title: 'SOURCE', cell: (row) => text(row['source']) },
  { title: 'FIRST', cell: (row) => text(row['first']) },
  { title: 'LAST', cell: (row) => text(row['last']) },
  { title: 'LOST', cell: lostText },
  { title: 'CAUSE', cell: (row) => text(row['cause']) },
  { title: 'DECLARED', cell: (row) => text(row['declaredAt']) },
  { title: 'HEALED', cell: (row) => text(row['healedAt']) },
  { title: 'BY', cell: (row) => text(row['healedBy']) },
];

const CONFLICT_COLUMNS: readonly Column<Row>[] = [
  { title: 'SESSION', cell: (row) => text(row['session']) },
  { title: 'SOURCE', cell: (row) => text(row['source']) },
  { title: 'FIRST', cell: (row) => text(row['first']) },
  { title: 'LAST', cell: (row) => text(row['last']) },
  { title: 'NOTICED', cell: (row) => text(row['detectedAt']) },
  { title: 'BY', cell: (row) => text(row['archiver']) },
  { title: 'EVIDENCE', cell: (row) => text(row['evidence']) },
];

/** Adds the four commands. */
export function addListCommands(program: Command, host: CommandHost): void {
  const channels = program
    .command('channels')
    .description('list the channels that are archived, and how far');
  finish(channels, host, async (context, options: ListOptions) => {
    const rows = await requestList(context, '/v1/channels');
    return await print(context, options, { rows, columns: CHANNEL_COLUMNS });
  });
  explain(channels, ['backcast channels', "backcast channels --json | jq -r '.[].channel'"]);

  const sessions = program
    .command('sessions <channel>')
    .description('list the publisher incarnations on a channel');
  finish(sessions, host, async (context, options: ListOptions, channel) => {
    const rows = await requestList(context, `/v1/channels/${requireChannel(channel)}/sessions`);
    return await print(context, options, { rows, columns: SESSION_COLUMNS });
  });
  explain(sessions, ['backcast sessions demo.orders']);

  const losses = program
    .command('losses <channel>')
    .description('list what is missing on a channel, and why');
  finish(losses, host, async (context, options: ListOptions, channel) => {
    const rows = await requestList(context, `/v1/channels/${requireChannel(channel)}/losses`);
    return await print(context, options, { rows, columns: LOSS_COLUMNS });
  });
  explain(losses, ['backcast losses demo.orders', 'backcast losses demo.orders --json']);

  const conflicts = program
    .command('conflicts <channel>')
    .description('list what came twice on a channel, with different bytes');
  finish(conflicts, host, async (context, options: ListOptions, channel) => {
    const rows = await requestList(context, `/v1/channels/${requireChannel(channel)}/conflicts`);
    return await print(context, options, { rows, columns: CONFLICT_COLUMNS });
  });
  explain(conflicts, ['backcast conflicts demo.orders']);
}

function finish(
  command: Command,
  host: CommandHost,
  body: Parameters<typeof runs<ListOptions>>[2],
): void {
  command.option('--json', 'print JSON instead of a table');
  command.addOption(settingOption('--api <url>', 'api.url'));
  runs(command, host, body);
}

async function print(
  { output }: CommandContext,
  options: ListOptions,
  list: { readonly rows: readonly Row[]; readonly columns: readonly Column<Row>[] },
): Promise<Outcome> {
  const { rows, columns } = list;
  await output.write(
    options.json === true ? `${JSON.stringify(rows, undefined, 2)}\n` : renderTable(columns, rows),
  );
  return 'ok';
}

/** A source that is not ours tells no name: its place on the wire stands for it. */
function foreignSource(row: Row): string | undefined {
  return row['isForeign'] === true ? `tsi ${text(row['tsi'])}` : undefined;
}

function lostText({ first, last, packets }: Row): string {
  if (typeof packets === 'number') return packets === 1 ? '1 packet' : `${packets} packets`;
  const count = Number(last) - Number(first) + 1;
  return count === 1 ? '1 message' : `${count} messages`;
}

function text(value: unknown): string | number | undefined {
  return typeof value === 'string' || typeof value === 'number' ? value : undefined;
}
