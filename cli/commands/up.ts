// `up`: everything in one command, with an embedded PostgreSQL where none is configured.

import type { Command } from 'commander';
import {
  explain,
  notInThisBuild,
  runs,
  settingOption,
  type CommandContext,
  type CommandHost,
} from '../command.ts';
import type { Outcome } from '../exit-codes.ts';

/** What the command is told. */
export interface UpOptions {
  /** Also runs three publishers on two channels. */
  readonly demo?: boolean;
}

/** Adds the command. */
export function addUpCommand(program: Command, host: CommandHost): void {
  const command = program
    .command('up')
    .description('run archiver and replay API, with an embedded PostgreSQL if none is configured')
    .option('--demo', 'also run three publishers on two channels')
    .addOption(settingOption('--host <address>', 'api.host'))
    .addOption(settingOption('--port <port>', 'api.port'))
    .addOption(settingOption('--interface <address>', 'interface'))
    .addOption(settingOption('--database-url <url>', 'databaseUrl'))
    .addOption(settingOption('--redis-url <url>', 'redisUrl'))
    .addOption(settingOption('--fault <faults>', 'faults'));
  runs(command, host, up);
  explain(command, [
    'backcast up --demo',
    'backcast up --port 9000 --fault receive-loss=0.05,seed=7',
  ]);
}

async function up(_context: CommandContext, _options: UpOptions): Promise<Outcome> {
  throw notInThisBuild('up');
}
