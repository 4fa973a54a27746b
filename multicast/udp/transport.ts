// Sockets as publishers and receivers need them: opened on the right addresses, watched by a
// capture and troubled by injected faults where that is asked for. Machines and their owners know
// nothing of how many sockets there are. What is opened belongs to the stack it is opened in.

import type { ChannelAddress } from '#base/mod.ts';
import { CaptureFile } from './capture.ts';
import { type FaultySocket, injectFaults, parseFaultSpec } from './loss-injector.ts';
import { type DatagramSocket, openGroupSocket, openPortSocket, openSendSocket } from './socket.ts';
import { countTransport, type TransportCounters } from './transport-counters.ts';

/** What every transport is opened with. */
export interface TransportOptions {
  readonly address: ChannelAddress;
  /** IPv4 address of the interface to use. */
  readonly interfaceAddress: string;
  /** Routers that multicast may pass, plus one; 1 by default. */
  readonly ttl?: number | undefined;
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
 * Joins the channel. Errors: BACKCAST_INTERFACE_UNUSABLE, BACKCAST_PORT_IN_USE, BACKCAST_USAGE
 * (faults), BACKCAST_CONFIG_INVALID.
 */
export async function openReceiverTransport(
  resources: AsyncDisposableStack,
  options: TransportOptions & { readonly receiveBufferBytes: number },
): Promise<ReceiverTransport> {
  const { ttl = 1 } = options;
  const outfit = await openOutfit(resources, options);
  const joining = { ...options, ...options.address, ttl };
  const groupSocket = resources.use(await openGroupSocket(joining));
  const sendBufferBytes = RECEIVER_SEND_BUFFER_BYTES;
  const sendSocket = resources.use(await openSendSocket({ ...options, ttl, sendBufferBytes }));
  const group = outfit.socket(groupSocket);
  return { group, send: outfit.socket(sendSocket), count: outfit.count };
}

/**
 * Opens what a publisher sends through. Receivers of other implementations know nothing of a
 * publisher's own port and ask at the group's, so where there may be any, that is heard too.
 * Errors: BACKCAST_INTERFACE_UNUSABLE, BACKCAST_PORT_IN_USE, BACKCAST_USAGE (faults),
 * BACKCAST_CONFIG_INVALID.
 */
export async function openPublisherTransport(
  resources: AsyncDisposableStack,
  options: TransportOptions,
): Promise<PublisherTransport> {
  const { ttl = 1 } = options;
  const outfit = await openOutfit(resources, options);
  const sendBufferBytes = PUBLISHER_SEND_BUFFER_BYTES;
  const opened = resources.use(await openSendSocket({ ...options, ttl, sendBufferBytes }));
  const send = outfit.socket(opened);
  const { framing, port } = options.address;
  if (framing === 'native') return { send, receiveFrom: [send], count: outfit.count };
  const asked = outfit.socket(resources.use(await openPortSocket({ ...options, port })));
  return { send, receiveFrom: [send, asked], count: outfit.count };
}

/** Puts capture and faults before sockets, and counts over all of them. */
interface Outfit {
  readonly socket: (opened: DatagramSocket) => DatagramSocket;
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
  return {
    socket: (opened) => {
      sockets.push(opened);
      const watched = capture?.watch(opened) ?? opened;
      if (faults === undefined) return watched;
      const troubled = injectFaults(watched, faults);
      faulty.push(troubled);
      return troubled;
    },
    count: () => countTransport({ sockets, faulty, capture }),
  };
}
