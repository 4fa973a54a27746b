// How large a transmit window must be. Not the window (transmit-window); a rule that configuration
// and publisher share.

import { dataHeaderBytes, singleMessageBlockBytes } from '#multicast/wire/mod.ts';

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
