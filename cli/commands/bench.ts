// `bench archive`: messages per second from publish to COMMIT on this machine. `bench live`: how
// old a message is when a subscriber has it, and how many packets a core moves.

import { Option, type Command } from 'commander';
import type { Authentication } from '#base/mod.ts';
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

/** What `bench live` is told. */
export interface BenchLiveOptions {
  readonly json?: boolean;
  readonly messages: number;
  readonly size: number;
  readonly rate: number;
  readonly authentication: Authentication;
}

const MESSAGES_DEFAULT = 2_000_000;
const LIVE_MESSAGES_DEFAULT = 500_000;
const LIVE_RATE_DEFAULT = 50_000;
/** A message of this measurement carries when it was sent. */
const LIVE_SIZE_BYTES_MIN = 8;
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
  addLiveCommand(bench, host);
}

function addLiveCommand(bench: Command, host: CommandHost): void {
  const command = bench
    .command('live')
    .description('measure the path publish, multicast, subscriber on this machine')
    .option('--json', 'print one JSON object instead of a table')
    .option('--messages <count>', 'messages of each run', wholeNumber(1), LIVE_MESSAGES_DEFAULT)
    .option(
      '--size <bytes>',
      'bytes of a message',
      wholeNumber(LIVE_SIZE_BYTES_MIN),
      SIZE_BYTES_DEFAULT,
    )
    .option(
      '--rate <messages>',
      'messages per second while latency is measured',
      wholeNumber(1),
      LIVE_RATE_DEFAULT,
    )
    .addOption(
      new Option('--authentication <mode>', 'seal and check every packet')
        .choices(['off', 'required'])
        .default('off'),
    )
    .addOption(settingOption('--packet-bytes <bytes>', 'publisher.packetBytesMax'));
  runs(command, host, benchLive);
  explain(command, ['backcast bench live --json', 'backcast bench live --packet-bytes 1472']);
}

async function benchLive(context: CommandContext, options: BenchLiveOptions): Promise<Outcome> {
  const { config, output, note, signal } = context;
  const { benchmarkLive } = await import('#bench/mod.ts');
  const { packetBytesMaxOf } = await import('../services.ts');
  const result = await benchmarkLive({
    interfaceAddress: config.interface,
    messages: options.messages,
    payloadBytes: options.size,
    steadyRate: options.rate,
    flushMs: config.publisher.flushMs,
    authentication: options.authentication,
    packetBytesMax: packetBytesMaxOf(config),
    signal,
    onProgress: (run, received) => note(`${run}: received ${received} of ${options.messages}`),
  });
  if (options.json === true) await output.write(`${JSON.stringify(result)}\n`);
  else await output.write(asTable(result));
  return result.messagesLost === 0 ? 'ok' : 'failure';
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
