// Arguments that several commands share: the name of a channel, and an address given by hand.

import { Option, type Command } from 'commander';
import {
  BackcastError,
  dportOf,
  isChannelName,
  isMulticastGroup,
  isPort,
  type ChannelAddress,
  type Framing,
} from '#base/mod.ts';
import type { Registry } from '#registry/mod.ts';
import { wholeNumber } from './command.ts';

/** PGM data-destination port of a channel that is given by hand without one, and OpenPGM's. */
const DPORT_DEFAULT = 7_500;

/** Options that name an address instead of asking the registry. */
export interface AddressOptions {
  readonly group?: string;
  readonly dport?: number;
  readonly framing?: Framing;
}

/** `text` if it names a channel; BACKCAST_CHANNEL_NAME otherwise. */
export function requireChannel(text: string): string {
  if (isChannelName(text)) return text;
  throw new BackcastError(
    'BACKCAST_CHANNEL_NAME',
    `${JSON.stringify(text)} cannot name a channel: use 1 to 128 of A-Z a-z 0-9 . _ -`,
  );
}

/** Adds the options of AddressOptions. */
export function addAddressOptions(command: Command): Command {
  return command
    .option('--group <address:port>', 'multicast group and UDP port; asks no registry')
    .addOption(
      new Option(
        '--dport <port>',
        `PGM data-destination port (with --group; ${DPORT_DEFAULT}, of zmq the UDP port)`,
      ).argParser(wholeNumber(1)),
    )
    .addOption(
      new Option(
        '--framing <framing>',
        'how packets are cut into messages: raw as OpenPGM, zmq as ZeroMQ (native)',
      ).choices(['native', 'raw', 'zmq']),
    );
}

/** The address that the options name, or undefined if the registry is to be asked. */
export function addressOf(options: AddressOptions): ChannelAddress | undefined {
  const { group: text, framing = 'native' } = options;
  if (text === undefined) {
    if (options.dport !== undefined) throw usage('--dport goes with --group');
    return undefined;
  }
  const [group, portText, ...rest] = text.split(':');
  const port = /^\d{1,5}$/.test(portText ?? '') ? Number(portText) : 0;
  if (rest.length > 0 || !isMulticastGroup(group) || !isPort(port))
    throw usage(
      `--group ${JSON.stringify(text)} is not a multicast group and a port like 239.192.0.7:7600`,
    );
  const dport = options.dport ?? dportOf(framing, port, DPORT_DEFAULT);
  if (!isPort(dport)) throw usage(`--dport ${dport} is not a port from 1 to 65535`);
  if (dport !== dportOf(framing, port, dport))
    throw usage(`--dport ${dport} does not go with --framing zmq, which takes the port, ${port}`);
  return { group, port, dport, framing };
}

/**
 * The address of `channel` as the registry has it; a new one gets the framing that is asked for. Errors: those of Registry.resolve.
 */
export async function resolveChannel(
  registry: Registry,
  channel: string,
  { framing }: AddressOptions,
): Promise<ChannelAddress> {
  return await registry.resolve(channel, framing === undefined ? {} : { framing });
}

function usage(problem: string): BackcastError {
  return new BackcastError('BACKCAST_USAGE', problem);
}
