// `demo outage`: shows on this machine what an outage of an instance is worth, from the first
// message to the last, with nothing but what Backcast brings along.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
import type { OutageResult } from '../outage/outage-run.ts';
import { progressLine } from '../progress-line.ts';

interface OutageCommandOptions {
  readonly rate: number;
  readonly size: number;
  readonly window: number;
  readonly follow: number;
  readonly away: number;
  readonly json?: boolean;
}

const RATE_DEFAULT = 50_000;
const SIZE_BYTES_DEFAULT = 140;
const SIZE_BYTES_MAX = 60_000;
const WINDOW_SECONDS_DEFAULT = 5;
const FOLLOW_SECONDS_DEFAULT = 5;
const AWAY_SECONDS_DEFAULT = 60;

/** Adds the command. */
export function addDemoCommands(program: Command, host: CommandHost): void {
  const demo = program.command('demo').description('show on this machine what Backcast does');
  const command = demo
    .command('outage')
    .description('kill an instance, and see it come back with every message once and in order')
    .option('--rate <messages>', 'messages per second', wholeNumber(1), RATE_DEFAULT)
    .option(
      '--size <bytes>',
      'bytes of a message',
      wholeNumber(0, SIZE_BYTES_MAX),
      SIZE_BYTES_DEFAULT,
    )
    .option(
      '--window <seconds>',
      'how long the publisher repairs',
      wholeNumber(1),
      WINDOW_SECONDS_DEFAULT,
    )
    .option(
      '--follow <seconds>',
      'how long the instance follows, before and after',
      wholeNumber(1),
      FOLLOW_SECONDS_DEFAULT,
    )
    .option('--away <seconds>', 'how long it is away', wholeNumber(1), AWAY_SECONDS_DEFAULT)
    .option('--json', 'print one JSON object instead of a sentence')
    .addOption(settingOption('--interface <interface>', 'interface'));
  runs(command, host, outage);
  explain(command, ['backcast demo outage', 'backcast demo outage --rate 10000 --away 10']);
}

async function outage(context: CommandContext, options: OutageCommandOptions): Promise<Outcome> {
  const { config, note, output, signal } = context;
  const { runOutage } = await import('../outage/outage-run.ts');
  const folder = mkdtempSync(join(tmpdir(), 'backcast-demo-'));
  const line = progressLine(process.stderr);
  const listener = {
    tell: (sentence: string) => {
      line.end();
      note(sentence);
    },
    progress: (text: string) => line.show(`  ${text}`),
  };
  try {
    const result = await runOutage(
      {
        folder,
        interfaceAddress: config.interface,
        rate: options.rate,
        payloadBytes: options.size,
        windowMs: options.window * 1_000,
        followMs: options.follow * 1_000,
        awayMs: options.away * 1_000,
      },
      listener,
      signal,
    );
    line.end();
    await output.write(options.json === true ? `${JSON.stringify(result)}\n` : inWords(result));
    return result.isAsPromised ? 'ok' : 'failure';
  } finally {
    line.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

function inWords(result: OutageResult): string {
  const { publishedCount, receivedCount, misplacedCount, lostCount } = result;
  const { missedCount, replayedCount, replayedPerSecond } = result;
  const { startMs, liveAgainMs, liveAgainMsMax } = result;
  return [
    `published ${publishedCount}, received ${receivedCount}`,
    `lost ${lostCount}, twice or out of order ${misplacedCount}`,
    `missed ${missedCount}, read ${replayedCount} at ${replayedPerSecond} a second`,
    `started in ${startMs} ms, live again ${liveAgainMs} ms later, ` +
      `promised within ${liveAgainMsMax} ms`,
    result.isAsPromised ? 'as promised' : 'NOT as promised',
    '',
  ].join('\n');
}
