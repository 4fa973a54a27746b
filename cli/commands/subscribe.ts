// `subscribe`: prints what is published on a channel now, as NDJSON; with --from or --cursor also
// what was published before, each message once.

import type { Command } from 'commander';
import { BackcastError } from '#base/mod.ts';
import { receiverFamilies, transportFamilies } from '#multicast/metrics/mod.ts';
import {
  addAddressOptions,
  addressOf,
  requireChannel,
  resolveChannel,
  withSources,
  type AddressOptions,
} from '../channel-argument.ts';
import { addMetricsOption, serveCommandMetrics, type MetricsOptions } from '../command-metrics.ts';
import {
  explain,
  runs,
  settingOption,
  wholeNumber,
  type CommandContext,
  type CommandHost,
} from '../command.ts';
import type { Outcome } from '../exit-codes.ts';
import { openCommandRegistry } from '../registry.ts';

/** What the command is told. */
export interface SubscribeOptions extends AddressOptions, MetricsOptions {
  /** Messages after which it ends; never if not given. */
  readonly count?: number;
  /** The only hosts to listen to, separated by commas. */
  readonly sources?: string;
  /** Where to begin: then what was missed comes from the archive. */
  readonly from?: string;
  /** File that remembers where it was. */
  readonly cursor?: string;
  /** Whether to hear the publishers, or the archive alone. */
  readonly multicast: boolean;
}

/** Adds the command. */
export function addSubscribeCommand(program: Command, host: CommandHost): void {
  const command = program
    .command('subscribe <channel>')
    .description('print live messages as NDJSON, one per line, and with --from those before')
    .option('--from <place>', 'begin at: start, a position, a time (RFC 3339), live')
    .option('--cursor <file>', 'go on where the file says, and keep it up to date')
    .option('--no-multicast', 'with --from or --cursor: read the archive only, and follow it')
    .option('--count <messages>', 'end after so many messages', wholeNumber(1))
    .option('--sources <addresses>', 'listen to these hosts only (source-specific multicast)')
    .addOption(settingOption('--interface <interface>', 'interface'))
    .addOption(settingOption('--ttl <hops>', 'multicast.ttl'))
    .addOption(settingOption('--capture <file>', 'capture'))
    .addOption(settingOption('--fault <faults>', 'faults'))
    .addOption(settingOption('--api <url>', 'api.url'));
  addAddressOptions(command);
  addMetricsOption(command);
  runs(command, host, subscribe);
  explain(command, [
    'backcast subscribe demo.orders --count 10',
    'backcast subscribe demo.orders --from start',
    'backcast subscribe demo.orders --from 2026-11-22T14:00:00Z --cursor orders.cursor',
    "backcast subscribe demo.orders | jq -r '.payload'",
    'backcast subscribe legacy --group 239.10.0.7:3056 --framing raw --interface 10.0.0.5',
    'backcast subscribe feed --group 239.10.0.8:5555 --framing zmq',
    'backcast subscribe ticks --group 232.10.0.7:7600 --sources 10.0.7.21 --interface eth0',
  ]);
}

async function subscribe(
  context: CommandContext,
  options: SubscribeOptions,
  name: string,
): Promise<Outcome> {
  const channel = requireChannel(name);
  const given = addressOf(options);
  if (!options.multicast && options.from === undefined && options.cursor === undefined)
    throw new BackcastError('BACKCAST_USAGE', '--no-multicast goes with --from or --cursor');
  await using resources = new AsyncDisposableStack();
  const { config, note } = context;
  const { openSubscriber } = await import('../services.ts');
  const { liveText } = await import('../live-text.ts');
  const { openKeys, tellRejections } = await import('../authentication.ts');
  const { subscriberUnicast } = await import('../members.ts');
  const registry = given ?? (await openCommandRegistry(config, resources, note));
  const known = 'group' in registry ? registry : await resolveChannel(registry, channel, options);
  const address = withSources(known, options.sources);
  const unicast =
    'group' in registry ? undefined : subscriberUnicast(config, { registry, channel, address });
  const keys = openKeys(config, resources, note);
  if (options.from !== undefined || options.cursor !== undefined) {
    const { subscriberOptions } = await import('../services.ts');
    const { followFrom } = await import('../following.ts');
    const multicast = subscriberOptions(config, address, { unicast, keys });
    return await followFrom(context, { ...options, channel, address, hears: multicast }, resources);
  }
  const subscriber = resources.use(await openSubscriber(config, address, { unicast, keys }));
  tellRejections(subscriber.counters, resources, note);
  await serveCommandMetrics(resources, {
    config,
    port: options.metricsPort,
    note,
    collect: () => [
      ...receiverFamilies({
        [channel]: { receiver: subscriber.counters, repairLatency: subscriber.repairLatency },
      }),
      ...transportFamilies({ [channel]: subscriber.transportCounters }),
    ],
  });
  context.signal.throwIfAborted();
  context.signal.addEventListener('abort', () => void subscriber[Symbol.asyncDispose](), {
    once: true,
  });
  note(`listening to ${channel} on ${subscriber.listensAt}`);
  let count = 0;
  for await (const live of subscriber) {
    if (live.kind === 'message') count += 1;
    await context.output.write(`${liveText(channel, live, address.framing)}\n`);
    if (count === options.count) return 'ok';
  }
  return 'interrupted';
}
