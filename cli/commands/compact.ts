// `compact`: one pass of what the archiver does in the background, now and without pauses; or what
// there would be to do.

import type { Command } from 'commander';
import type { ChannelCompaction, CompactionResult, DayCompaction } from '#archive/mod.ts';
import { requireChannel } from '../channel-argument.ts';
import { explain, runs, settingOption, type CommandContext, type CommandHost } from '../command.ts';
import type { Outcome } from '../exit-codes.ts';
import { openArchive } from '../store.ts';
import { renderTable, type Column } from '../table.ts';

interface CompactOptions {
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const CHANNEL_COLUMNS: readonly Column<ChannelCompaction>[] = [
  { title: 'CHANNEL', cell: ({ channel }) => channel },
  { title: 'SEGMENTS', cell: ({ mergedSegments }) => mergedSegments },
  { title: 'MERGED INTO', cell: ({ madeSegments }) => madeSegments },
];

const DAY_COLUMNS: readonly Column<DayCompaction>[] = [
  { title: 'DAY', cell: ({ startMs }) => dayText(startMs) },
  { title: 'BYTES BEFORE', cell: ({ bytesBefore }) => bytesBefore },
  { title: 'AFTER', cell: ({ bytesAfter }) => bytesAfter },
];

/** The copy of a day takes two connections, and what is merged meanwhile one. */
const CONNECTIONS_MAX = 3;

/** Adds the command. */
export function addCompactCommand(program: Command, host: CommandHost): void {
  const command = program
    .command('compact [channel]')
    .description('merge the small segments of quiet channels and give back the space of old days')
    .option('--dry-run', 'only print what there is to do')
    .option('--json', 'print JSON instead of tables')
    .addOption(settingOption('--database-url <url>', 'databaseUrl'));
  runs(command, host, compact);
  explain(command, ['backcast compact --dry-run', 'backcast compact demo.orders --json']);
}

async function compact(
  context: CommandContext,
  options: CompactOptions,
  name?: string,
): Promise<Outcome> {
  const channel = name === undefined ? undefined : requireChannel(name);
  const archive = await import('#archive/mod.ts');
  const use = { command: 'compact', connectionsMax: CONNECTIONS_MAX, statementTimeoutMs: 0 };
  await using opened = await openArchive(context, use);
  if (channel !== undefined) await archive.findChannel(opened.database, channel);
  const result = await archive.compact(opened, {
    channel,
    isDryRun: options.dryRun === true,
    mayGoOn: () => Promise.resolve(!context.signal.aborted),
  });
  const { channels, days, movedDaysMs, wasBusy } = result;
  if (options.json === true) {
    const shown = {
      channels,
      days: days.map(({ startMs, ...bytes }) => ({ day: dayText(startMs), ...bytes })),
      movedDays: movedDaysMs.map(dayText),
      complete: !wasBusy && !context.signal.aborted,
    };
    await context.output.write(`${JSON.stringify(shown, undefined, 2)}\n`);
    return 'ok';
  }
  await context.output.write(renderText(result));
  if (wasBusy) context.note('some of it was in use and is left for the next time');
  return 'ok';
}

function renderText({ channels, days, movedDaysMs }: CompactionResult): string {
  const merged = channels.filter(({ mergedSegments }) => mergedSegments > 0);
  const parts = [
    merged.length === 0 ? '' : renderTable(CHANNEL_COLUMNS, merged),
    days.length === 0 ? '' : renderTable(DAY_COLUMNS, days),
    movedDaysMs.map((startMs) => `${dayText(startMs)} has a partition of its own now\n`).join(''),
  ].filter((part) => part !== '');
  return parts.length === 0 ? 'nothing to do\n' : parts.join('\n');
}

function dayText(startMs: number): string {
  return new Date(startMs).toISOString().slice(0, 10);
}
