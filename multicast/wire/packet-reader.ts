// Bytes of one UDP payload → one PGM packet (RFC 3208, sections 8 and 9). Total: any bytes give
// either a packet or a reason, never an exception, and nothing is believed before the checksum is.
// Knows no windows and no sessions: whether a packet makes sense is for multicast/core to say.
//
// Hot path. A reader is a struct that every read() fills anew: nothing is allocated per packet
// except the view that sums the checksum; texts are decoded only when asked for.

import { NAK_SQNS_MAX, SOURCE_NAME_BYTES_MAX } from '#base/mod.ts';
import { type ArchivedFields, readArchived } from './archived-option.ts';
import { ipv4FromWord, ipv6FromBytes } from './address.ts';
import { readSafeU64, readU16, readU32 } from './bytes.ts';
import { isChecksumValid } from './checksum.ts';
import * as wire from './layout.ts';

/**
 * The packets that are understood; `other` has a valid header but a type or parity that is ignored.
 */
export type PacketKind = 'spm' | 'odata' | 'rdata' | 'nak' | 'ncf' | 'spmr' | 'ack' | 'other';

const textDecoder = new TextDecoder();

const KINDS: readonly PacketKind[] = Array.from({ length: 16 }, (_, type) => kindOf(type));

function kindOf(type: number): PacketKind {
  if (type === wire.TYPE_SPM) return 'spm';
  if (type === wire.TYPE_ODATA) return 'odata';
  if (type === wire.TYPE_RDATA) return 'rdata';
  if (type === wire.TYPE_NAK) return 'nak';
  if (type === wire.TYPE_NCF) return 'ncf';
  if (type === wire.TYPE_ACK) return 'ack';
  return type === wire.TYPE_SPMR ? 'spmr' : 'other';
}

// Receivers send these: their ports stand in the opposite order.
const IS_UPSTREAM: readonly boolean[] = Array.from({ length: 16 }, (_, type) =>
  [wire.TYPE_NAK, wire.TYPE_NNAK, wire.TYPE_SPMR, wire.TYPE_POLR, wire.TYPE_ACK].includes(type),
);

/**
 * A PGM packet, field by field. After a read() that returned undefined, the fields of that packet's
 * kind hold its values and the flags of absent options are false; other fields hold leftovers.
 * After a reason, no field means anything. SQNs and window edges are unsigned 32-bit numbers as
 * they stand on the wire.
 */
export class PacketReader {
  kind: PacketKind = 'other';
  /** Source port field. */
  sport = 0;
  /** Destination port field. */
  dport = 0;
  /** First two bytes of the global source id. */
  gsiHigh = 0;
  /** Last four bytes of the global source id. */
  gsiLow = 0;
  /**
   * The port that, with the GSI, identifies the transport session, whichever way the packet
   * travels.
   */
  tsiSport = 0;
  /** The data-destination port of that session. */
  dataDport = 0;
  /** Whether the packet carries a checksum; it is valid then. Data packets always do. */
  hasChecksum = false;

  /**
   * ODATA, RDATA: the packet's number. NAK, NCF: the first one asked for. SPM: the SPM's own
   * number. ACK: the newest one that is meant.
   */
  sqn = 0;
  /** ODATA, RDATA, SPM: oldest packet still in the transmit window. */
  trail = 0;
  /** SPM: newest packet of the transmit window; trail − 1 when it is empty. */
  lead = 0;

  /** SPM: path address. NAK, NCF: the source's address. 0 unless IPv4. */
  nla = 0;
  /** Whether `nla` is IPv4; an IPv6 address is told by `nlaText`. */
  isNlaIpv4 = false;
  /** NAK, NCF: the group's address. 0 unless IPv4. */
  groupNla = 0;
  isGroupNlaIpv4 = false;

  /** NAK, NCF: all SQNs asked for, `sqn` first; `sqnCount` of them. */
  readonly sqnList: Uint32Array = new Uint32Array(NAK_SQNS_MAX);
  sqnCount = 0;

  /** ODATA, RDATA: the TSDU is a piece of a larger APDU. */
  hasFragment = false;
  /** SQN of the packet with the first piece. */
  fragmentFirstSqn = 0;
  /** Bytes of the APDU before this piece. */
  fragmentStartBytes = 0;
  /** Bytes of the whole APDU. */
  apduBytes = 0;

  /** ODATA, RDATA, SPM, ACK: the private session option is there. */
  hasSession = false;
  /** Upper 31 bits of the session id. */
  sessionHigh = 0;
  /** Lower 32 bits of the session id. */
  sessionLow = 0;
  /**
   * Data: sequence of the first message that starts here, or that the fragment belongs to. SPM: of
   * the next new message. ACK: of the last one that the archive has accounted for.
   */
  sequence = 0;

