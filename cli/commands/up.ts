// `up`: everything in one command, with an embedded PostgreSQL where none is configured.

import type { Command } from 'commander';
import type { Archiver } from '#ingest/mod.ts';
import type { MetricFamily } from '#multicast/metrics/mod.ts';
import { explain, runs, settingOption, type CommandContext, type CommandHost } from '../command.ts';
import type { Outcome } from '../exit-codes.ts';
import { openCommandRegistry } from '../registry.ts';
import { endOf } from '../service-end.ts';
import { openStore } from '../store.ts';

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
    .addOption(settingOption('--interface <interface>', 'interface'))
    .addOption(settingOption('--ttl <hops>', 'multicast.ttl'))
    .addOption(settingOption('--database-url <url>', 'databaseUrl'))
    .addOption(settingOption('--redis-url <url>', 'redisUrl'))
    .addOption(settingOption('--spool-dir <folder>', 'archiver.spool.dir'))
    .addOption(settingOption('--spool-bytes <bytes>', 'archiver.spool.bytesMax'))
    .addOption(settingOption('--fault <faults>', 'faults'));
  runs(command, host, up);
  explain(command, [
    'backcast up --demo',
    'backcast up --port 9000 --fault receive-loss=0.05,seed=7',
  ]);
}

async function up(context: CommandContext, options: UpOptions): Promise<Outcome> {
  const { config, note, signal } = context;
  const { createLogger, startApi, startArchiver } = await import('../services.ts');
  const ingest = await import('#ingest/mod.ts');
  const { migrateToLatest } = await import('#archive/mod.ts');
  const log = createLogger(config);
  await using resources = new AsyncDisposableStack();
  const store = resources.use(await openStore(context));
  signal.throwIfAborted();
  const { compression } = config.archiver;
  await migrateToLatest({ url: store.url, compression });
  signal.throwIfAborted();
  const registry = await openCommandRegistry(config, resources, (line) => log.warn(line));
  const started: { archiver?: Archiver } = {};
  const collectMetrics = (): MetricFamily[] => {
    const { counters = {}, durability, retention, compaction } = started.archiver ?? {};
    return [
      ...ingest.archiverFamilies(counters, durability?.state ?? 'durable'),
      ...ingest.retentionFamilies(retention ?? ingest.newRetentionCounters()),
      ...ingest.compactionFamilies(compaction),
    ];
  };
  const api = resources.use(await startApi(config, store.url, log, collectMetrics));
  signal.throwIfAborted();
  const archiver = resources.use(await startArchiver(config, store.url, registry, log));
  started.archiver = archiver;
  signal.throwIfAborted();
  if (options.demo === true) {
    const { startDemo } = await import('../demo.ts');
    resources.use(await startDemo(config, registry, archiver, signal));
  }
  note('');
  note(`  replay API    ${api.url}/v1/channels`);
  note(`  its pages     ${api.url}/docs`);
  if (options.demo === true) note(`  try           ./backcast history demo.orders --limit 3`);
  note('  stop          Ctrl-C');
  note('');
  await endOf(signal, [archiver.failed, store.exited]);
  note('stopping');
  // Answers that are being read may take as long as all the rest together.
  void api.close().catch(() => undefined);
  await resources.disposeAsync();
  note('stopped');
  return 'ok';
}
