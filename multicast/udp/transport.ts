// Sockets as publishers and receivers need them: opened on the right addresses, watched by a
// capture and troubled by injected faults where that is asked for. Machines and their owners know
// nothing of how many sockets there are. What is opened belongs to the stack it is opened in.

import type { ChannelAddress } from '#base/mod.ts';
import { CaptureFile } from './capture.ts';
import type { KeySource } from './hmac-authenticator.ts';
import { injectFaults, parseFaultSpec } from './loss-injector.ts';
import { type DatagramSocket, openGroupSocket, openSendSocket } from './socket.ts';

/** What every transport is opened with. */
export interface TransportOptions {
  readonly address: ChannelAddress;
  /** IPv4 address of the interface to use. */
  readonly interfaceAddress: string;
  /** Routers that multicast may pass, plus one; 1 by default. */
  readonly ttl?: number | undefined;
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
 * Joins the channel. Errors: BACKCAST_INTERFACE_UNUSABLE, BACKCAST_PORT_IN_USE, BACKCAST_USAGE
 * (faults), BACKCAST_CONFIG_INVALID.
 */
export async function openReceiverTransport(
  resources: AsyncDisposableStack,
  options: TransportOptions & { readonly receiveBufferBytes: number },
): Promise<ReceiverTransport> {
  const { ttl = 1 } = options;
  const { group, port } = options.address;
  const outfit = await openOutfit(resources, options);
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
  const { ttl = 1 } = options;
  const outfit = await openOutfit(resources, options);
  const sendBufferBytes = PUBLISHER_SEND_BUFFER_BYTES;
  const send = outfit(resources.use(await openSendSocket({ ...options, ttl, sendBufferBytes })));
  return { send, receiveFrom: [send] };
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
