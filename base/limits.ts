// Every bound of the product in one place, each with the reason for its number, and the relations
// between them asserted where they are declared. Units stand in the names.

import { assert } from './assert.ts';

/**
 * UDP payload that fits an Ethernet frame: 1500 − 20 (IP) − 8 (UDP). Larger packets would be
 * fragmented by IP, where one lost piece loses all.
 */
export const PACKET_BYTES_DEFAULT = 1_472;
/**
 * Where the interface allows larger packets, they are used up to a jumbo frame: 9,000 − 28. Beyond,
 * one lost packet costs too much.
 */
export const PACKET_BYTES_AUTO_MAX = 8_972;
/** Room for the headers, options and at least a few bytes of data. */
export const PACKET_BYTES_MIN = 256;
/** 65,535 − 20 − 8: the largest UDP payload that IPv4 carries. */
export const PACKET_BYTES_MAX = 65_507;
/** 65,535 − 8: the largest that anybody can send us, since IPv6 does not count its header. */
export const DATAGRAM_BYTES_MAX = 65_527;

/**
 * One message: 1 MiB by default, the point from which a file transfer serves better than a
 * broadcast.
 */
export const MESSAGE_BYTES_DEFAULT_MAX = 1_048_576;

/** Messages in one packet: bounds what a receiver must unpack in one step. */
export const PACKET_MESSAGES_MAX = 1_024;

/** Packets a publisher keeps for repair. 65,536 packets of 1,472 bytes are 92 MiB. */
export const TRANSMIT_WINDOW_PACKETS_DEFAULT = 65_536;
/** Bytes a publisher keeps for repair: what an instance can spare without thinking about it. */
export const TRANSMIT_WINDOW_BYTES_DEFAULT = 96 * 1_048_576;

/**
 * Bytes of data per second of one publisher: four fifths of a 1 Gbit/s link, the rest of which is
 * left to repairs.
 */
export const PUBLISH_BYTES_PER_SEC_DEFAULT = 100_000_000;

/** Socket buffer asked of the kernel: what comes in 70 ms at a gigabit, while the process rests. */
export const RECEIVE_BUFFER_BYTES_DEFAULT = 8 * 1_048_576;
/** How long a missing packet is asked for: far longer than a repair takes that can be had. */
export const REPAIR_TIMEOUT_MS_DEFAULT = 5_000;
/** A publisher that has not been heard for this long counts as gone: fifteen of its heartbeats. */
export const SOURCE_EXPIRY_MS = 30_000;

/**
 * Packets a receiver holds per session behind a hole; at least the largest transmit window, so a
 * full window can be repaired in place.
 */
export const RECEIVE_WINDOW_PACKETS_MAX = 131_072;
/**
 * Holes a receiver tracks per session at once; more and it waits for the oldest to be filled first.
 */
export const RECEIVE_GAPS_MAX = 4_096;
/** Sessions a receiver follows at once on one channel. */
export const RECEIVE_SESSIONS_MAX = 1_024;
/**
 * Names of sessions heard once that a receiver remembers while it follows many: 48 KiB, and at ten
 * thousand new names a second each stays for most of the time between two first SPMs of a
 * publisher.
 */
export const SESSION_CANDIDATES = 4_096;
/**
 * Strangers given up per second for other newcomers: all of them in five seconds, so that a quiet
 * publisher, heard every two, is not among them; and few enough rows for who stores sessions.
 */
export const SESSIONS_REPLACED_PER_SEC_MAX = 200;

/**
 * Sessions that are over and that an archiver keeps in mind per channel, so that it need not ask
 * the archive when one is heard again: those of four times as many publishers as it follows.
 */
export const SESSIONS_REMEMBERED_MAX: number = 4 * RECEIVE_SESSIONS_MAX;

/**
 * Packet numbers in one NAK: one in the header and 62 in the list, as much as the list option
 * holds.
 */
export const NAK_SQNS_MAX = 63;
/**
 * NAK packets that one session may have unanswered at once; more would ask for repairs faster than
 * they come.
 */
export const NAK_PACKETS_OUTSTANDING_MAX = 16;

/**
 * Repairs that may wait in one of a publisher's lanes: what one receiver may have unanswered, and
 * some.
 */
export const REPAIR_LANE_PACKETS_MAX = 1_024;
/**
 * Lanes in which repairs wait, taking turns: enough that two receivers seldom share one. Together
 * they hold 65,536 packet numbers.
 */
export const REPAIR_LANES = 64;
/**
 * Packet numbers that wait to be confirmed: sixteen full confirmations, as much as one receiver
 * asks for at once. Further ones are repaired without.
 */
