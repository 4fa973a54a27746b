// How large a transmit window must be, and how large a message may be. Not the window
// (transmit-window); rules that configuration and publisher share.

import type { ChannelAddress } from '#base/mod.ts';
import {
  dataHeaderBytes,
  RAW_FRAGMENTS_MAX,
  RAW_MESSAGE_BYTES_MAX,
  singleMessageBlockBytes,
} from '#multicast/wire/mod.ts';

/** Bounds of a transmit window. */
export interface WindowSize {
  readonly packets: number;
  readonly bytes: number;
}

/**
 * The smallest window for messages of up to `messageBytesMax` bytes in packets of up to
 * `packetBytesMax`: half of it may wait to be sent, and whatever is accepted on top of that must
 * not push unsent packets out. That is one packet that was still open, and the largest message.
 */
export function smallestWindow(options: {
  readonly messageBytesMax: number;
  readonly packetBytesMax: number;
  readonly hasAuthentication?: boolean;
}): WindowSize {
  const { messageBytesMax, packetBytesMax } = options;
  const headerBytes = dataHeaderBytes(true, options.hasAuthentication);
  const apduBytes = singleMessageBlockBytes(messageBytesMax);
  const packets = Math.ceil(apduBytes / (packetBytesMax - headerBytes));
  return { packets: 2 * packets, bytes: 2 * (packetBytesMax + packets * headerBytes + apduBytes) };
}

/**
 * The largest message that a channel takes: `messageBytesMax`, or less where the framing `raw` is
 * held to what OpenPGM receives.
 */
export function largestMessageBytes(options: {
  readonly address: ChannelAddress;
  readonly messageBytesMax: number;
  readonly packetBytesMax: number;
}): number {
  const { address, messageBytesMax, packetBytesMax } = options;
  if (address.framing !== 'raw') return messageBytesMax;
  const fragmentsBytes = RAW_FRAGMENTS_MAX * (packetBytesMax - dataHeaderBytes(true));
  return Math.min(messageBytesMax, RAW_MESSAGE_BYTES_MAX, fragmentsBytes);
}
