// What a publisher is checked for before it opens, and before it takes a message: each refusal says
// what to do.

import {
  BackcastError,
  familyOf,
  type Framing,
  PACKET_BYTES_DEFAULT,
  RECEIVE_WINDOW_PACKETS_MAX,
} from '#base/mod.ts';
import { largestMessageBytes, smallestWindow } from '#multicast/core/mod.ts';
import type { OpenPublisherOptions } from './publisher.ts';

/** The header of IPv6 has 40 bytes, that of IPv4 20. */
const IPV6_HEADER_LONGER_BYTES = 20;

/** The options as the framing of the channel takes them. BACKCAST_CONFIG_INVALID if none do. */
export function checkedOptions(options: OpenPublisherOptions): OpenPublisherOptions {
  const fitted = fitToFraming(options);
  checkWindow(fitted);
  checkUnarchived(fitted);
  return fitted;
}

/** From JavaScript anything may come; what is no view of memory would be sent as nothing. */
export function requireBytes(payload: Uint8Array): void {
  if (ArrayBuffer.isView(payload)) return;
  throw new BackcastError(
    'BACKCAST_USAGE',
    `A message is a Uint8Array, and this is of type ${typeof payload}: make bytes of it, as ` +
      'Buffer.from(text) does.',
  );
}

/**
 * BACKCAST_USAGE unless publishers are told what is archived: only our own are, and only where all
 * of them are ours.
 */
export function requireNative(framing: Framing): void {
  if (framing === 'native') return;
  throw new BackcastError(
    'BACKCAST_USAGE',
    `On a channel of framing ${framing}, publishers are not told what is archived. Use framing ` +
      'native, or publish without waiting for the archive.',
  );
}

function checkUnarchived({ address: { framing }, unarchivedBytesMax }: OpenPublisherOptions): void {
  if (unarchivedBytesMax === undefined || framing === 'native') return;
  throw new BackcastError(
    'BACKCAST_CONFIG_INVALID',
    `A channel of framing ${framing} cannot bound what is not archived ` +
      '(publisher.unarchivedBytesMax): its publishers are not told what is.',
  );
}

/**
 * Receivers of other implementations take packets of an Ethernet frame at most, whatever the
 * interface carries, and OpenPGM's no larger messages than `raw` has.
 */
function fitToFraming(options: OpenPublisherOptions): OpenPublisherOptions {
  const { framing, group } = options.address;
  if (framing === 'native') return options;
  const longerBytes = familyOf(group) === 'IPv6' ? IPV6_HEADER_LONGER_BYTES : 0;
  const packetBytesMax = Math.min(options.packetBytesMax, PACKET_BYTES_DEFAULT - longerBytes);
  const messageBytesMax = largestMessageBytes({ ...options, packetBytesMax });
  return { ...options, packetBytesMax, messageBytesMax };
}

/**
 * A message must fit the half of the window that may wait to be sent, and a window its receivers.
 */
function checkWindow(options: OpenPublisherOptions): void {
  const { messageBytesMax, windowPackets, windowBytes } = options;
  if (windowPackets > RECEIVE_WINDOW_PACKETS_MAX) {
    const message =
      `A window may have ${RECEIVE_WINDOW_PACKETS_MAX} packets at most; ` +
      `publisher.windowPackets is ${windowPackets}.`;
    throw new BackcastError('BACKCAST_CONFIG_INVALID', message);
  }
  const hasAuthentication = options.address.authentication === 'required';
  const smallest = smallestWindow({ ...options, hasAuthentication });
  if (windowPackets >= smallest.packets && windowBytes >= smallest.bytes) return;
  const message =
    `Messages of publisher.messageBytesMax = ${messageBytesMax} bytes need a window of ` +
    `${smallest.packets} packets and ${smallest.bytes} bytes at least; publisher.windowPackets ` +
    `is ${windowPackets} and publisher.windowBytes ${windowBytes}.`;
  throw new BackcastError('BACKCAST_CONFIG_INVALID', message);
}
