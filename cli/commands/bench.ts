// `bench archive`: messages per second from publish to COMMIT on this machine.

import type { Command } from 'commander';
import {
  explain,
  runs,
  settingOption,
  wholeNumber,
  type CommandContext,
  type CommandHost,
} from '../command.ts';
import type { Outcome } from '../exit-codes.ts';
import { renderTable } from '../table.ts';
import { openStore } from '../store.ts';

/** What the command is told. */
export interface BenchOptions {
  readonly json?: boolean;
  readonly messages: number;
  readonly size: number;
  readonly publishers: number;
}

const MESSAGES_DEFAULT = 2_000_000;
const SIZE_BYTES_DEFAULT = 140;

/** Adds the command. */
export function addBenchCommand(program: Command, host: CommandHost): void {
  const bench = program.command('bench').description('measure on this machine');
  const command = bench
    .command('archive')
    .description('measure the path publish, multicast, COMMIT on this machine')
    .option('--json', 'print one JSON object instead of a table')
    .option('--messages <count>', 'messages to send', wholeNumber(1), MESSAGES_DEFAULT)
    .option('--size <bytes>', 'bytes of a message', wholeNumber(0), SIZE_BYTES_DEFAULT)
    .option('--publishers <count>', 'publishers that send at once', wholeNumber(1), 1)
    .addOption(settingOption('--packet-bytes <bytes>', 'publisher.packetBytesMax'))
    .addOption(settingOption('--database-url <url>', 'databaseUrl'))
    .addOption(settingOption('--compression <method>', 'archiver.compression'));
  runs(command, host, benchArchive);
  explain(command, ['backcast bench archive --json', 'backcast bench archive --publishers 3']);
}

async function benchArchive(context: CommandContext, options: BenchOptions): Promise<Outcome> {
  const { config, output, note, signal } = context;
  const { migrateToLatest } = await import('#archive/mod.ts');
  const { benchmarkArchive } = await import('#bench/mod.ts');
  const { packetBytesMaxOf } = await import('../services.ts');
  await using store = await openStore(context);
  await migrateToLatest({ url: store.url, compression: config.archiver.compression });
  const result = await benchmarkArchive({
    databaseUrl: store.url,
    interfaceAddress: config.interface,
    messages: options.messages,
    payloadBytes: options.size,
    publisherCount: options.publishers,
    packetBytesMax: packetBytesMaxOf(config),
    signal,
    onProgress: (archived, elapsedMs) => {
      const perSecond = Math.round((archived * 1000) / elapsedMs);
      note(`archived ${archived} of ${options.messages}, ${perSecond} messages/s`);
    },
  });
  if (options.json === true) await output.write(`${JSON.stringify(result)}\n`);
  else await output.write(asTable(result));
  return result.isComplete && result.messagesLost === 0 ? 'ok' : 'failure';
}

function asTable(result: object): string {
  const columns = [
    { title: 'WHAT', cell: ([name]: readonly [string, unknown]) => name },
    { title: 'VALUE', cell: ([, value]: readonly [string, unknown]) => String(value) },
  ];
  return renderTable(columns, Object.entries(result));
}
