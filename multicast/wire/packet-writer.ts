// One PGM packet → bytes, into memory that the caller owns, from position 0, checksum included;
// each function returns the packet's length. Knows no windows: the caller says which numbers go in.
// Inputs come from our own machines, so one that does not fit is a broken invariant and not an
// outcome.
//
// Data packets can be built in place: reserve dataHeaderBytes(), write the TSDU behind it,
// finishData().

import { assert, SEQUENCE_MAX, SOURCE_NAME_BYTES_MAX, NAK_SQNS_MAX } from '#base/mod.ts';
import type { NetworkAddress } from './address.ts';
import { type ArchivedFields, archivedOptionBytes, writeArchived } from './archived-option.ts';
import { writeSafeU64, writeU16, writeU32 } from './bytes.ts';
import { replaceWord, writeChecksum } from './checksum.ts';
import * as wire from './layout.ts';

/**
 * What identifies a PGM transport session; a PacketReader has the same fields, so it can be passed.
 */
export interface TransportSession {
  /** First two bytes of the global source id. */
  readonly gsiHigh: number;
  /** Last four bytes of the global source id. */
  readonly gsiLow: number;
  /** The publisher's port; together with the GSI it is the TSI. Not a UDP port. */
  readonly tsiSport: number;
  /** The data-destination port. */
  readonly dataDport: number;
  /** Its packets carry the authentication option; who has the keys fills it in. */
  readonly hasAuthentication?: boolean;
}

/** Content of the private session option; a PacketReader has the same fields. */
export interface SessionFields {
  /** Upper 31 bits of the session id. */
  readonly sessionHigh: number;
  /** Lower 32 bits of the session id. */
  readonly sessionLow: number;
  /**
   * Data: sequence of the first message that starts here, or that the fragment belongs to. SPM: of
   * the next new message.
   */
  readonly sequence: number;
}

/** Which piece of a larger APDU the TSDU is. */
export interface Fragment {
  /** SQN of the packet with the first piece. */
  readonly firstSqn: number;
  /** Bytes of the APDU before this piece. */
  readonly startBytes: number;
  /** Bytes of the whole APDU. */
  readonly apduBytes: number;
}

/** What stands before the TSDU of an ODATA packet. */
export interface DataHeader extends TransportSession, SessionFields {
  readonly sqn: number;
  readonly trail: number;
  readonly fragment?: Fragment | undefined;
}

/** A source path message: the state of the transmit window, and where NAKs go. */
export interface SpmFields extends TransportSession {
  /** The SPM's own number, one more than the last SPM's. */
  readonly sqn: number;
  readonly trail: number;
  /** trail − 1 modulo 2^32 when the window is empty. */
  readonly lead: number;
  /** Address that receivers send NAKs to. */
  readonly nla: NetworkAddress;
  readonly session?: SessionFields | undefined;
  readonly publisher?: PublisherFields | undefined;
  /** The publisher is about to leave. */
  readonly isFin?: boolean | undefined;
}

/** Content of the private publisher option. */
export interface PublisherFields {
  /**
   * UDP port at the path address where exactly this publisher hears NAKs; 0 is the group's port.
   */
  readonly nakPort: number;
  /** Cut off at the last whole character within SOURCE_NAME_BYTES_MAX bytes of UTF-8. */
  readonly sourceName: string;
}

/** Which packets are asked for (NAK) or promised (NCF). */
export interface NakFields extends TransportSession {
  /** The source's address, from its SPM. */
  readonly nla: NetworkAddress;
  /** The group's address. */
  readonly groupNla: NetworkAddress;
  /** SQNs, oldest first; the first `count` are taken, 1 to NAK_SQNS_MAX. */
  readonly sqns: ArrayLike<number>;
  readonly count: number;
}

/** What the archive has of a session. */
export interface AckFields extends TransportSession {
  /** The last packet that is accounted for. */
  readonly sqn: number;
  /** The session, and the last sequence that is accounted for. */
  readonly session: SessionFields;
  readonly archived: ArchivedFields;
}

/**
 * The longest packet without a TSDU: a NAK for 63 packets, between IPv6 addresses and with
 * authentication. Memory for control packets has this size.
 */
