// `serve`: the replay API as a service of its own.

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

/** Adds the command. */
export function addServeCommand(program: Command, host: CommandHost): void {
  const command = program
    .command('serve')
    .description('run the replay API')
    .addOption(settingOption('--host <address>', 'api.host'))
    .addOption(settingOption('--port <port>', 'api.port'))
    .addOption(settingOption('--database-url <url>', 'databaseUrl'));
  runs(command, host, serve);
  explain(command, ['backcast serve', 'backcast serve --host 0.0.0.0 --port 9000']);
}

async function serve(_context: CommandContext): Promise<Outcome> {
  throw notInThisBuild('serve');
}