export const NCF_PENDING_SQNS_MAX = NAK_SQNS_MAX * 16;
/**
 * Bytes of confirmations per second of one publisher: 500 full ones, for 31,500 packets. More
 * would only cost every receiver time.
 */
export const NCF_BYTES_PER_SEC_MAX = 160_000;

/**
 * NAKs per second of one receiver, over all its sessions: enough to ask for 126,000 packets, and so
 * few that forged sessions cannot make it a source of traffic to addresses that they name.
 */
export const NAKS_PER_SEC_MAX = 2_000;

/**
 * Acknowledgements per second of one archiver and channel, over all sessions: every 10 ms for
 * fifty busy publishers. Of more, each learns a little later what is archived.
 */
export const ACKS_PER_SEC_MAX = 5_000;

/** Messages in one segment; bounds the search for a position to one index range. */
export const SEGMENT_MESSAGES_MAX = 4_096;
/**
 * Payload bytes after which a segment is closed: keeps one row far below PostgreSQL's 1 GB and
 * cheap to read.
 */
export const SEGMENT_BYTES_TARGET = 1_048_576;

/**
 * Archive time that one merged segment spans at most, and never across two of these, counted from
 * midnight UTC: what was archived at some instant is found among what the last hour began.
 */
export const COMPACTED_SPAN_MS = 3_600_000;

/** Messages in one transaction of the archiver. */
export const BATCH_MESSAGES_MAX = 65_536;
/** Payload bytes in one transaction of the archiver. */
export const BATCH_BYTES_MAX = 16 * 1_048_576;
/** How long the oldest message of a batch waits before the batch is committed. */
export const BATCH_AGE_MS_DEFAULT = 20;

/** Name of a publisher as it travels in source path messages. */
export const SOURCE_NAME_BYTES_MAX = 64;

/**
 * Keys that are live at once: the one that signs, and while keys are changed the one before or the
 * one to come.
 */
export const AUTHENTICATION_KEYS_MAX = 2;
/** 128 bits, as long as the tags that are made with it: a shorter one could be guessed first. */
export const AUTHENTICATION_KEY_BYTES_MIN = 16;
/** One block of SHA-256, up to which HMAC uses all of a key (RFC 2104, section 3). */
export const AUTHENTICATION_KEY_BYTES_MAX = 64;

/** Channels that one registry may name: as many as there are UDP ports to tell them apart. */
export const REGISTRY_CHANNELS_MAX = 65_536;
/**
 * Sessions announced on one channel at once: every session a receiver follows, and as many again
 * that are just ending.
 */
export const REGISTRY_SESSIONS_MAX = 2 * RECEIVE_SESSIONS_MAX;
/**
 * How long an announcement stands without being renewed. Renewed every third of it, it survives two
 * lost renewals.
 */
export const SESSION_LEASE_MS_DEFAULT = 30_000;

/**
 * Members of one channel of unicast delivery unless told otherwise. Each packet is sent once to
 * each of them: at 64, a stream of 1 MB/s is half a gigabit on the uplink.
 */
export const FANOUT_MEMBERS_DEFAULT_MAX = 64;
/**
 * The most that may be configured: a turn of the loop sends 32 packets, and to more members it
 * would hold up everything else for tens of milliseconds.
 */
export const FANOUT_MEMBERS_MAX = 256;

/**
 * A capture file: hours of a quiet channel, some seconds of a gigabit, and few enough bytes that a
 * forgotten one fills no disk and Wireshark opens it.
 */
export const CAPTURE_BYTES_MAX = 1_073_741_824;

assert(PACKET_BYTES_MIN < PACKET_BYTES_DEFAULT, 'the default packet is larger than the smallest');
assert(PACKET_BYTES_DEFAULT < PACKET_BYTES_MAX, 'the default packet is smaller than the largest');
assert(
  TRANSMIT_WINDOW_PACKETS_DEFAULT <= RECEIVE_WINDOW_PACKETS_MAX,
  'a receiver can hold all that a publisher can still repair',
);
assert(
  NAK_SQNS_MAX * NAK_PACKETS_OUTSTANDING_MAX <= REPAIR_LANE_PACKETS_MAX,
  'a lane of repairs holds all that one receiver may ask for',
);
assert(PACKET_MESSAGES_MAX <= SEGMENT_MESSAGES_MAX, 'the messages of a packet fit one segment');
assert(SEGMENT_MESSAGES_MAX <= BATCH_MESSAGES_MAX, 'a full segment fits one batch');
assert(SEGMENT_BYTES_TARGET <= BATCH_BYTES_MAX, 'a segment of the target size fits one batch');
