// `bench replay`: how fast history comes back through the replay API, beside COPY OUT of the same
// rows, and how long a page takes.

import type { Command } from 'commander';
import type { ReplayBenchmarkResult } from '#bench/mod.ts';
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
import { renderTable } from '../table.ts';

/** What the command is told. */
export interface BenchReplayOptions {
  readonly json?: boolean;
  readonly messages: number;
  readonly size: number;
  readonly pages: number;
  readonly stored: readonly number[];
}

const MESSAGES_DEFAULT = 1_000_000;
const SIZE_BYTES_DEFAULT = 140;
const PAGES_DEFAULT = 1_000;

/** Adds the command to `bench`; `counts` reads a list of numbers. */
export function addReplayBenchCommand(
  bench: Command,
  host: CommandHost,
  counts: (text: string) => number[],
): void {
  const command = bench
    .command('replay')
    .description('measure how fast history is read through the replay API on this machine')
    .option('--json', 'print one JSON object instead of a table')
    .option('--messages <count>', 'messages of each stream', wholeNumber(1), MESSAGES_DEFAULT)
    .option('--size <bytes>', 'bytes of a message', wholeNumber(0), SIZE_BYTES_DEFAULT)
    .option('--pages <count>', 'pages whose time is taken', wholeNumber(1), PAGES_DEFAULT)
    .option(
      '--stored <counts>',
      'measure beside so many stored messages, which are made first; 0: what is there',
      counts,
      [0],
    )
    .addOption(settingOption('--database-url <url>', 'databaseUrl'))
    .addOption(settingOption('--compression <method>', 'archiver.compression'));
  runs(command, host, benchReplay);
  explain(command, [
    'backcast bench replay --json',
    'backcast bench replay --stored 1000000,10000000,50000000',
  ]);
}

async function benchReplay(context: CommandContext, options: BenchReplayOptions): Promise<Outcome> {
  const { config, output, note, signal } = context;
  const { migrateToLatest } = await import('#archive/mod.ts');
  const { benchmarkReplay } = await import('#bench/mod.ts');
  await using store = await openStore(context);
  await migrateToLatest({ url: store.url, compression: config.archiver.compression });
  const result = await benchmarkReplay({
    databaseUrl: store.url,
    messages: options.messages,
    payloadBytes: options.size,
    pages: options.pages,
    stored: options.stored,
    signal,
    onProgress: note,
  });
  if (options.json === true) await output.write(`${JSON.stringify(result)}\n`);
  else await output.write(asTables(result));
  return 'ok';
}

function asTables({ steps, server, machine, node }: ReplayBenchmarkResult): string {
  const rates = steps.flatMap(({ storedMessages, rates: all }) =>
    all.map((rate) => ({ storedMessages, ...rate })),
  );
  const rateTable = renderTable(
    [
      { title: 'STORED', cell: (rate) => rate.storedMessages },
      { title: 'FORM', cell: (rate) => rate.form },
      { title: 'MESSAGES/S', cell: (rate) => rate.messagesPerSecond },
      { title: 'MB/S', cell: (rate) => rate.megabytesPerSecond },
      { title: 'FIRST MS', cell: (rate) => rate.firstMessageMs },
      { title: 'PER READER CORE', cell: (rate) => rate.perReaderCore },
      { title: 'PER SERVER CORE', cell: (rate) => rate.perServerCore },
    ],
    rates,
  );
  const pageTable = renderTable(
    [
      { title: 'STORED', cell: (step) => step.storedMessages },
      { title: 'PAGE MS P50', cell: (step) => step.pageMsP50 },
      { title: 'P99', cell: (step) => step.pageMsP99 },
    ],
    steps,
  );
  return `${server}; ${machine}; Node ${node}\n\n${rateTable}\n100 messages as JSON\n${pageTable}`;
}