  /** The private authentication option is there; whether it is right is not looked at. */
  hasAuthentication = false;
  /** Which key the tag is said to be made with. */
  keyId = 0;
  /** Where the tag starts within the bytes that were read. */
  tagAt = 0;

  /** SPM: the private publisher option is there. */
  hasPublisher = false;
  /**
   * UDP port at the path address where exactly this publisher hears NAKs; 0 is the group's port.
   */
  nakPort = 0;
  /** SPM: the publisher is about to leave. */
  isFin = false;
  /** ACK with both options: what the archive lacks of what it has through `sequence`. */
  archived: ArchivedFields | undefined;

  /** ODATA, RDATA: where the TSDU starts and ends within the bytes that were read. */
  payloadStart = 0;
  payloadEnd = 0;

  #bytes: Uint8Array = new Uint8Array(0);
  #nlaAt = 0;
  #groupNlaAt = 0;
  #sourceNameStart = 0;
  #sourceNameEnd = 0;

  /**
   * Reads the packet that `bytes` is. The bytes must stay unchanged while the fields are in use.
   */
  read(bytes: Uint8Array): wire.MalformedReason | undefined {
    if (bytes.length < wire.HEADER_BYTES) return 'too_short';
    if (bytes[wire.TYPE_AT] > 0x0f) return 'version';
    this.#readHeader(bytes);
    if (this.hasChecksum && !isChecksumValid(bytes)) return 'checksum';
    if (this.kind === 'other') return undefined;
    if (!this.hasChecksum && this.#isData()) return 'checksum_missing';
    const body = this.#readBody(bytes);
    if (body !== undefined) return body;
    if ((bytes[wire.OPTION_FLAGS_AT] & wire.FLAG_OPTIONS) !== 0) {
      const options = this.#readOptions(bytes);
      if (options !== undefined) return options;
    }
    this.payloadEnd = bytes.length;
    const tsduBytes = bytes.length - this.payloadStart;
    if (readU16(bytes, wire.TSDU_LENGTH_AT) !== tsduBytes) return 'tsdu_length';
    if (tsduBytes > 0 && !this.#isData()) return 'tsdu_length';
    if (this.archived !== undefined) return this.#checkArchived(this.archived);
    return this.hasFragment ? this.#checkFragment(tsduBytes) : undefined;
  }

  /** SPM, NAK, NCF: the network-layer address as canonical text. */
  nlaText(): string {
    return this.isNlaIpv4 ? ipv4FromWord(this.nla) : ipv6FromBytes(this.#bytes, this.#nlaAt);
  }

  /** NAK, NCF: the group's address as canonical text. */
  groupNlaText(): string {
    if (this.isGroupNlaIpv4) return ipv4FromWord(this.groupNla);
    return ipv6FromBytes(this.#bytes, this.#groupNlaAt);
  }

  /**
   * SPM with the publisher option: the publisher's name; bytes that are not UTF-8 become U+FFFD.
   */
  sourceName(): string {
    return textDecoder.decode(this.#bytes.subarray(this.#sourceNameStart, this.#sourceNameEnd));
  }

  #isData(): boolean {
    return this.kind === 'odata' || this.kind === 'rdata';
  }

  #readHeader(bytes: Uint8Array): void {
    const type = bytes[wire.TYPE_AT];
    const isParity = (bytes[wire.OPTION_FLAGS_AT] & wire.FLAG_PARITY) !== 0;
    this.#bytes = bytes;
    this.kind = isParity ? 'other' : KINDS[type];
    this.sport = readU16(bytes, 0);
    this.dport = readU16(bytes, 2);
    this.gsiHigh = readU16(bytes, wire.GSI_AT);
    this.gsiLow = readU32(bytes, wire.GSI_AT + 2);
    const isUpstream = IS_UPSTREAM[type];
    this.tsiSport = isUpstream ? this.dport : this.sport;
    this.dataDport = isUpstream ? this.sport : this.dport;
    this.hasChecksum = readU16(bytes, wire.CHECKSUM_AT) !== 0;
    this.hasFragment = false;
    this.hasSession = false;
    this.hasAuthentication = false;
    this.hasPublisher = false;
    this.isFin = false;
    this.archived = undefined;
    this.sqnCount = 0;
  }

  // The fixed fields behind the header. Leaves payloadStart where options or the TSDU begin.
  #readBody(bytes: Uint8Array): wire.MalformedReason | undefined {
    this.payloadStart = wire.HEADER_BYTES;
    if (this.kind === 'spmr') return undefined;
    if (bytes.length < wire.DATA_BODY_END) return 'too_short';
    this.sqn = readU32(bytes, wire.SQN_AT);
    if (this.kind === 'nak' || this.kind === 'ncf') return this.#readNakBody(bytes);
    this.trail = readU32(bytes, wire.TRAIL_AT);
    this.payloadStart = wire.DATA_BODY_END;
    return this.kind === 'spm' ? this.#readSpmBody(bytes) : undefined;
  }

  #readSpmBody(bytes: Uint8Array): wire.MalformedReason | undefined {
    const nlaBytes = nlaBytesAt(bytes, wire.SPM_NLA_AT);
    if (nlaBytes <= 0) return nlaBytes === 0 ? 'too_short' : 'address';
    this.lead = readU32(bytes, wire.LEAD_AT);
    this.isNlaIpv4 = nlaBytes === wire.NLA_IPV4_BYTES;
    this.#nlaAt = wire.SPM_NLA_AT + wire.NLA_HEAD_BYTES;
    this.nla = this.isNlaIpv4 ? readU32(bytes, this.#nlaAt) : 0;
    this.payloadStart = wire.SPM_NLA_AT + nlaBytes;
    return undefined;
  }

  #readNakBody(bytes: Uint8Array): wire.MalformedReason | undefined {
    const nlaBytes = nlaBytesAt(bytes, wire.NAK_NLA_AT);
    if (nlaBytes <= 0) return nlaBytes === 0 ? 'too_short' : 'address';
    const groupAt = wire.NAK_NLA_AT + nlaBytes;
    const groupBytes = nlaBytesAt(bytes, groupAt);
    if (groupBytes <= 0) return groupBytes === 0 ? 'too_short' : 'address';
    this.isNlaIpv4 = nlaBytes === wire.NLA_IPV4_BYTES;
    this.#nlaAt = wire.NAK_NLA_AT + wire.NLA_HEAD_BYTES;
    this.nla = this.isNlaIpv4 ? readU32(bytes, this.#nlaAt) : 0;
    this.isGroupNlaIpv4 = groupBytes === wire.NLA_IPV4_BYTES;
    this.#groupNlaAt = groupAt + wire.NLA_HEAD_BYTES;
    this.groupNla = this.isGroupNlaIpv4 ? readU32(bytes, this.#groupNlaAt) : 0;
    this.payloadStart = groupAt + groupBytes;
    this.sqnList[0] = this.sqn;
    this.sqnCount = 1;
    return undefined;
  }

  // Walks the chain at payloadStart and leaves payloadStart behind it.
  #readOptions(bytes: Uint8Array): wire.MalformedReason | undefined {
    let at = this.payloadStart;
    if (bytes.length - at < wire.OPTION_LENGTH_BYTES) return 'options';
    if (bytes[at] !== wire.OPTION_LENGTH) return 'options';
    if (bytes[at + 1] !== wire.OPTION_LENGTH_BYTES) return 'options';
    const chainBytes = readU16(bytes, at + 2);
    if (chainBytes > bytes.length - at) return 'options';
    const chainEnd = at + chainBytes;
    at += wire.OPTION_LENGTH_BYTES;
    this.payloadStart = chainEnd;
    for (let count = 0; count < wire.OPTIONS_MAX; count += 1) {
      if (chainEnd - at < wire.OPTION_HEAD_BYTES) return 'options';
      const optionBytes = bytes[at + 1];
      if (optionBytes < wire.OPTION_HEAD_BYTES || optionBytes > chainEnd - at) return 'options';
      const reason = this.#readOption(bytes, at, optionBytes);
      if (reason !== undefined) return reason;
      const isLast = (bytes[at] & wire.OPTION_END) !== 0;
      at += optionBytes;
      if (isLast) return at === chainEnd ? undefined : 'options';
    }
    return 'options';
  }

  #readOption(
    bytes: Uint8Array,
    at: number,
    optionBytes: number,
  ): wire.MalformedReason | undefined {
    switch (bytes[at] & ~wire.OPTION_END) {
      case wire.OPTION_SESSION:
        return this.#readSession(bytes, at, optionBytes);
      case wire.OPTION_AUTHENTICATION:
        return this.#readAuthentication(bytes, at, optionBytes);
      case wire.OPTION_FRAGMENT:
        return this.#readFragment(bytes, at, optionBytes);
      case wire.OPTION_NAK_LIST:
        return this.#readNakList(bytes, at, optionBytes);
      case wire.OPTION_PUBLISHER:
        return this.#readPublisher(bytes, at, optionBytes);
      case wire.OPTION_ARCHIVED:
        return this.#readArchived(bytes, at, optionBytes);
      case wire.OPTION_FIN:
        if (optionBytes !== wire.OPTION_FIN_BYTES) return 'options';
        this.isFin = this.kind === 'spm';
        return undefined;
      default:
        return isToBeDiscarded(bytes, at) ? 'option_discard' : undefined;
    }
  }

  #readSession(bytes: Uint8Array, at: number, optionBytes: number) {
    if (!this.#isData() && this.kind !== 'spm' && this.kind !== 'ack') return undefined;
    if (optionBytes !== wire.OPTION_SESSION_BYTES || this.hasSession) return 'options';
    this.hasSession = true;
    this.sessionHigh = readU32(bytes, at + 4);
    this.sessionLow = readU32(bytes, at + 8);
    this.sequence = readSafeU64(bytes, at + 12);
    if (this.sessionHigh > 0x7fff_ffff || this.sequence < 1) return 'session';
    return this.sessionHigh === 0 && this.sessionLow === 0 ? 'session' : undefined;
  }

  #readAuthentication(bytes: Uint8Array, at: number, optionBytes: number) {
    const isWhole = optionBytes === wire.OPTION_AUTHENTICATION_BYTES;
    if (!isWhole || this.hasAuthentication) return 'options';
    this.hasAuthentication = true;
    this.keyId = readU32(bytes, at + 4);
    this.tagAt = at + 8;
    return undefined;
  }

