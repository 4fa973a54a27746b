// `migrate`: brings the database to the schema of this version, and, if told, spreads its tables
// over a cluster.

import type { Command } from 'commander';
import { BackcastError } from '#base/mod.ts';
import {
  explain,
  runs,
  settingOption,
  wholeNumber,
  type CommandContext,
  type CommandHost,
} from '../command.ts';
import type { Outcome } from '../exit-codes.ts';
import { openStore } from '../store.ts';

/** What the command is told. */
export interface MigrateOptions {
  readonly distribute?: boolean;
  readonly dryRun?: boolean;
  readonly force?: boolean;
  readonly shardCount?: number;
}

const SHARD_COUNT_MAX = 4_096;

/** Adds the command. */
export function addMigrateCommand(program: Command, host: CommandHost): void {
  const command = program
    .command('migrate')
    .description('bring the database to the schema of this version; any number may run at once')
    .addOption(settingOption('--database-url <url>', 'databaseUrl'))
    .addOption(settingOption('--compression <method>', 'archiver.compression'))
    .option('--distribute', 'then spread the tables over the Citus cluster of the database')
    .option('--dry-run', 'with --distribute: print the statements that are left, run none')
    .option('--force', 'with --distribute: also while archivers write, whose batches then wait')
    .option(
      '--shard-count <count>',
      'with --distribute: cut the tables into so many parts',
      wholeNumber(1, SHARD_COUNT_MAX),
    );
  runs(command, host, migrate);
  explain(command, [
    'backcast migrate',
    'DATABASE_URL=postgres://backcast@db/backcast backcast migrate --compression lz4',
    'backcast migrate --distribute --dry-run',
  ]);
}

async function migrate(context: CommandContext, options: MigrateOptions): Promise<Outcome> {
  assertTogether(options);
  const { migrateToLatest } = await import('#archive/mod.ts');
  await using store = await openStore(context);
  if (options.dryRun === true) return printPlan(context, store.url, options);
  const { compression } = context.config.archiver;
  const { applied } = await migrateToLatest({ url: store.url, compression });
  context.note(applied.length === 0 ? 'the schema is current' : `migrated: ${applied.join(', ')}`);
  if (options.distribute === true) await distribute(context, store.url, options);
  return 'ok';
}

function assertTogether({ distribute, dryRun, force, shardCount }: MigrateOptions): void {
  const isAlone = distribute !== true && (dryRun ?? force ?? shardCount) !== undefined;
  if (!isAlone) return;
  const message = '--dry-run, --force and --shard-count belong to --distribute.';
  throw new BackcastError('BACKCAST_USAGE', message);
}

async function printPlan(
  { output }: CommandContext,
  url: string,
  { shardCount }: MigrateOptions,
): Promise<Outcome> {
  const { planDistribution } = await import('#archive/mod.ts');
  for (const { statement, doing } of await planDistribution(url, shardCount)) {
    await output.write(`-- ${doing}\n${statement};\n`);
  }
  return 'ok';
}

async function distribute(
  { note }: CommandContext,
  url: string,
  { force, shardCount }: MigrateOptions,
): Promise<void> {
  const { distributeArchive } = await import('#archive/mod.ts');
  const steps = await distributeArchive({
    url,
    shardCount,
    isForced: force === true,
    onStep: ({ doing }, index, count) => note(`${index} of ${count}: ${doing}`),
  });
  note(`the tables are spread over the cluster; statements run: ${steps.length}`);
}
