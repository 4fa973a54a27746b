// `audit`: proves from the database that every sequence is stored once or declared lost, or prints
// exactly which are not. Reads every message of what it audits.

import type { Command } from 'commander';
import type { AuditProblem, ChannelAudit } from '#archive/mod.ts';
import { requireChannel } from '../channel-argument.ts';
import { explain, runs, settingOption, type CommandContext, type CommandHost } from '../command.ts';
import type { Outcome } from '../exit-codes.ts';
import { openArchive } from '../store.ts';
import { renderTable, type Column } from '../table.ts';

interface AuditOptions {
  readonly json?: boolean;
}

const CHANNEL_COLUMNS: readonly Column<ChannelAudit>[] = [
  { title: 'CHANNEL', cell: ({ channel }) => channel },
  { title: 'SESSIONS', cell: ({ sessionCount }) => sessionCount },
  { title: 'DUE', cell: ({ dueCount }) => dueCount },
  { title: 'STORED', cell: ({ storedCount }) => storedCount },
  { title: 'LOST', cell: lostText },
  { title: 'DELETED', cell: ({ deletedCount }) => deletedCount },
  { title: 'HEALED', cell: ({ healedCount }) => healedCount },
  { title: 'CONFLICTS', cell: ({ conflictCount }) => conflictCount },
  { title: 'VERDICT', cell: ({ problems }) => (problems.length === 0 ? 'complete' : 'BROKEN') },
];

/** Packets of foreign sources count once each, and are told apart. */
function lostText({ lostCount, lostPacketCount }: ChannelAudit): string | number {
  if (lostPacketCount === 0) return lostCount;
  const packets = lostPacketCount === 1 ? '1 packet' : `${lostPacketCount} packets`;
  const messageCount = lostCount - lostPacketCount;
  return messageCount === 0 ? packets : `${messageCount} + ${packets}`;
}

interface ShownProblem extends AuditProblem {
  readonly channel: string;
  readonly meaning: string;
}

const PROBLEM_COLUMNS: readonly Column<ShownProblem>[] = [
  { title: 'CHANNEL', cell: ({ channel }) => channel },
  { title: 'SESSION', cell: ({ session }) => session },
  { title: 'FIRST', cell: ({ first }) => first },
  { title: 'LAST', cell: ({ last }) => last },
  { title: 'PROBLEM', cell: ({ kind }) => kind },
  { title: 'MEANING', cell: ({ meaning }) => meaning },
];

/** Adds the command. */
export function addAuditCommand(program: Command, host: CommandHost): void {
  const command = program
    .command('audit [channel]')
    .description('prove that every sequence is stored once or declared lost; exit 1 if not')
    .option('--json', 'print JSON instead of tables')
    .addOption(settingOption('--database-url <url>', 'databaseUrl'));
  runs(command, host, audit);
  explain(command, ['backcast audit', 'backcast audit demo.orders --json']);
}

async function audit(
  context: CommandContext,
  options: AuditOptions,
  name?: string,
): Promise<Outcome> {
  const channel = name === undefined ? {} : { channel: requireChannel(name) };
  const archive = await import('#archive/mod.ts');
  const use = { command: 'audit', statementTimeoutMs: 0 };
  await using opened = await openArchive(context, use);
  const audits = await archive.audit(opened.database, channel);
  await context.output.write(
    options.json === true ? renderJson(audits) : renderText(audits, archive.AUDIT_PROBLEMS),
  );
  return audits.every(({ problems }) => problems.length === 0) ? 'ok' : 'failure';
}

function renderJson(audits: readonly ChannelAudit[]): string {
  const channels = audits.map((channel) => ({
    ...channel,
    complete: channel.problems.length === 0,
  }));
  const complete = channels.every((channel) => channel.complete);
  return `${JSON.stringify({ complete, channels }, undefined, 2)}\n`;
}

function renderText(
  audits: readonly ChannelAudit[],
  meanings: Readonly<Record<AuditProblem['kind'], string>>,
): string {
  const overview = renderTable(CHANNEL_COLUMNS, audits);
  const problems = audits.flatMap(({ channel, problems: found }) =>
    found.map((problem) => ({ channel, meaning: meanings[problem.kind], ...problem })),
  );
  return problems.length === 0
    ? overview
    : `${overview}\n${renderTable(PROBLEM_COLUMNS, problems)}`;
}
