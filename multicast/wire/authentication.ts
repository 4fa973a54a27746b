// The authentication option (0x41) in a packet that is finished but for it: which bytes whoever has
// the keys must fill in, and in which order. Knows no keys and calculates no tags.
//
//     0 …  3   41 │ 18 │ 00 │ 00
//     4 …  7   key id
//     8 … 23   tag, calculated with tag and checksum as zero
//
// Our writers put the option first behind OPT_LENGTH, so that its place follows from the kind of
// packet; a reader takes it anywhere in the chain.

import { assert } from '#base/mod.ts';
import { readU16, writeU16, writeU32 } from './bytes.ts';
import { writeChecksum } from './checksum.ts';
import * as wire from './layout.ts';

/** Bytes of a tag. */
export const TAG_BYTES: number = wire.TAG_BYTES;

/**
 * Makes `packet`, which was written with room for the option, ready for its tag: puts the key id
 * in, clears tag and checksum. Returns where the tag belongs; endSeal() comes when it is there. A
 * packet may be sealed any number of times.
 */
export function beginSeal(packet: Uint8Array, keyId: number): number {
  const optionAt = bodyBytes(packet) + wire.OPTION_LENGTH_BYTES;
  const type = packet[optionAt] & ~wire.OPTION_END;
  assert(type === wire.OPTION_AUTHENTICATION, 'a packet to be sealed has room for it');
  const tagAt = optionAt + wire.OPTION_HEAD_BYTES + 4;
  writeU32(packet, optionAt + wire.OPTION_HEAD_BYTES, keyId);
  packet.fill(0, tagAt, tagAt + wire.TAG_BYTES);
  writeU16(packet, wire.CHECKSUM_AT, 0);
  return tagAt;
}

/** Finishes a packet whose tag is in place: writes its checksum. */
export function endSeal(packet: Uint8Array): void {
  writeChecksum(packet, packet.length);
}

/** Clears what the tag does not cover, tag and checksum, in a copy of a packet. */
export function clearUnsealed(copy: Uint8Array, tagAt: number): void {
  copy.fill(0, tagAt, tagAt + wire.TAG_BYTES);
  writeU16(copy, wire.CHECKSUM_AT, 0);
}

// Where the chain of options starts.
function bodyBytes(packet: Uint8Array): number {
  const type = packet[wire.TYPE_AT];
  const isData = type === wire.TYPE_ODATA || type === wire.TYPE_RDATA;
  if (isData || type === wire.TYPE_ACK) return wire.DATA_BODY_END;
  if (type === wire.TYPE_SPM) return afterNla(packet, wire.SPM_NLA_AT);
  if (type === wire.TYPE_NAK || type === wire.TYPE_NCF)
    return afterNla(packet, afterNla(packet, wire.NAK_NLA_AT));
  assert(type === wire.TYPE_SPMR, 'only packets that we write are sealed');
  return wire.HEADER_BYTES;
}

function afterNla(packet: Uint8Array, at: number): number {
  const isIpv6 = readU16(packet, at) === wire.AFI_IPV6;
  return at + (isIpv6 ? wire.NLA_IPV6_BYTES : wire.NLA_IPV4_BYTES);
}