export const CONTROL_PACKET_BYTES_MAX = 340;

const PLAIN_DATA_HEADER_BYTES =
  wire.DATA_BODY_END + wire.OPTION_LENGTH_BYTES + wire.OPTION_SESSION_BYTES;
/** What is accounted for need not be asked about: every bit of the bitmap. */
const ALL_CAME = 0xffff_ffff;
const textEncoder = new TextEncoder();

/** Bytes before the TSDU of a data packet: 48, 16 more with a fragment, 24 with authentication. */
export function dataHeaderBytes(hasFragment: boolean, hasAuthentication: boolean = false): number {
  const fragmentBytes = hasFragment ? wire.OPTION_FRAGMENT_BYTES : 0;
  const authenticationBytes = hasAuthentication ? wire.OPTION_AUTHENTICATION_BYTES : 0;
  return PLAIN_DATA_HEADER_BYTES + fragmentBytes + authenticationBytes;
}

/** Makes an ODATA packet of the `tsduBytes` that stand behind dataHeaderBytes() already. */
export function finishData(into: Uint8Array, header: DataHeader, tsduBytes: number): number {
  const fragment = header.fragment;
  const headerBytes = dataHeaderBytes(fragment !== undefined, header.hasAuthentication);
  const packetBytes = headerBytes + tsduBytes;
  assert(packetBytes <= into.length, 'a data packet fits the memory reserved for it');
  writeDownstream(into, header, wire.TYPE_ODATA, wire.FLAG_OPTIONS);
  writeU16(into, wire.TSDU_LENGTH_AT, tsduBytes);
  writeU32(into, wire.SQN_AT, header.sqn);
  writeU32(into, wire.TRAIL_AT, header.trail);
  let at = wire.DATA_BODY_END;
  writeOptionLength(into, at, headerBytes - at);
  at += wire.OPTION_LENGTH_BYTES;
  if (header.hasAuthentication === true) at = writeAuthentication(into, at);
  if (fragment !== undefined) at = writeFragment(into, at, fragment);
  writeSession(into, at, header);
  into[at] |= wire.OPTION_END;
  writeChecksum(into, packetBytes);
  return packetBytes;
}

/**
 * Makes a repair of a data packet in place: type RDATA and the current trail; any number of times.
 */
export function toRepair(packet: Uint8Array, trail: number): void {
  replaceWord(packet, wire.TYPE_AT, (wire.TYPE_RDATA << 8) | packet[wire.OPTION_FLAGS_AT]);
  replaceWord(packet, wire.TRAIL_AT, trail >>> 16);
  replaceWord(packet, wire.TRAIL_AT + 2, trail & 0xffff);
}

/** Writes a source path message. */
export function writeSpm(into: Uint8Array, spm: SpmFields): number {
  assertControlRoom(into);
  writeDownstream(into, spm, wire.TYPE_SPM, 0);
  writeU32(into, wire.SQN_AT, spm.sqn);
  writeU32(into, wire.TRAIL_AT, spm.trail);
  writeU32(into, wire.LEAD_AT, spm.lead);
  const optionsAt = writeNla(into, wire.SPM_NLA_AT, spm.nla);
  const packetBytes = writeSpmOptions(into, optionsAt, spm);
  writeChecksum(into, packetBytes);
  return packetBytes;
}

/** Writes a NAK: a receiver asks for packets. */
export function writeNak(into: Uint8Array, nak: NakFields): number {
  writeUpstream(into, nak, wire.TYPE_NAK);
  return finishNak(into, nak);
}

/** Writes a NAK confirmation: the publisher has heard, repairs come, nobody else needs to ask. */
export function writeNcf(into: Uint8Array, ncf: NakFields): number {
  writeDownstream(into, ncf, wire.TYPE_NCF, 0);
  return finishNak(into, ncf);
}

/** Writes a request for a source path message. */
export function writeSpmr(into: Uint8Array, session: TransportSession): number {
  assertControlRoom(into);
  writeUpstream(into, session, wire.TYPE_SPMR);
  const firstAt = wire.HEADER_BYTES + wire.OPTION_LENGTH_BYTES;
  const isBare = session.hasAuthentication !== true;
  const packetBytes = isBare
    ? wire.HEADER_BYTES
    : endChain(into, wire.HEADER_BYTES, firstAt, writeAuthentication(into, firstAt));
  writeChecksum(into, packetBytes);
  return packetBytes;
}