  #readFragment(bytes: Uint8Array, at: number, optionBytes: number) {
    if (!this.#isData()) return undefined;
    if (optionBytes !== wire.OPTION_FRAGMENT_BYTES || this.hasFragment) return 'options';
    this.hasFragment = true;
    this.fragmentFirstSqn = readU32(bytes, at + 4);
    this.fragmentStartBytes = readU32(bytes, at + 8);
    this.apduBytes = readU32(bytes, at + 12);
    return undefined;
  }

  #readNakList(bytes: Uint8Array, at: number, optionBytes: number) {
    if (this.kind !== 'nak' && this.kind !== 'ncf') return undefined;
    if (optionBytes % 4 !== 0 || this.sqnCount > 1) return 'options';
    const optionEnd = at + optionBytes;
    for (let sqnAt = at + wire.OPTION_HEAD_BYTES; sqnAt < optionEnd; sqnAt += 4) {
      this.sqnList[this.sqnCount] = readU32(bytes, sqnAt);
      this.sqnCount += 1;
    }
    return undefined;
  }

  #readPublisher(bytes: Uint8Array, at: number, optionBytes: number) {
    if (this.kind !== 'spm') return undefined;
    if (optionBytes < wire.OPTION_PUBLISHER_BYTES_MIN || this.hasPublisher) return 'options';
    if (optionBytes - wire.OPTION_PUBLISHER_BYTES_MIN > SOURCE_NAME_BYTES_MAX) return 'publisher';
    this.hasPublisher = true;
    this.nakPort = readU16(bytes, at + 4);
    this.#sourceNameStart = at + wire.OPTION_PUBLISHER_BYTES_MIN;
    this.#sourceNameEnd = at + optionBytes;
    return undefined;
  }

  #readArchived(bytes: Uint8Array, at: number, optionBytes: number) {
    if (this.kind !== 'ack') return undefined;
    if (this.archived !== undefined) return 'options';
    this.archived = readArchived(bytes, at, optionBytes);
    return this.archived === undefined ? 'archived' : undefined;
  }

  #checkArchived({ exactFrom, lost }: ArchivedFields): wire.MalformedReason | undefined {
    if (!this.hasSession || exactFrom > this.sequence + 1) return 'archived';
    const last = lost.at(-1)?.last ?? 0;
    return last > this.sequence ? 'archived' : undefined;
  }

  #checkFragment(tsduBytes: number): wire.MalformedReason | undefined {
    if (this.fragmentStartBytes > this.apduBytes) return 'fragment';
    if (tsduBytes > this.apduBytes - this.fragmentStartBytes) return 'fragment';
    const isFirst = this.fragmentFirstSqn === this.sqn;
    return isFirst === (this.fragmentStartBytes === 0) ? undefined : 'fragment';
  }
}

// Whether the option at `at` is not known and asks for that. The standard's options are known:
// those that we do not use change nothing in what we do.
function isToBeDiscarded(bytes: Uint8Array, at: number): boolean {
  const type = bytes[at] & ~wire.OPTION_END;
  return type > wire.OPTION_STANDARD_MAX && (bytes[at + 2] & wire.OPX_MASK) === wire.OPX_DISCARD;
}

// Bytes of the address at `at` with its family; 0 if it is cut short, −1 if the family is unknown.
function nlaBytesAt(bytes: Uint8Array, at: number): number {
  const left = bytes.length - at;
  if (left < wire.NLA_IPV4_BYTES) return 0;
  const family = readU16(bytes, at);
  if (family === wire.AFI_IPV4) return wire.NLA_IPV4_BYTES;
  if (family !== wire.AFI_IPV6) return -1;
  return left < wire.NLA_IPV6_BYTES ? 0 : wire.NLA_IPV6_BYTES;
}
