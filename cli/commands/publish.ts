// `publish`: sends messages to a channel, one per line of standard input or as many as asked for.

import { Option, type Command } from 'commander';
import type { ChannelPublisher } from '#client/mod.ts';
import { publisherFamilies, transportFamilies } from '#multicast/metrics/mod.ts';
import {
  addAddressOptions,
  addressOf,
  requireChannel,
  resolveChannel,
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
import { DurablePublishing } from '../durable-publishing.ts';
import type { Outcome } from '../exit-codes.ts';
import { Pace, publishLines, publishMadeUp } from '../publish-source.ts';
import { openCommandRegistry } from '../registry.ts';

/** What the command is told. */
export interface PublishOptions extends AddressOptions, MetricsOptions {
  /** Messages to make up; without it, one per line of standard input. */
  readonly count?: number;
  /** Bytes of a made-up message. */
  readonly size: number;
  /** Messages per second; as fast as the network takes them if not given. */
  readonly rate?: number;
  /** Name of this publisher; the host name if not given. */
  readonly source?: string;
  /** Whether to wait for each message to be archived, and for how long at most. */
  readonly until: 'accepted' | 'archived';
  readonly timeoutMs: number;
}

const SIZE_BYTES_DEFAULT = 140;
const TIMEOUT_MS_DEFAULT = 30_000;

/** Adds the command. */
export function addPublishCommand(program: Command, host: CommandHost): void {
  const command = program
    .command('publish <channel>')
    .description('publish messages: one per line of standard input, or --count made-up ones')
    .option('--count <messages>', 'make up so many messages', wholeNumber(0))
    .option('--size <bytes>', 'bytes of a made-up message', wholeNumber(0), SIZE_BYTES_DEFAULT)
    .option('--rate <messages>', 'messages per second', wholeNumber(1))
    .option('--source <name>', 'name of this publisher (default: the host name)')
    .addOption(
      new Option('--until <state>', 'when a message is done: once it is sent, or committed')
        .choices(['accepted', 'archived'])
        .default('accepted'),
    )
    .option(
      '--timeout-ms <ms>',
      'longest wait for a message to be archived',
      wholeNumber(1),
      TIMEOUT_MS_DEFAULT,
    )
    .addOption(settingOption('--unarchived-bytes <bytes>', 'publisher.unarchivedBytesMax'))
    .addOption(settingOption('--interface <interface>', 'interface'))
    .addOption(settingOption('--ttl <hops>', 'multicast.ttl'))
    .addOption(settingOption('--capture <file>', 'capture'))
    .addOption(settingOption('--fault <faults>', 'faults'));
  addAddressOptions(command);
  addMetricsOption(command);
  runs(command, host, publish);
  explain(command, [
    "echo 'hello' | backcast publish demo.tour --source tour-1",
    'backcast publish demo.tour --count 1000 --size 200 --rate 100',
    'backcast publish demo.tour --count 100 --until archived --timeout-ms 5000',
    'backcast publish legacy --group 239.10.0.7:3056 --framing raw --count 10',
    "echo 'hello' | backcast publish feed --group 239.10.0.8:5555 --framing zmq",
  ]);
}

async function publish(
  context: CommandContext,
  options: PublishOptions,
  name: string,
): Promise<Outcome> {
  const channel = requireChannel(name);
  const given = addressOf(options);
  await using resources = new AsyncDisposableStack();
  const { config, note } = context;
  const { openPublisher } = await import('../services.ts');
  const { openKeys, tellRejections } = await import('../authentication.ts');
  const registry = given ?? (await openCommandRegistry(config, resources, note));
  const address = 'group' in registry ? registry : await resolveChannel(registry, channel, options);
  const keys = openKeys(config, resources, note);
  const { source } = options;
  const known = 'group' in registry ? undefined : registry;
  const publisher = resources.use(
    await openPublisher(config, { channel, registry: known, address, source, keys, tell: note }),
  );
  tellRejections(publisher.counters, resources, note);
  await serveCommandMetrics(resources, {
    config,
    port: options.metricsPort,
    note,
    collect: () => [
      ...publisherFamilies({ [channel]: publisher.counters }),
      ...transportFamilies({ [channel]: publisher.transportCounters }),
    ],
  });
  const { signal } = context;
  signal.throwIfAborted();
  const { session } = publisher;
  const { count, durable } = await publishAll(publisher, options, signal);
  const isArchived = (await durable?.settled()) ?? true;
  await resources.disposeAsync();
  const messages = count === 1 ? '1 message' : `${count} messages`;
  note(`published ${messages} to ${channel}, session ${session}`);
  if (durable !== undefined) note(durable.summary());
  if (signal.aborted) return 'interrupted';
  return isArchived ? 'ok' : 'failure';
}

/** Publishes what is asked for; `durable` then still waits for what is not archived. */
async function publishAll(
  publisher: ChannelPublisher,
  { count: wanted, size, rate, until, timeoutMs }: PublishOptions,
  signal: AbortSignal,
): Promise<{ readonly count: number; readonly durable: DurablePublishing | undefined }> {
  const isDurable = until === 'archived';
  const durable = isDurable ? new DurablePublishing(publisher, timeoutMs, signal) : undefined;
  const into = durable ?? publisher;
  const pace = new Pace(rate, performance.now());
  const count =
    wanted === undefined
      ? await publishLines(into, process.stdin, pace, signal)
      : await publishMadeUp(into, { count: wanted, size, pace }, signal);
  return { count, durable };
}