/** Writes an acknowledgement: the archive tells a publisher what it has. */
export function writeAck(into: Uint8Array, ack: AckFields): number {
  assertControlRoom(into);
  writeUpstream(into, ack, wire.TYPE_ACK);
  writeU32(into, wire.SQN_AT, ack.sqn);
  writeU32(into, wire.BITMAP_AT, ALL_CAME);
  const optionsAt = wire.DATA_BODY_END;
  const firstAt = optionsAt + wire.OPTION_LENGTH_BYTES;
  const sessionAt = ack.hasAuthentication === true ? writeAuthentication(into, firstAt) : firstAt;
  const lastAt = writeSession(into, sessionAt, ack.session);
  writeOptionHead(into, lastAt, wire.OPTION_ARCHIVED, archivedOptionBytes(ack.archived));
  const end = lastAt + writeArchived(into, lastAt, ack.archived);
  const packetBytes = endChain(into, optionsAt, lastAt, end);
  writeChecksum(into, packetBytes);
  return packetBytes;
}

function assertControlRoom(into: Uint8Array): void {
  assert(into.length >= CONTROL_PACKET_BYTES_MAX, 'memory for a control packet holds the longest');
}

function writeDownstream(
  into: Uint8Array,
  session: TransportSession,
  type: number,
  flags: number,
): void {
  writeU16(into, 0, session.tsiSport);
  writeU16(into, 2, session.dataDport);
  into[wire.TYPE_AT] = type;
  into[wire.OPTION_FLAGS_AT] = flags;
  writeU16(into, wire.GSI_AT, session.gsiHigh);
  writeU32(into, wire.GSI_AT + 2, session.gsiLow);
  writeU16(into, wire.TSDU_LENGTH_AT, 0);
}

function writeUpstream(into: Uint8Array, session: TransportSession, type: number): void {
  writeDownstream(into, session, type, 0);
  writeU16(into, 0, session.dataDport);
  writeU16(into, 2, session.tsiSport);
}

function finishNak(into: Uint8Array, nak: NakFields): number {
  const { sqns, count } = nak;
  assertControlRoom(into);
  assert(count >= 1 && count <= NAK_SQNS_MAX, 'a NAK asks for 1 to 63 packets');
  const groupAt = writeNla(into, wire.NAK_NLA_AT, nak.nla);
  const optionsAt = writeNla(into, groupAt, nak.groupNla);
  writeU32(into, wire.SQN_AT, sqns[0]);
  let at = optionsAt + wire.OPTION_LENGTH_BYTES;
  let lastAt = 0;
  if (nak.hasAuthentication === true) {
    lastAt = at;
    at = writeAuthentication(into, at);
  }
  if (count > 1) {
    lastAt = at;
    at = writeNakList(into, at, sqns, count);
  }
  const packetBytes = endChain(into, optionsAt, lastAt, at);
  writeChecksum(into, packetBytes);
  return packetBytes;
}

function writeSpmOptions(into: Uint8Array, optionsAt: number, spm: SpmFields): number {
  let at = optionsAt + wire.OPTION_LENGTH_BYTES;
  let lastAt = 0;
  if (spm.hasAuthentication === true) {
    lastAt = at;
    at = writeAuthentication(into, at);
  }
  if (spm.session !== undefined) {
    lastAt = at;
    at = writeSession(into, at, spm.session);
  }
  if (spm.publisher !== undefined) {
    lastAt = at;
    at = writePublisher(into, at, spm.publisher);
  }
  if (spm.isFin === true) {
    lastAt = at;
    at = writeOptionHead(into, at, wire.OPTION_FIN, wire.OPTION_FIN_BYTES);
  }
  return endChain(into, optionsAt, lastAt, at);
}

