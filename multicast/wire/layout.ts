// The numbers of the wire: where fields lie in a packet, which types and options there are, and the
// closed set of reasons for which bytes are refused. The layout is that of PGM (RFC 3208, sections
// 8 and 9) in UDP: the UDP payload is exactly one PGM packet. docs/protocol.md draws it. All
// integers are big-endian; positions count from the first byte of the UDP payload.

/**
 * Source port 2 · destination port 2 · type 1 · option flags 1 · checksum 2 · GSI 6 · TSDU length
 * 2.
 */
export const HEADER_BYTES = 16;
/** Where the fields of the common header start. */
export const TYPE_AT = 4;
export const OPTION_FLAGS_AT = 5;
export const CHECKSUM_AT = 6;
export const GSI_AT = 8;
export const TSDU_LENGTH_AT = 14;
/** First field behind the common header: SQN, or SPM_SQN. */
export const SQN_AT = 16;
/** Trailing edge of the transmit window, in ODATA, RDATA and SPM. */
export const TRAIL_AT = 20;
/** End of the fixed part of ODATA, RDATA and ACK; options or the TSDU follow. */
export const DATA_BODY_END = 24;
/** Leading edge of the transmit window, in SPM. */
export const LEAD_AT = 24;
/** Which of the last packets have come, a bit each, in an ACK. */
export const BITMAP_AT = 20;
/** First network-layer address of an SPM. */
export const SPM_NLA_AT = 28;
/** First network-layer address (the source's) of a NAK or NCF; the group's follows it. */
export const NAK_NLA_AT = 20;

/**
 * Packet types, the low nibble of byte 4. The high nibble is the version, 0, and two reserved bits.
 */
export const TYPE_SPM = 0x00;
export const TYPE_POLR = 0x02;
export const TYPE_ODATA = 0x04;
export const TYPE_RDATA = 0x05;
export const TYPE_NAK = 0x08;
export const TYPE_NNAK = 0x09;
export const TYPE_NCF = 0x0a;
export const TYPE_SPMR = 0x0c;
export const TYPE_ACK = 0x0d;

/**
 * Option flags, byte 5. RFC 3208 counts bits from the other end; these are what implementations
 * send.
 */
export const FLAG_OPTIONS = 0x01;
export const FLAG_NETWORK_SIGNIFICANT = 0x02;
export const FLAG_PARITY = 0x80;

/** Options, the low seven bits of an option's first byte; the top bit marks the last option. */
export const OPTION_LENGTH = 0x00;
export const OPTION_FRAGMENT = 0x01;
export const OPTION_NAK_LIST = 0x02;
export const OPTION_FIN = 0x0e;
/** The last of the options of RFC 3208 and of its congestion control, PGMCC. */
export const OPTION_STANDARD_MAX = 0x13;
/** Private: which session, and which message starts here. */
export const OPTION_SESSION = 0x40;
/** Private: proof that whoever made the packet has a key of the channel. */
export const OPTION_AUTHENTICATION = 0x41;
/** Private: who the publisher is, and where it hears unicast NAKs. */
export const OPTION_PUBLISHER = 0x42;
/** Private: what the archive lacks of what it has accounted for. */
export const OPTION_ARCHIVED = 0x43;
export const OPTION_END = 0x80;

/**
 * Low two bits of an option's third byte: a receiver that does not know the option drops the
 * packet.
 */
export const OPX_MASK = 0x03;
export const OPX_DISCARD = 0x02;

/** Lengths of options, their first four bytes included. */
export const OPTION_LENGTH_BYTES = 4;
export const OPTION_HEAD_BYTES = 4;
export const OPTION_FRAGMENT_BYTES = 16;
export const OPTION_FIN_BYTES = 4;
export const OPTION_SESSION_BYTES = 20;
/** Four bytes of key id and a tag of 128 bits behind the head. */
export const OPTION_AUTHENTICATION_BYTES = 24;
export const TAG_BYTES = 16;
/** Without the name. */
export const OPTION_PUBLISHER_BYTES_MIN = 6;

/** RFC 3208 allows this many options in a packet; bounds the walk. */
export const OPTIONS_MAX = 16;

/**
 * Address family indicators; what family and reserved bytes take, and an address together with
 * them.
 */
export const AFI_IPV4 = 1;
export const AFI_IPV6 = 2;
export const NLA_HEAD_BYTES = 4;
export const NLA_IPV4_BYTES = 8;
export const NLA_IPV6_BYTES = 20;

/**
 * Every reason for which bytes are refused, with the sentence that explains a receiver's counter.
 */
export const MALFORMED_REASONS = {
  too_short: 'The packet ends before its fixed fields do.',
  version: 'The version or a reserved bit of the header is not zero.',
  checksum: 'The checksum does not match the bytes.',
  checksum_missing: 'A data packet carries no checksum.',
  address: 'A network-layer address is neither IPv4 nor IPv6.',
  options: 'The chain of options is broken: lengths, end mark, number or a repeated option.',
  option_discard: 'An unknown option asks receivers to discard the packet.',
  fragment: 'The fragment does not lie within the message it belongs to.',
  session: 'The session or the sequence is out of its range.',
  publisher: "The publisher's name is longer than a name may be.",
  archived: 'The acknowledgement names losses that contradict each other.',
  tsdu_length: 'The stated length of the payload differs from what is left.',
  block_version: 'The block of messages has a version that is not known.',
  block: 'The block of messages is cut short or breaks its own rules.',
} as const;

/** One of the reasons above. */
export type MalformedReason = keyof typeof MALFORMED_REASONS;
