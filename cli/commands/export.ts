// `export`: part of a channel as a folder of files, for whoever has no access to the archive or
// must keep it elsewhere. Reads the database itself, since an export is longer than any answer
// should be.

import { Option, type Command } from 'commander';
import type { ExportFormat, ExportManifest, ExportPlan, ExportStep } from '#replay-api/mod.ts';
import { formatSize } from '#base/mod.ts';
import { requireChannel } from '../channel-argument.ts';
import {
  explain,
  runs,
  settingOption,
  wholeNumber,
  type CommandContext,
  type CommandHost,
} from '../command.ts';
import type { Outcome } from '../exit-codes.ts';
import { noteExport } from '../export-note.ts';
import { exportProgress } from '../export-progress.ts';
import { openArchive } from '../store.ts';

interface ExportOptions {
  readonly after?: number;
  readonly before?: number;
  readonly from?: string;
  readonly to?: string;
  readonly session?: string;
  readonly format: ExportFormat;
  readonly out: string;
  readonly partMessages: number;
  readonly json?: boolean;
}

/** One holds the snapshot in which the export is settled while others look up names. */
const CONNECTIONS_MAX = 3;
/** Some hundred megabytes of usual messages: what an interruption costs at most. */
const PART_MESSAGES_DEFAULT = 1_000_000;

/** Adds the command. */
export function addExportCommand(program: Command, host: CommandHost): void {
  const command = program
    .command('export <channel>')
    .description('write archived messages into a folder of files that can be verified')
    .requiredOption(
      '--out <folder>',
      'the folder; empty, or with what this very command left there',
    )
    .addOption(
      new Option('--format <format>', 'format of the files')
        .choices(['ndjson', 'csv', 'parquet'])
        .default('ndjson'),
    )
    .option('--from <time>', 'published at or after, RFC 3339 such as 2026-11-22T14:00:00Z')
    .option('--to <time>', 'published before')
    .option('--session <session>', 'only this session, 16 hex digits')
    .option('--after <position>', 'begin behind this position', wholeNumber(0))
    .option('--before <position>', 'end before this position', wholeNumber(1))
    .option(
      '--part-messages <count>',
      'messages in one file at most',
      wholeNumber(1),
      PART_MESSAGES_DEFAULT,
    )
    .option('--json', 'print the manifest')
    .addOption(settingOption('--database-url <url>', 'databaseUrl'));
  runs(command, host, exportChannel);
  explain(command, [
    'backcast export demo.orders --out orders',
    'backcast export demo.orders --from 2026-11-22T00:00:00Z --to 2026-11-23T00:00:00Z \\',
    '      --format parquet --out orders-2026-11-22',
    'backcast verify orders-2026-11-22',
  ]);
}

async function exportChannel(
  context: CommandContext,
  options: ExportOptions,
  name: string,
): Promise<Outcome> {
  const channel = requireChannel(name);
  const api = await import('#replay-api/mod.ts');
  const archive = await import('#archive/mod.ts');
  const { format, partMessages } = options;
  const range = api.toExportRange(channel, options);
  const plan: ExportPlan = { ...range, format, partMessages };
  const use = { command: 'export', connectionsMax: CONNECTIONS_MAX, statementTimeoutMs: 0 };
  await using opened = await openArchive(context, use);
  const note = await noteExport({
    opened,
    channel: await archive.findChannel(opened.database, channel),
    request: requestText(options),
    warn: context.note,
  });
  const progress = exportProgress(process.stderr);
  let read: ExportStep['read'] | undefined;
  const onStep = (step: ExportStep): void => {
    const { messages, payloadBytes: bytes, positionsDone: done, positionsTotal: total } = step;
    progress.show({ messages, bytes, done, total }, performance.now());
    ({ read } = step);
  };
  try {
    const { signal } = context;
    const manifest = await api.runExport({ opened, plan, path: options.out, signal, onStep });
    progress.clear();
    await note.end('complete', read);
    await context.output.write(
      options.json === true
        ? `${JSON.stringify(manifest, undefined, 2)}\n`
        : renderExport(manifest, options.out),
    );
    return 'ok';
  } catch (error) {
    progress.clear();
    await note.end('aborted', read);
    if (context.signal.aborted) context.note('interrupted; the same command goes on from here');
    throw error;
  }
}

/** The bounds, as a request to the API would have them. */
function requestText(options: ExportOptions): string {
  const query = new URLSearchParams();
  for (const name of ['format', 'after', 'before', 'from', 'to', 'session'] as const)
    if (options[name] !== undefined) query.set(name, String(options[name]));
  return query.toString();
}

function renderExport(manifest: ExportManifest, folder: string): string {
  const { messages, losses, deletions, sessions, parts, status, sha256 } = manifest;
  const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
  return (
    `${folder}: ${messages.count} messages of ${sessions.length} sessions in ${parts.length} ` +
    `files, ${formatSize(bytes)}\n` +
    `${status}: ${losses.count} losses, ${deletions.count} deletions\n` +
    `SHA-256 of the manifest: ${sha256}\n`
  );
}
