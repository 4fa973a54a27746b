// `bench archive`: messages per second from publish to COMMIT on this machine. `bench live`: how
// old a message is when a subscriber has it, and how many packets a core moves. `bench replay` is
// in a file of its own.

import { InvalidArgumentError, Option, type Command } from 'commander';
import type { Authentication } from '#base/mod.ts';
import type { ArchiveBenchmarkResult } from '#bench/mod.ts';
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
import { addReplayBenchCommand } from './bench-replay.ts';

/** What the command is told. */
export interface BenchOptions {
  readonly json?: boolean;
  readonly messages: number;
  readonly size: number;
  readonly publishers: number;
  readonly shards: readonly number[];
  readonly rates: readonly number[];
  readonly stored: readonly number[];
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
const SHARDS_DEFAULT = [1, 2, 4];
const SHARDS_MAX = 64;
const RATES_DEFAULT = [1_000, 50_000, 300_000];
const RATE_MAX = 2_000_000;
const STORED_DEFAULT = [0];
const STORED_MAX = 10_000_000_000;

/** Adds the command. */
export function addBenchCommand(program: Command, host: CommandHost): void {
  const bench = program.command('bench').description('measure on this machine');
  const command = bench
    .command('archive')
    .description('measure the path publish, multicast, COMMIT on this machine')
    .option('--json', 'print one JSON object instead of a table')
    .option('--messages <count>', 'messages to send', wholeNumber(1), MESSAGES_DEFAULT)
    .option('--size <bytes>', 'bytes of a message', wholeNumber(0), SIZE_BYTES_DEFAULT)
    .option('--publishers <count>', 'publishers of each channel', wholeNumber(1), 1)
    .option(
      '--shards <counts>',
      'numbers of channels to measure, each with a publishing and an archiving thread',
      wholeNumbers(1, SHARDS_MAX),
      SHARDS_DEFAULT,
    )
    .option(
      '--rates <rates>',
      'messages per second at which latency is measured; none: not at all',
      wholeNumbers(1, RATE_MAX),
      RATES_DEFAULT,
    )
    .option(
      '--stored <counts>',
      'measure beside so many stored messages, which are made first; 0: what is there',
      wholeNumbers(0, STORED_MAX),
      STORED_DEFAULT,
    )
    .addOption(settingOption('--packet-bytes <bytes>', 'publisher.packetBytesMax'))
    .addOption(settingOption('--database-url <url>', 'databaseUrl'))
    .addOption(settingOption('--compression <method>', 'archiver.compression'));
  runs(command, host, benchArchive);
  explain(command, [
    'backcast bench archive --json',
    'backcast bench archive --shards 1 --rates none --publishers 3',
    'backcast bench archive --stored 1000000,10000000,50000000',
  ]);
  addLiveCommand(bench, host);
  addReplayBenchCommand(bench, host, wholeNumbers(0, STORED_MAX));
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
    shards: options.shards,
    rates: options.rates,
    stored: options.stored,
    signal,
    onProgress: note,
  });
  if (options.json === true) await output.write(`${JSON.stringify(result)}\n`);
  else await output.write(asTables(result));
  const runs = result.steps.flatMap(({ throughput }) => throughput);
  const isWhole = runs.every((run) => run.isComplete && run.messagesLost === 0);
  return isWhole ? 'ok' : 'failure';
}

/** A parser of lists like `1,2,4`; `none` is the empty one. */
function wholeNumbers(minimum: number, maximum: number): (text: string) => number[] {
  const one = wholeNumber(minimum, maximum);
  return (text) => {
    if (text === 'none') return [];
    if (text.trim() === '') throw new InvalidArgumentError('It is empty; write none.');
    return text.split(',').map((part) => one(part.trim()));
  };
}

function asTables(result: ArchiveBenchmarkResult): string {
  const { steps, server, machine, node, acknowledged } = result;
  const runs = steps.flatMap(({ storedMessages, throughput }) =>
    throughput.map((run) => ({ storedMessages, ...run })),
  );
  const latencies = steps.flatMap(({ storedMessages, latency }) =>
    latency.map((run) => ({ storedMessages, ...run })),
  );
  const throughputTable = renderTable(
    [
      { title: 'STORED', cell: (run) => run.storedMessages },
      { title: 'SHARDS', cell: (run) => run.shards },
      { title: 'MESSAGES/S', cell: (run) => run.messagesPerSecond },
      { title: 'COPY ALONE', cell: (run) => run.copyMessagesPerSecond },
      { title: 'SHARE', cell: (run) => `${run.copySharePercent} %` },
      { title: 'BYTES STORED', cell: (run) => run.storedBytesPerMessage },
      { title: 'PER COMMIT', cell: (run) => run.messagesPerTransaction },
      { title: 'LOST', cell: (run) => run.messagesLost },
    ],
    runs,
  );
  const latencyTable = renderTable(
    [
      { title: 'STORED', cell: (run) => run.storedMessages },
      { title: 'OFFERED/S', cell: (run) => run.offeredRate },
      { title: 'PUBLISHED/S', cell: (run) => run.publishedRate },
      { title: 'KEPT', cell: (run) => (run.isKept ? 'yes' : 'no') },
      { title: 'P50 MS', cell: (run) => run.latencyMsP50 },
      { title: 'P99 MS', cell: (run) => run.latencyMsP99 },
      { title: 'MAX MS', cell: (run) => run.latencyMsMax },
    ],
    latencies,
  );
  const alone =
    acknowledged === undefined
      ? ''
      : `\npublish until archived, one at a time: p50 ${acknowledged.acknowledgedMsP50} ms, ` +
        `p99 ${acknowledged.acknowledgedMsP99} ms\n`;
  const latency = latencies.length === 0 ? '' : `\npublish to COMMIT\n${latencyTable}${alone}`;
  return `${server}; ${machine}; Node ${node}\n\n${throughputTable}${latency}`;
}

function asTable(result: object): string {
  const columns = [
    { title: 'WHAT', cell: ([name]: readonly [string, unknown]) => name },
    { title: 'VALUE', cell: ([, value]: readonly [string, unknown]) => String(value) },
  ];
  return renderTable(columns, Object.entries(result));
}
