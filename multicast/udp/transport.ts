// Sockets as publishers and receivers need them: opened on the right addresses, watched by a
// capture and troubled by injected faults where that is asked for. Machines and their owners know
// nothing of how many sockets there are. What is opened belongs to the stack it is opened in.

import type { ChannelAddress, MemberSource } from '#base/mod.ts';
import type { TransportSession } from '#multicast/wire/mod.ts';
import { CaptureFile } from './capture.ts';
import { FanOutSocket } from './fan-out.ts';
import type { KeySource } from './hmac-authenticator.ts';
import { type FaultySocket, injectFaults, parseFaultSpec } from './loss-injector.ts';
import { LOOPBACK_BROADCAST, RelayingSocket } from './nak-relay.ts';
import {
  type DatagramSocket,
  openBroadcastSocket,
  openGroupSocket,
  openPortSocket,
  openSendSocket,
  openUnicastSocket,
} from './socket.ts';
import { countTransport, type TransportCounters } from './transport-counters.ts';
import { isUnicast, NOBODY, requireMembers, type UnicastOptions } from './unicast.ts';

/** What every transport is opened with. */
export interface TransportOptions {
  readonly address: ChannelAddress;
  /** Address or name of the interface to use. */
  readonly interfaceAddress: string;
  /** Routers that multicast may pass, plus one; 1 by default, 0 stays on this host. */
  readonly ttl?: number | undefined;
  /** How a channel of unicast delivery is served; not looked at for others. */
  readonly unicast?: UnicastOptions | undefined;
  /** Keys of the channel's members, for a channel that requires authentication. */
  readonly keys?: KeySource | undefined;
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
  /** What sockets, faults and capture have counted so far. */
  readonly count: () => TransportCounters;
}

/** Open sockets of a publisher. */
export interface PublisherTransport {
  /** Sends to the channel, and hears what is sent to `nakPort`. */
  readonly send: DatagramSocket;
  /** Every socket that hears something for the publisher, `send` among them. */
  readonly receiveFrom: readonly DatagramSocket[];
  /** What sockets, faults and capture have counted so far. */
  readonly count: () => TransportCounters;
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
  const { address, ttl = 1 } = options;
  if (isUnicast(address)) return openMemberTransport(resources, options);
  const outfit = await openOutfit(resources, options);
  const groupSocket = resources.use(await openGroupSocket({ ...options, ...address, ttl }));
  const sending = { ...options, group: address.group, ttl };
  const sendBufferBytes = RECEIVER_SEND_BUFFER_BYTES;
  const sendSocket = resources.use(await openSendSocket({ ...sending, sendBufferBytes }));
  const group = outfit.socket(groupSocket);
  return { group, send: outfit.socket(sendSocket), count: outfit.count };
}

/** Listens first, and only then says where. */
async function openMemberTransport(
  resources: AsyncDisposableStack,
  options: TransportOptions & { readonly receiveBufferBytes: number },
): Promise<ReceiverTransport> {
  const { address, interfaceAddress, receiveBufferBytes, unicast } = options;
  const outfit = await openOutfit(resources, options);
  const own = { interfaceAddress, group: address.group };
  const hearing = { ...own, receiveBufferBytes, ports: unicast?.ports };
  const listening = resources.use(await openUnicastSocket(hearing));
  const sending = resources.use(await openUnicastSocket(own));
  const send = outfit.fanOut(sending, address, NOBODY);
  const { localAddress, localPort } = listening;
  resources.use(await unicast?.join?.({ address: localAddress, port: localPort }));
  return { group: outfit.socket(listening), send, count: outfit.count };
}

/**
 * Opens what a publisher sends through. Receivers of other implementations know nothing of a
 * publisher's own port and ask at the group's, so where there may be any, that is heard too, and
 * what there is meant for another publisher of this host is passed on.
 * Errors: BACKCAST_INTERFACE_UNUSABLE, BACKCAST_PORT_IN_USE, BACKCAST_USAGE (faults),
 * BACKCAST_CONFIG_INVALID.
 */
export async function openPublisherTransport(
  resources: AsyncDisposableStack,
  options: TransportOptions & { readonly transport: TransportSession },
): Promise<PublisherTransport> {
  const { address, ttl = 1, transport } = options;
  if (isUnicast(address)) return openFanOutTransport(resources, options);
  const outfit = await openOutfit(resources, options);
  const { framing, group, port } = address;
  const sending = { ...options, group, ttl, sendBufferBytes: PUBLISHER_SEND_BUFFER_BYTES };
  const send = outfit.socket(resources.use(await openSendSocket(sending)));
  if (framing === 'native') return { send, receiveFrom: [send], count: outfit.count };
  const asked = outfit.socket(resources.use(await openPortSocket({ ...options, group, port })));
  const broadcast = { port, address: LOOPBACK_BROADCAST };
  const relay = outfit.socket(resources.use(await openBroadcastSocket(broadcast)));
  const relaying = new RelayingSocket(asked, relay, transport);
  return { send, receiveFrom: [send, relaying, relay], count: outfit.count };
}

async function openFanOutTransport(
  resources: AsyncDisposableStack,
  options: TransportOptions,
): Promise<PublisherTransport> {
  const { address, interfaceAddress, unicast } = options;
  const members = requireMembers(address, unicast);
  const outfit = await openOutfit(resources, options);
  const sending = {
    interfaceAddress,
    group: address.group,
    ports: unicast?.ports,
    sendBufferBytes: PUBLISHER_SEND_BUFFER_BYTES,
  };
  const send = outfit.fanOut(resources.use(await openUnicastSocket(sending)), address, members);
  return { send, receiveFrom: [send], count: outfit.count };
}

/** Puts capture and faults before sockets, and counts over all of them. */
interface Outfit {
  readonly socket: (opened: DatagramSocket) => DatagramSocket;
  /** As `socket`, and a fan-out before all that: each copy meets capture and faults on its own. */
  readonly fanOut: (
    opened: DatagramSocket,
    place: ChannelAddress,
    members: MemberSource,
  ) => DatagramSocket;
  readonly count: () => TransportCounters;
}

/** Made before any socket: a bad specification or path must fail before a group is joined. */
async function openOutfit(
  resources: AsyncDisposableStack,
  options: TransportOptions,
): Promise<Outfit> {
  const faults = options.faults === undefined ? undefined : parseFaultSpec(options.faults);
  const capture = await CaptureFile.openIn(resources, options.capture);
  const sockets: DatagramSocket[] = [];
  const faulty: FaultySocket[] = [];
  const fanOuts: FanOutSocket[] = [];
  const fitOut = (opened: DatagramSocket): DatagramSocket => {
    sockets.push(opened);
    const watched = capture?.watch(opened) ?? opened;
    if (faults === undefined) return watched;
    const troubled = injectFaults(watched, faults);
    faulty.push(troubled);
    return troubled;
  };
  return {
    socket: fitOut,
    fanOut: (opened, place, members) => {
      const fanOut = new FanOutSocket(fitOut(opened), place, members);
      fanOuts.push(fanOut);
      return fanOut;
    },
    count: () => countTransport({ sockets, faulty, fanOuts, capture }),
  };
}
