// Arguments that several commands share: the name of a channel, and an address given by hand.

import { Option, type Command } from 'commander';
import {
  BackcastError,
  canonicalAddress,
  DPORT_DEFAULT,
  dportOf,
  isMulticastGroup,
  isPort,
  PORT_MAX,
  type Authentication,
  sourcesProblem,
  type ChannelAddress,
  type Delivery,
  type Framing,
} from '#base/mod.ts';
import type { Registry } from '#registry/mod.ts';
import { wholeNumber } from './command.ts';

const GROUP_AND_PORT = /^((?<ipv4>[\d.]+)|\[(?<ipv6>[^\]]+)\]):(?<digits>\d{1,5})$/;

/** As commands take the name of a channel. */
export { requireChannelName as requireChannel } from '#base/mod.ts';

/** Options that name an address instead of asking the registry. */
export interface AddressOptions {
  readonly group?: string;
  readonly dport?: number;
  readonly framing?: Framing;
  readonly delivery?: Delivery;
  readonly authentication?: Authentication;
}

/** Adds the options of AddressOptions. */
export function addAddressOptions(command: Command): Command {
  return command
    .option(
      '--group <address:port>',
      'multicast group ([IPv6] in brackets) and UDP port; no registry',
    )
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
    )
    .addOption(
      new Option(
        '--delivery <delivery>',
        'what the channel is given if the registry does not know it yet (registry.delivery)',
      ).choices(['multicast', 'unicast']),
    )
    .addOption(
      new Option('--authentication <mode>', 'whether every packet must carry a tag').choices([
        'off',
        'required',
      ]),
    );
}

/** The address that the options name, or undefined if the registry is to be asked. */
export function addressOf(options: AddressOptions): ChannelAddress | undefined {
  const { group: text, framing = 'native', authentication } = options;
  if (text !== undefined && options.delivery === 'unicast')
    throw usage(
      '--delivery unicast goes with a registry; a channel with a fixed address and fixed members ' +
        'stands under `channels` in the configuration',
    );
  if (text === undefined) {
    if (options.dport !== undefined) throw usage('--dport goes with --group');
    return undefined;
  }
  const { ipv4, ipv6, digits } = GROUP_AND_PORT.exec(text)?.groups ?? {};
  const group = canonicalAddress(ipv4 ?? ipv6 ?? '') ?? '';
  const port = Number(digits);
  if (!isMulticastGroup(group) || !isPort(port))
    throw usage(
      `--group ${JSON.stringify(text)} is not a multicast group and a port like ` +
        '239.192.0.7:7600 or [ff15::7]:7600',
    );
  const dport = options.dport ?? dportOf(framing, port, DPORT_DEFAULT);
  if (!isPort(dport)) throw usage(`--dport ${dport} is not a port from 1 to ${PORT_MAX}`);
  if (dport !== dportOf(framing, port, dport))
    throw usage(`--dport ${dport} does not go with --framing zmq, which takes the port, ${port}`);
  return { group, port, dport, framing, ...(authentication && { authentication }) };
}

/**
 * The address of `channel` as the registry has it; a new one gets the framing that is asked for.
 * Errors: those of Registry.resolve.
 */
export async function resolveChannel(
  registry: Registry,
  channel: string,
  { framing, delivery, authentication }: AddressOptions,
): Promise<ChannelAddress> {
  return await registry.resolve(channel, { framing, delivery, authentication });
}

/** `address` heard from the hosts of `list` only, separated by commas; as it is without a list. */
export function withSources(address: ChannelAddress, list: string | undefined): ChannelAddress {
  if (list === undefined) return address;
  const texts = list.split(',').map((text) => text.trim());
  const sources = texts.map((text) => canonicalAddress(text) ?? text);
  const problem = sourcesProblem({ group: address.group, sources });
  if (problem !== undefined) throw usage(`--sources: ${problem}`);
  return { ...address, sources };
}

function usage(problem: string): BackcastError {
  return new BackcastError('BACKCAST_USAGE', problem);
}
