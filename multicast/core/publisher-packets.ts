// The control packets that a publisher writes: its state (SPM) and its confirmations (NCF). Data
// packets come from packet-builder.

import { type ChannelAddress, type SessionId, sessionToWords } from '#base/mod.ts';
import {
  CONTROL_PACKET_BYTES_MAX,
  toNetworkAddress,
  type TransportSession,
  wrapSqn,
  writeNcf,
  writeSpm,
} from '#multicast/wire/mod.ts';

/** Who the publisher is and where it is heard. */
export interface PublisherIdentity {
  readonly address: ChannelAddress;
  readonly session: SessionId;
  readonly source: string;
  readonly transport: TransportSession;
  readonly nla: string;
  readonly nakPort: number;
}

/** What an SPM tells of the publisher's state; packet numbers are unwrapped. */
export interface PublisherStatus {
  readonly spmSqn: number;
  readonly trail: number;
  readonly lead: number;
  readonly nextSequence: number;
  readonly isFin: boolean;
}

/** A source path message. */
export function spmPacket(identity: PublisherIdentity, status: PublisherStatus): Uint8Array {
  const { high, low } = sessionToWords(identity.session);
  const into = new Uint8Array(CONTROL_PACKET_BYTES_MAX);
  const packetBytes = writeSpm(into, {
    ...identity.transport,
    sqn: status.spmSqn,
    trail: wrapSqn(status.trail),
    lead: wrapSqn(status.lead),
    nla: toNetworkAddress(identity.nla),
    session: { sessionHigh: high, sessionLow: low, sequence: status.nextSequence },
    publisher: { nakPort: identity.nakPort, sourceName: identity.source },
    isFin: status.isFin,
  });
  return into.subarray(0, packetBytes);
}

/** A confirmation of the first `count` packets of `sqns`, as they stand on the wire. */
export function ncfPacket(
  identity: PublisherIdentity,
  sqns: Uint32Array,
  count: number,
): Uint8Array {
  const into = new Uint8Array(CONTROL_PACKET_BYTES_MAX);
  const packetBytes = writeNcf(into, {
    ...identity.transport,
    nla: toNetworkAddress(identity.nla),
    groupNla: toNetworkAddress(identity.address.group),
    sqns,
    count,
  });
  return into.subarray(0, packetBytes);
}
