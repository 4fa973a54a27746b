// Sockets as publishers and receivers need them: opened on the right addresses, watched by a
// capture and troubled by injected faults where that is asked for. Machines and their owners know
// nothing of how many sockets there are. What is opened belongs to the stack it is opened in.

import {
  BackcastError,
  type ChannelAddress,
  fixedMembers,
  type MemberAddress,
  type MemberSource,
} from '#base/mod.ts';
import { CaptureFile } from './capture.ts';
import { FanOutSocket } from './fan-out.ts';
import { injectFaults, parseFaultSpec } from './loss-injector.ts';
import {
  type DatagramSocket,
  openGroupSocket,
  openMemberSocket,
  openSendSocket,
  type PortRange,
} from './socket.ts';

/** What a channel of unicast delivery needs beside its address. */
export interface UnicastOptions {
  /** Ports to listen on, the first free one of them; any free one if not given. */
  readonly ports?: PortRange | undefined;
  /** For publishers, which cannot do without: to whom each packet is sent. */
  readonly members?: MemberSource | undefined;
  /**
   * For receivers: makes this one a member, which listens at `at`. Disposing of the answer, if
   * there is one, ends that. Without it, publishers are to know of it by other means.
   */
  readonly join?: ((at: MemberAddress) => Promise<AsyncDisposable | undefined>) | undefined;
}

/** What every transport is opened with. */
export interface TransportOptions {
  readonly address: ChannelAddress;
  /** IPv4 address of the interface to use. */
  readonly interfaceAddress: string;
  /** Routers that multicast may pass, plus one; 1 by default. */
  readonly ttl?: number | undefined;
  /** How a channel of unicast delivery is served; not looked at for others. */
  readonly unicast?: UnicastOptions | undefined;
  /** Faults to inject, as the loss injector reads them. */
  readonly faults?: string | undefined;
  /** Capture file in which to keep what is sent and received. */
  readonly capture?: string | undefined;
}

/** Open sockets of a receiver. */
export interface ReceiverTransport {
  /** Hears the channel. */
  readonly group: DatagramSocket;
  /** Sends, and hears what is sent to this receiver alone. */
  readonly send: DatagramSocket;
}

/** Open sockets of a publisher. */
export interface PublisherTransport {
  /** Sends to the channel, and hears what is sent to `nakPort`. */
  readonly send: DatagramSocket;
  /** Every socket that hears something for the publisher, `send` among them. */
  readonly receiveFrom: readonly DatagramSocket[];
}

const PUBLISHER_SEND_BUFFER_BYTES = 4 * 1_048_576;
const RECEIVER_SEND_BUFFER_BYTES = 1_048_576;

/**
 * Joins the channel: its group, or its members. Errors: BACKCAST_INTERFACE_UNUSABLE,
 * BACKCAST_PORT_IN_USE, BACKCAST_USAGE (faults), BACKCAST_CONFIG_INVALID and those of
 * `unicast.join`.
 */
export async function openReceiverTransport(
  resources: AsyncDisposableStack,
  options: TransportOptions & { readonly receiveBufferBytes: number },
): Promise<ReceiverTransport> {
  const { ttl = 1 } = options;
  const { group, port } = options.address;
  const outfit = await openOutfit(resources, options);
  if (isUnicast(options.address)) return openMemberTransport(resources, options, outfit);
  const groupSocket = resources.use(await openGroupSocket({ ...options, ttl, group, port }));
  const sendBufferBytes = RECEIVER_SEND_BUFFER_BYTES;
  const sendSocket = resources.use(await openSendSocket({ ...options, ttl, sendBufferBytes }));
  return { group: outfit(groupSocket), send: outfit(sendSocket) };
}

/**
 * Opens what a publisher sends through. Errors: BACKCAST_INTERFACE_UNUSABLE, BACKCAST_USAGE
 * (faults), BACKCAST_CONFIG_INVALID.
 */
export async function openPublisherTransport(
  resources: AsyncDisposableStack,
  options: TransportOptions,
): Promise<PublisherTransport> {
  const { address, ttl = 1, unicast } = options;
  const members = isUnicast(address) ? requireMembers(address, unicast) : undefined;
  const ports = members && unicast?.ports;
  const outfit = await openOutfit(resources, options);
  const sendBufferBytes = PUBLISHER_SEND_BUFFER_BYTES;
  const socket = await openSendSocket({ ...options, ttl, sendBufferBytes, ports });
  const own = outfit(resources.use(socket));
  const send = members === undefined ? own : new FanOutSocket(own, address, members);
  return { send, receiveFrom: [send] };
}

/** Each copy meets faults and capture on its own, so the fan-out stands before them. */
async function openMemberTransport(
  resources: AsyncDisposableStack,
  options: TransportOptions & { readonly receiveBufferBytes: number },
  outfit: (socket: DatagramSocket) => DatagramSocket,
): Promise<ReceiverTransport> {
  const { address, interfaceAddress, unicast } = options;
  const listening = resources.use(await openMemberSocket({ ...options, ports: unicast?.ports }));
  const sendBufferBytes = RECEIVER_SEND_BUFFER_BYTES;
  const sending = await openSendSocket({ interfaceAddress, ttl: 1, sendBufferBytes });
  const send = new FanOutSocket(outfit(resources.use(sending)), address, NOBODY);
  const { localAddress, localPort } = listening;
  resources.use(await unicast?.join?.({ address: localAddress, port: localPort }));
  return { group: outfit(listening), send };
}

/** Other receivers hear from the publisher what was asked for; nobody else needs the copy. */
const NOBODY = fixedMembers([]);

/** Whether packets go to members. Throws BACKCAST_CONFIG_INVALID for a framing that cannot. */
function isUnicast({ delivery, framing, group, port }: ChannelAddress): boolean {
  if (delivery !== 'unicast') return false;
  if (framing === 'native') return true;
  throw new BackcastError(
    'BACKCAST_CONFIG_INVALID',
    `The channel ${group}:${port} has framing ${framing}, which is there for programs that know ` +
      'multicast only; unicast delivery needs framing native.',
  );
}

function requireMembers(
  { group, port }: ChannelAddress,
  unicast: UnicastOptions | undefined,
): MemberSource {
  if (unicast?.members !== undefined) return unicast.members;
  throw new BackcastError(
    'BACKCAST_CONFIG_INVALID',
    `The channel ${group}:${port} is delivered by unicast: give the publisher its members ` +
      '(unicast.members), from a registry or as a fixed list.',
  );
}

/** Faults and capture first: a bad specification or path must fail before a group is joined. */
async function openOutfit(
  resources: AsyncDisposableStack,
  options: TransportOptions,
): Promise<(socket: DatagramSocket) => DatagramSocket> {
  const faults = options.faults === undefined ? undefined : parseFaultSpec(options.faults);
  const capture = await CaptureFile.openIn(resources, options.capture);
  return (socket) => {
    const watched = capture?.watch(socket) ?? socket;
    return faults === undefined ? watched : injectFaults(watched, faults);
  };
}
