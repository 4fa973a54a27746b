// `subscribe`: prints what is published on a channel now, as NDJSON.

import type { Command } from 'commander';
import {
  addAddressOptions,
  addressOf,
  requireChannel,
  type AddressOptions,
} from '../channel-argument.ts';
import {
  explain,
  notInThisBuild,
  runs,
  settingOption,
  wholeNumber,
  type CommandContext,
  type CommandHost,
} from '../command.ts';
import type { Outcome } from '../exit-codes.ts';

/** What the command is told. */
export interface SubscribeOptions extends AddressOptions {
  /** Messages after which it ends; never if not given. */
  readonly count?: number;
}

/** Adds the command. */
export function addSubscribeCommand(program: Command, host: CommandHost): void {
  const command = program
    .command('subscribe <channel>')
    .description('print live messages as NDJSON, one per line')
    .option('--count <messages>', 'end after so many messages', wholeNumber(1))
    .addOption(settingOption('--interface <address>', 'interface'))
    .addOption(settingOption('--fault <faults>', 'faults'));
  addAddressOptions(command);
  runs(command, host, subscribe);
  explain(command, [
    'backcast subscribe demo.orders --count 10',
    "backcast subscribe demo.orders | jq -r '.payload'",
    'backcast subscribe legacy --group 239.10.0.7:7600 --framing native',
  ]);
}

async function subscribe(
  _context: CommandContext,
  options: SubscribeOptions,
  channel: string,
): Promise<Outcome> {
  requireChannel(channel);
  addressOf(options);
  throw notInThisBuild('subscribe');
}
