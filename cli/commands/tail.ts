// `tail`: what is archived on a channel, as it is archived, as NDJSON: messages, losses, deletions
// and changes of sessions as the replay API tells them. Goes on by itself when the connection or
// the server is lost.

import type { Command } from 'commander';
import { requireChannel } from '../channel-argument.ts';
import {
  explain,
  runs,
  settingOption,
  wholeNumber,
  type CommandContext,
  type CommandHost,
} from '../command.ts';
import type { Outcome } from '../exit-codes.ts';
import { readTail } from '../tail-reading.ts';

interface TailOptions {
  readonly after?: number;
  readonly count?: number;
}

/** Adds the command. */
export function addTailCommand(program: Command, host: CommandHost): void {
  const command = program
    .command('tail <channel>')
    .description('print messages as they are archived, as NDJSON, one per line')
    .option('--after <position>', 'begin behind this position, through history', wholeNumber(0))
    .option('--count <messages>', 'end after so many messages', wholeNumber(1))
    .addOption(settingOption('--api <url>', 'api.url'));
  runs(command, host, tail);
  explain(command, [
    'backcast tail demo.orders',
    'backcast tail demo.orders --after 990 --count 20',
    'backcast tail demo.orders | jq -r \'select(.kind == "loss")\'',
  ]);
}

async function tail(
  context: CommandContext,
  { after, count: countMax }: TailOptions,
  name: string,
): Promise<Outcome> {
  const channel = requireChannel(name);
  let count = 0;
  for await (const { kind, text } of readTail(context, { channel, after })) {
    if (kind === 'state') {
      context.note(describeState(text));
      continue;
    }
    await context.output.write(`${text}\n`);
    if (kind === 'message') count += 1;
    if (count === countMax) return 'ok';
  }
  return 'interrupted';
}

function describeState(text: string): string {
  const { state, position, archivedThrough } = JSON.parse(text) as {
    state: string;
    position: number;
    archivedThrough: number;
  };
  if (state === 'replaying') return `replaying from ${position + 1} to ${archivedThrough}`;
  if (state === 'live') return `live behind position ${position}`;
  if (state === 'away') return 'the database of the replay API does not answer; waiting';
  return `the archive has gone back: it ends at ${position}; positions behind come anew`;
}