// Closes the chain [optionsAt, at) whose last option starts at `lastAt`, 0 if there is none; gives
// where the packet goes on.
function endChain(into: Uint8Array, optionsAt: number, lastAt: number, at: number): number {
  if (lastAt === 0) return optionsAt;
  into[wire.OPTION_FLAGS_AT] |= wire.FLAG_OPTIONS;
  into[lastAt] |= wire.OPTION_END;
  writeOptionLength(into, optionsAt, at - optionsAt);
  return at;
}

function writeOptionLength(into: Uint8Array, at: number, chainBytes: number): void {
  into[at] = wire.OPTION_LENGTH;
  into[at + 1] = wire.OPTION_LENGTH_BYTES;
  writeU16(into, at + 2, chainBytes);
}

// The four bytes every option starts with; OPX 0: who does not know the option skips it.
function writeOptionHead(into: Uint8Array, at: number, type: number, optionBytes: number): number {
  into[at] = type;
  into[at + 1] = optionBytes;
  into[at + 2] = 0;
  into[at + 3] = 0;
  return at + wire.OPTION_HEAD_BYTES;
}

// Only its place: key id and tag come when the packet is sealed.
function writeAuthentication(into: Uint8Array, at: number): number {
  writeOptionHead(into, at, wire.OPTION_AUTHENTICATION, wire.OPTION_AUTHENTICATION_BYTES);
  return at + wire.OPTION_AUTHENTICATION_BYTES;
}

function writeNakList(
  into: Uint8Array,
  at: number,
  sqns: ArrayLike<number>,
  count: number,
): number {
  const optionBytes = wire.OPTION_HEAD_BYTES + 4 * (count - 1);
  into[wire.OPTION_FLAGS_AT] |= wire.FLAG_NETWORK_SIGNIFICANT;
  writeOptionHead(into, at, wire.OPTION_NAK_LIST, optionBytes);
  for (let i = 1; i < count; i += 1) writeU32(into, at + 4 * i, sqns[i]);
  return at + optionBytes;
}

function writeSession(into: Uint8Array, at: number, session: SessionFields): number {
  const { sequence } = session;
  assert(sequence >= 1 && sequence <= SEQUENCE_MAX, 'a sequence on the wire is 1 to 2^53 − 1');
  writeOptionHead(into, at, wire.OPTION_SESSION, wire.OPTION_SESSION_BYTES);
  writeU32(into, at + 4, session.sessionHigh);
  writeU32(into, at + 8, session.sessionLow);
  writeSafeU64(into, at + 12, sequence);
  return at + wire.OPTION_SESSION_BYTES;
}

function writeFragment(into: Uint8Array, at: number, fragment: Fragment): number {
  writeOptionHead(into, at, wire.OPTION_FRAGMENT, wire.OPTION_FRAGMENT_BYTES);
  writeU32(into, at + 4, fragment.firstSqn);
  writeU32(into, at + 8, fragment.startBytes);
  writeU32(into, at + 12, fragment.apduBytes);
  return at + wire.OPTION_FRAGMENT_BYTES;
}

function writePublisher(into: Uint8Array, at: number, publisher: PublisherFields): number {
  const nameAt = at + wire.OPTION_PUBLISHER_BYTES_MIN;
  const room = into.subarray(nameAt, nameAt + SOURCE_NAME_BYTES_MAX);
  const nameBytes = textEncoder.encodeInto(publisher.sourceName, room).written;
  const optionBytes = wire.OPTION_PUBLISHER_BYTES_MIN + nameBytes;
  writeOptionHead(into, at, wire.OPTION_PUBLISHER, optionBytes);
  writeU16(into, at + 4, publisher.nakPort);
  return at + optionBytes;
}

/** Writes an address behind its family; returns where it ends. */
function writeNla(into: Uint8Array, at: number, nla: NetworkAddress): number {
  const addressAt = at + wire.NLA_HEAD_BYTES;
  writeU16(into, at, typeof nla === 'number' ? wire.AFI_IPV4 : wire.AFI_IPV6);
  writeU16(into, at + 2, 0);
  if (typeof nla === 'number') {
    writeU32(into, addressAt, nla);
    return at + wire.NLA_IPV4_BYTES;
  }
  into.set(nla, addressAt);
  return at + wire.NLA_IPV6_BYTES;
}
