// `serve`: the replay API as a service of its own.

import type { Command } from 'commander';
import { explain, runs, settingOption, type CommandContext, type CommandHost } from '../command.ts';
import type { Outcome } from '../exit-codes.ts';
import { openStore } from '../store.ts';
import { endOf } from '../service-end.ts';

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

async function serve(context: CommandContext): Promise<Outcome> {
  const { createLogger, startApi } = await import('../services.ts');
  const log = createLogger(context.config);
  await using resources = new AsyncDisposableStack();
  const store = resources.use(await openStore(context));
  context.signal.throwIfAborted();
  const api = resources.use(await startApi(context.config, store.url, log));
  context.note(`replay API at ${api.url}`);
  await endOf(context.signal, [store.exited]);
  return 'ok';
}
