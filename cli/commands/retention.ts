// `retention`: deletes what the policies no longer keep, as the archiver does in the background, or
// says with --dry-run what would go and which hold keeps the rest.

import type { Command } from 'commander';
import type { DueDay, RetentionProgress, RetentionResult } from '#archive/mod.ts';
import { BackcastError, formatInstant, formatSize } from '#base/mod.ts';
import { hasRetention, retentionOf } from '#config/mod.ts';
import { requireChannel } from '../channel-argument.ts';
import { explain, runs, settingOption, type CommandContext, type CommandHost } from '../command.ts';
import type { Outcome } from '../exit-codes.ts';
import { openArchive } from '../store.ts';
import { renderTable, type Column } from '../table.ts';

interface RetentionOptions {
  readonly dryRun?: boolean;
  readonly channel?: string;
  readonly json?: boolean;
}

const COLUMNS: readonly Column<DueDay>[] = [
  { title: 'CHANNEL', cell: ({ channel }) => channel },
  { title: 'DAY', cell: ({ startUs }) => dayText(startUs) },
  { title: 'MESSAGES', cell: ({ messageCount }) => messageCount },
  { title: 'BYTES', cell: ({ payloadBytes }) => payloadBytes },
  { title: 'POLICY', cell: ({ policy }) => policy },
  { title: 'HELD BY', cell: ({ heldBy }) => (heldBy.length === 0 ? undefined : heldBy.join(', ')) },
];

/** Adds the command. */
export function addRetentionCommand(program: Command, host: CommandHost): void {
  const command = program
    .command('retention [channel]')
    .description('delete what is older or more than retention.* keeps; holds are not passed')
    .option('--dry-run', 'only show what would go, and what is held back')
    .option('--json', 'print JSON instead of a table')
    .addOption(settingOption('--age <duration>', 'retention.age'))
    .addOption(settingOption('--bytes <size>', 'retention.bytes'))
    .addOption(settingOption('--database-url <url>', 'databaseUrl'));
  runs(command, host, retention);
  explain(command, [
    'backcast retention --dry-run',
    'backcast retention demo.orders --dry-run --age 30d',
    'backcast retention',
  ]);
}

async function retention(
  context: CommandContext,
  options: RetentionOptions,
  name?: string,
): Promise<Outcome> {
  const { config, note, output, signal } = context;
  const channel = name === undefined ? undefined : requireChannel(name);
  if (!hasRetention(config.retention)) note('everything is kept: retention.* sets no limit');
  const archive = await import('#archive/mod.ts');
  const use = { command: 'retention', statementTimeoutMs: 60_000 };
  await using opened = await openArchive(context, use);
  if (channel !== undefined) await archive.findChannel(opened.database, channel);
  const policyOf = (one: string) => retentionOf(config.retention, one);
  const plan = await archive.loadRetentionPlan(opened.database, { policyOf, channel });
  if (options.dryRun === true) {
    await output.write(options.json === true ? planJson(plan.days) : planText(plan.days));
    return 'ok';
  }
  const onProgress = (progress: RetentionProgress): void => note(progressText(progress));
  const result = await archive.runRetention(opened.database, plan, { signal, onProgress });
  signal.throwIfAborted();
  if (result.isElsewhere)
    throw new BackcastError(
      'BACKCAST_RETENTION_BUSY',
      'another process is deleting old messages at the moment. Wait for it, and run this again.',
    );
  await output.write(options.json === true ? `${jsonText(result)}\n` : resultText(result));
  return result.busyDays === 0 ? 'ok' : 'failure';
}

function planText(days: readonly DueDay[]): string {
  const going = days.filter(({ heldBy }) => heldBy.length === 0);
  const held = days.length - going.length;
  const messages = going.reduce((sum, day) => sum + day.messageCount, 0);
  const bytes = going.reduce((sum, day) => sum + day.payloadBytes, 0);
  const summary = `${messages} messages, ${formatSize(bytes)}, would go; ${held} days are held\n`;
  return days.length === 0 ? 'nothing would go\n' : `${renderTable(COLUMNS, days)}\n${summary}`;
}

function planJson(days: readonly DueDay[]): string {
  const rows = days.map((day) => ({
    channel: day.channel,
    day: dayText(day.startUs),
    firstPosition: day.firstPosition,
    lastPosition: day.lastPosition,
    messages: day.messageCount,
    bytes: day.payloadBytes,
    publishedFrom: formatInstant(day.minPublishedAtUs),
    publishedThrough: formatInstant(day.maxPublishedAtUs),
    policy: day.policy,
    heldBy: day.heldBy,
  }));
  return `${jsonText(rows)}\n`;
}

function progressText({ startUs, channel, messages, bytes }: RetentionProgress): string {
  const whose = channel ?? 'all channels';
  return `${dayText(startUs)} of ${whose}: ${messages} messages, ${formatSize(bytes)}, deleted`;
}

function resultText({ messages, bytes, droppedDays, heldDays, busyDays }: RetentionResult): string {
  const busy = busyDays === 0 ? '' : `; ${busyDays} days were in use, run this again`;
  return (
    `${messages} messages, ${formatSize(bytes)}, deleted; ` +
    `${droppedDays} whole days dropped; ${heldDays} days are held${busy}\n`
  );
}

function dayText(startUs: number): string {
  return formatInstant(startUs).slice(0, 10);
}

function jsonText(value: unknown): string {
  return JSON.stringify(value, undefined, 2);
}
