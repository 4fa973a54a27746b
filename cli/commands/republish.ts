// `republish`: publishes archived messages again, at their pace or faster, on another channel: to
// rehearse with what really happened. Never into the channel that they come from.

import { InvalidArgumentError, type Command } from 'commander';
import { BackcastError, type ChannelAddress } from '#base/mod.ts';
import type { ChannelPublisher } from '#client/mod.ts';
import type { Registry } from '#registry/mod.ts';
import { replayApiOf } from '../api-request.ts';
import {
  addAddressOptions,
  addressOf,
  requireChannel,
  resolveChannel,
  type AddressOptions,
} from '../channel-argument.ts';
import {
  explain,
  runs,
  settingOption,
  wholeNumber,
  type CommandContext,
  type CommandHost,
} from '../command.ts';
import type { Outcome } from '../exit-codes.ts';
import { addHistoryPartOptions, historyPart, type HistoryPartOptions } from '../history-options.ts';
import { openCommandRegistry } from '../registry.ts';
import { Republishing } from '../republishing.ts';

/** What the command is told. */
export interface RepublishOptions extends AddressOptions, HistoryPartOptions {
  readonly speed: number;
  readonly pauseMsMax?: number;
  readonly source?: string;
}

/** Adds the command. */
export function addRepublishCommand(program: Command, host: CommandHost): void {
  const command = program
    .command('republish <channel> <target>')
    .description('publish archived messages again, on another channel')
    .option('--speed <factor>', 'times as fast as it was, such as 0.5 or 10; max', speed, 1)
    .option('--pause-ms-max <ms>', 'cut longer silences to this', wholeNumber(0))
    .option('--source <name>', 'name of this publisher (default: the host name)');
  addHistoryPartOptions(command);
  addAddressOptions(command)
    .addOption(settingOption('--interface <interface>', 'interface'))
    .addOption(settingOption('--ttl <hops>', 'multicast.ttl'))
    .addOption(settingOption('--api <url>', 'api.url'));
  runs(command, host, republish);
  explain(command, [
    'backcast republish demo.orders rehearsal.orders --speed 10',
    'backcast republish demo.orders rehearsal --from 2026-11-22T14:00:00Z --pause-ms-max 1000',
    'backcast republish demo.orders rehearsal.orders --after 990 --limit 10 --speed max',
  ]);
}

async function republish(
  context: CommandContext,
  options: RepublishOptions,
  channelName: string,
  targetName: string,
): Promise<Outcome> {
  const channel = requireChannel(channelName);
  const target = requireChannel(targetName);
  if (channel === target) throw intoItself(channel);
  const part = historyPart(options);
  const { note, signal } = context;
  const { askForJson, history } = await import('#client/mod.ts');
  const api = replayApiOf(context);
  const from = await askForJson(api, { path: `/v1/channels/${channel}`, signal });
  await using resources = new AsyncDisposableStack();
  const opened = await findTarget(context, options, target, resources);
  if (from['group'] === opened.address.group && from['port'] === opened.address.port)
    throw intoItself(channel);
  requireFraming(from['framing'], opened.address, target);
  const publisher = await openTarget(context, opened, options.source, resources);
  const republishing = new Republishing(publisher, {
    ...options,
    isFramed: from['framing'] === 'zmq',
  });
  note(`republishing ${channel} to ${target}, session ${publisher.session}`);
  try {
    for await (const entry of history({ ...api, ...part, channel, signal }))
      await republishing.take(entry, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  await resources.disposeAsync();
  for (const line of republishing.summary()) note(line);
  return signal.aborted ? 'interrupted' : 'ok';
}

/** Where to publish, and the registry that said so, if it was one. */
interface Target {
  readonly channel: string;
  readonly address: ChannelAddress;
  readonly registry: Registry | undefined;
}

async function findTarget(
  { config, note }: CommandContext,
  options: RepublishOptions,
  channel: string,
  resources: AsyncDisposableStack,
): Promise<Target> {
  const given = addressOf(options);
  if (given !== undefined) return { channel, address: given, registry: undefined };
  const registry = await openCommandRegistry(config, resources, note);
  return { channel, address: await resolveChannel(registry, channel, options), registry };
}

async function openTarget(
  { config, note }: CommandContext,
  { channel, address, registry }: Target,
  source: string | undefined,
  resources: AsyncDisposableStack,
): Promise<ChannelPublisher> {
  const { openPublisher } = await import('../services.ts');
  const { openKeys } = await import('../authentication.ts');
  const keys = openKeys(config, resources, note);
  return resources.use(
    await openPublisher(config, { channel, registry, address, source, keys, tell: note }),
  );
}

function intoItself(channel: string): BackcastError {
  return new BackcastError(
    'BACKCAST_USAGE',
    `"${channel}" is not republished into itself: who listens there would take it for what ` +
      'happens now, and the archive would have everything twice. Name another channel.',
  );
}

/** Messages of zmq are frames, which only a channel of zmq can carry as what they are. */
function requireFraming(framing: unknown, address: ChannelAddress, target: string): void {
  if (framing !== 'zmq' || address.framing === 'zmq') return;
  throw new BackcastError(
    'BACKCAST_USAGE',
    `The messages have framing zmq and "${target}" has ${address.framing}; use --framing zmq and ` +
      'a channel that is new or has it.',
  );
}

function speed(text: string): number {
  if (text === 'max') return Number.POSITIVE_INFINITY;
  const factor = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && factor > 0) return factor;
  throw new InvalidArgumentError('It is not a number above 0, nor max.');
}
