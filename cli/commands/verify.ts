// `verify`: whether an exported folder is what was written, without a database.

import type { Command } from 'commander';
import type { ExportProblem, Verification } from '#replay-api/mod.ts';
import { explain, runs, type CommandContext, type CommandHost } from '../command.ts';
import type { Outcome } from '../exit-codes.ts';
import { printable } from '../output.ts';
import { renderTable, type Column } from '../table.ts';

interface VerifyOptions {
  readonly digest?: string;
  readonly json?: boolean;
}

const PROBLEM_COLUMNS: readonly Column<ExportProblem>[] = [
  { title: 'WHERE', cell: ({ where }) => printable(where) },
  { title: 'PROBLEM', cell: ({ problem }) => problem },
];

/** Adds the command. */
export function addVerifyCommand(program: Command, host: CommandHost): void {
  const command = program
    .command('verify <folder>')
    .description('check an exported folder against its manifest, offline; exit 1 if it differs')
    .option('--digest <sha256>', 'the SHA-256 of the manifest, as it was noted elsewhere')
    .option('--json', 'print JSON instead of text');
  runs(command, host, verify);
  explain(command, ['backcast verify orders-2026-11-22', 'backcast verify orders --json']);
}

async function verify(
  context: CommandContext,
  options: VerifyOptions,
  folder: string,
): Promise<Outcome> {
  const { verifyExport } = await import('#replay-api/mod.ts');
  const { digest: sha256, json } = options;
  const verification = await verifyExport(folder, { sha256, signal: context.signal });
  const { manifest, problems } = verification;
  if (json === true) {
    const { channel, status, messages, sha256: hash } = manifest;
    const shown = { intact: problems.length === 0, problems, channel, status, messages };
    await context.output.write(`${JSON.stringify({ ...shown, sha256: hash }, undefined, 2)}\n`);
  } else {
    await context.output.write(renderText(folder, verification));
  }
  return problems.length === 0 ? 'ok' : 'failure';
}

function renderText(folder: string, { manifest, problems }: Verification): string {
  const { channel, messages, losses, deletions, status, sha256, parts } = manifest;
  if (problems.length > 0) return renderTable(PROBLEM_COLUMNS, problems);
  return (
    `${folder}: intact, ${messages.count} messages of channel ${channel} in ` +
    `${parts.length} files\n` +
    `${status}: ${losses.count} losses, ${deletions.count} deletions\n` +
    `SHA-256 of the manifest: ${sha256}\n`
  );
}
