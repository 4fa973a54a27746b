// `migrate`: brings the database to the schema of this version.

import type { Command } from 'commander';
import { explain, runs, settingOption, type CommandContext, type CommandHost } from '../command.ts';
import type { Outcome } from '../exit-codes.ts';
import { openStore } from '../store.ts';

/** Adds the command. */
export function addMigrateCommand(program: Command, host: CommandHost): void {
  const command = program
    .command('migrate')
    .description('bring the database to the schema of this version; any number may run at once')
    .addOption(settingOption('--database-url <url>', 'databaseUrl'))
    .addOption(settingOption('--compression <method>', 'archiver.compression'));
  runs(command, host, migrate);
  explain(command, [
    'backcast migrate',
    'DATABASE_URL=postgres://backcast@db/backcast backcast migrate --compression lz4',
  ]);
}

async function migrate(context: CommandContext): Promise<Outcome> {
  const { migrateToLatest } = await import('#archive/mod.ts');
  await using store = await openStore(context);
  const { compression } = context.config.archiver;
  const { applied } = await migrateToLatest({ url: store.url, compression });
  context.note(applied.length === 0 ? 'the schema is current' : `migrated: ${applied.join(', ')}`);
  return 'ok';
}
