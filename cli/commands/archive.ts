// `archive`: the archiver as a service of its own.

import type { Command } from 'commander';
import { explain, runs, settingOption, type CommandContext, type CommandHost } from '../command.ts';
import type { Outcome } from '../exit-codes.ts';
import { openCommandRegistry } from '../registry.ts';
import { openStore } from '../store.ts';
import { endOf } from '../service-end.ts';

/** Adds the command. */
export function addArchiveCommand(program: Command, host: CommandHost): void {
  const command = program
    .command('archive')
    .description('run the archiver: listen to channels and store their messages')
    .addOption(settingOption('--interface <interface>', 'interface'))
    .addOption(settingOption('--ttl <hops>', 'multicast.ttl'))
    .addOption(settingOption('--database-url <url>', 'databaseUrl'))
    .addOption(settingOption('--redis-url <url>', 'redisUrl'))
    .addOption(settingOption('--channels <patterns>', 'archiver.channels'))
    .addOption(settingOption('--name <name>', 'archiver.name'))
    .addOption(settingOption('--acknowledge <patterns>', 'archiver.acknowledge'))
    .addOption(settingOption('--shards <count>', 'archiver.shards'))
    .addOption(settingOption('--spool-dir <folder>', 'archiver.spool.dir'))
    .addOption(settingOption('--spool-bytes <bytes>', 'archiver.spool.bytesMax'))
    .addOption(settingOption('--metrics-port <port>', 'metrics.port'))
    .addOption(settingOption('--capture <file>', 'capture'))
    .addOption(settingOption('--fault <faults>', 'faults'));
  runs(command, host, archive);
  explain(command, [
    'backcast archive --interface 10.0.7.21',
    "backcast archive --channels 'orders.*,trades' --shards 4",
  ]);
}

async function archive(context: CommandContext): Promise<Outcome> {
  const { createLogger, startArchiver, startMetrics } = await import('../services.ts');
  const { config } = context;
  const log = createLogger(config);
  await using resources = new AsyncDisposableStack();
  const store = resources.use(await openStore(context));
  context.signal.throwIfAborted();
  const registry = await openCommandRegistry(config, resources, (line) => log.warn(line));
  const archiver = resources.use(
    await startArchiver(config, store.url, registry, log, context.signal),
  );
  resources.use(await startMetrics(config, archiver, log));
  await endOf(context.signal, [archiver.failed, store.exited]);
  return 'ok';
}
