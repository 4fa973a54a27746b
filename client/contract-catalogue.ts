// What the replay API answers about channels and sessions.
// Written by replay-api/write-client-types.ts; do not edit.

import type { LossCause } from '#base/mod.ts';
import type { Deletion } from './contract-messages.ts';

/** A channel, as the archive knows it. */
export interface Channel {
  /** Name of the channel. */
  readonly channel: string;
  /** Multicast group, IPv4 or IPv6. */
  readonly group: string;
  /** UDP port. */
  readonly port: number;
  /** PGM data-destination port. */
  readonly dport: number;
  /** How packets are cut into messages. */
  readonly framing: 'native' | 'raw' | 'zmq';
  /** When the archive first knew the channel. */
  readonly createdAt: string;
  /** The last position of the channel when the answer was begun; 0 if nothing is archived. */
  readonly archivedThrough: number;
  /** degraded: the settings of the database allow a crash to lose what it has committed. */
  readonly durability: 'durable' | 'degraded';
  /** The first position that is kept. */
  readonly firstPosition: number | null;
  /** From this position on nothing has been deleted. */
  readonly firstAvailable: number;
  /** The earliest publish time that is kept. */
  readonly publishedFrom: string | null;
  /** The latest publish time that is kept. */
  readonly publishedThrough: string | null;
  /**
   * The archivers that hear the channel, by name, and how far each says it is. What all of them
   * agree on, and what can be read, is `archivedThrough`.
   */
  readonly archivers: readonly {
    /** Name of the archiver. */
    readonly name: string;
    /** Whether it is the one that writes the channel. */
    readonly isWriting: boolean;
    /** When it said this. It does so every few seconds; one that does not is gone. */
    readonly seenAt: string;
    /** When it last heard anything of the channel. */
    readonly heardAt: string;
    /**
     * The position that the last message it has heard has, or will have if nothing is lost until
     * then. In memory only, as far as it is beyond `spooled`: a crash of the archiver loses it,
     * unless a publisher or another archiver still has it. No reader is served it.
     */
    readonly received: number;
    /**
     * Messages up to this position are on the disk of this archiver, or archived. A crash of the
     * archiver does not lose them, its disk would. No reader is served what is beyond
     * `archivedThrough` of the channel.
     */
    readonly spooled: number;
  }[];
}

/** A page of channels. */
export interface ChannelPage {
  readonly items: readonly Channel[];
  /** Relative URL of the next page; null where the answer ends. */
  readonly next: string | null;
}

/** One incarnation of a publisher on a channel. */
export interface Session {
  /** One incarnation of a publisher: 16 lower-case hex digits. */
  readonly session: string;
  /** Name of the publisher, if it told one. */
  readonly source: string | null;
  /** Transport session identifier on the wire. */
  readonly tsi: string;
  /**
   * Whether its source is not of Backcast: then sequences are made of packet numbers, begin
   * anywhere, and not every one of them is a message.
   */
  readonly isForeign: boolean;
  /** open: heard of lately. closed: its publisher said goodbye. expired: it fell silent. */
  readonly state: 'open' | 'closed' | 'expired';
  /** The first sequence that the archive accounts for; 1 while nothing of a foreign source is. */
  readonly firstArchived: number;
  /** Through here every sequence is stored or declared lost. */
  readonly watermark: number;
  /** The highest sequence known to exist. */
  readonly lead: number;
  /**
   * What is behind the lead. open: more may come. complete: nothing. unknown: the publisher fell
   * silent, and what it published last may have been heard by nobody.
   */
  readonly tail: 'open' | 'complete' | 'unknown';
  /** When the archiver first heard the session. */
  readonly openedAt: string;
  /** When it last heard it. */
  readonly seenAt: string;
  /** When it ended. */
  readonly closedAt: string | null;
}

/** A page of sessions. */
export interface SessionPage {
  readonly items: readonly Session[];
  /** Relative URL of the next page; null where the answer ends. */
  readonly next: string | null;
}

/** Sequences that were given up, in the list of losses. */
export interface ListedLoss {
  /** One incarnation of a publisher: 16 lower-case hex digits. */
  readonly session: string;
  /** Name of the publisher, if it told one. */
  readonly source: string | null;
  /** The first lost sequence. */
  readonly first: number;
  /** The last lost sequence. */
  readonly last: number;
  /**
   * How many packets of a foreign source these sequences are: nobody knows how many messages they
   * held. null: every sequence from `first` to `last` is a lost message.
   */
  readonly packets: number | null;
  /**
   * Why. repair_expired: The publisher no longer held the packets when they were asked for, or
   * resent them too late. source_gone: The publisher fell silent before the missing packets could
   * be repaired. recorder_overrun: The archiver itself could not keep up and had to let messages
   * go. spool_full: PostgreSQL was away for longer than the spool had room for. late_join: The
   * messages were published before the archiver first heard this session. resync: The packet
   * numbers jumped beyond any window, or the archive went back and nobody has them. corrupt: The
   * packets arrived, but what they held could not be read. unauthenticated: Packets of the
   * publisher arrived while these were missing, but without a valid tag.
   */
  readonly cause: LossCause;
  /** The position after which the messages would have come. */
  readonly afterPosition: number;
  /** When the archiver noticed. */
  readonly detectedAt: string;
  /** When it gave up. */
  readonly declaredAt: string;
  /**
   * The packets in which the loss lies, by the numbers that a capture shows: behind 2^32 − 1 they
   * begin again at 0. null if that is not known.
   */
  readonly sqns: {
    readonly first: number;
    readonly last: number;
  } | null;
  /** When the messages turned up after all. */
  readonly healedAt: string | null;
  /** Who had them. */
  readonly healedBy: string | null;
}

/** A page of losses. */
export interface LossPage {
  readonly items: readonly ListedLoss[];
  /** Relative URL of the next page; null where the answer ends. */
  readonly next: string | null;
}

/** A page of deletions. */
export interface DeletionPage {
  readonly items: readonly Deletion[];
  /** Relative URL of the next page; null where the answer ends. */
  readonly next: string | null;
}

/** Sequences that came twice with different bytes. */
export interface Conflict {
  /** One incarnation of a publisher: 16 lower-case hex digits. */
  readonly session: string;
  /** Name of the publisher, if it told one. */
  readonly source: string | null;
  /** The first sequence concerned. */
  readonly first: number;
  /** The last sequence concerned. */
  readonly last: number;
  /** When the archiver noticed. */
  readonly detectedAt: string;
  /** Who noticed. */
  readonly archiver: string;
  /** How it showed. */
  readonly evidence: string;
  /** SHA-256 of the payloads, one behind the other, in hex digits. */
  readonly storedSha256: string | null;
  /** SHA-256 of the payloads, one behind the other, in hex digits. */
  readonly heardSha256: string | null;
}

/** A page of conflicts. */
export interface ConflictPage {
  readonly items: readonly Conflict[];
  /** Relative URL of the next page; null where the answer ends. */
  readonly next: string | null;
}

/** How complete a range of a session is. */
export interface Completeness {
  readonly channel: string;
  /** One incarnation of a publisher: 16 lower-case hex digits. */
  readonly session: string;
  /** Name of the publisher, if it told one. */
  readonly source: string | null;
  /** open: heard of lately. closed: its publisher said goodbye. expired: it fell silent. */
  readonly state: 'open' | 'closed' | 'expired';
  /** First sequence of the range. */
  readonly first: number;
  /** Last sequence of the range. */
  readonly last: number;
  /**
   * complete: everything that was asked for is here. partial: what is missing is lost, and named.
   * deleted: some of it was archived and has been deleted by a policy, which is named, as is what
   * is lost. unsettled: the archive has not got that far, ask again. unknown: the publisher fell
   * silent before the end of the range; whether it published more, nobody knows.
   */
  readonly status: 'complete' | 'partial' | 'deleted' | 'unsettled' | 'unknown';
  readonly lost: readonly {
    /** The first lost sequence. */
    readonly first: number;
    /** The last lost sequence. */
    readonly last: number;
    /**
     * How many packets of a foreign source these sequences are: nobody knows how many messages they
     * held. null: every sequence from `first` to `last` is a lost message.
     */
    readonly packets: number | null;
    /**
     * Why. repair_expired: The publisher no longer held the packets when they were asked for, or
     * resent them too late. source_gone: The publisher fell silent before the missing packets could
     * be repaired. recorder_overrun: The archiver itself could not keep up and had to let messages
     * go. spool_full: PostgreSQL was away for longer than the spool had room for. late_join: The
     * messages were published before the archiver first heard this session. resync: The packet
     * numbers jumped beyond any window, or the archive went back and nobody has them. corrupt: The
     * packets arrived, but what they held could not be read. unauthenticated: Packets of the
     * publisher arrived while these were missing, but without a valid tag.
     */
    readonly cause: LossCause;
  }[];
  /** What was archived, and deleted by a policy since. */
  readonly deleted: readonly {
    /** The first deleted sequence. */
    readonly first: number;
    /** The last deleted sequence. */
    readonly last: number;
    /**
     * How many messages these sequences were; null where a range cuts those of a foreign source.
     */
    readonly messages: number | null;
    /** When it was deleted. */
    readonly deletedAt: string;
    /** By which policy. */
    readonly policy: string;
  }[];
  /**
   * Messages of the range that are stored; null for a foreign source, where only reading the range
   * counts them.
   */
  readonly storedCount: number | null;
  /** Messages of the range that are lost; packets, for a foreign source. */
  readonly lostCount: number;
  /** Messages that are deleted; null where the range cuts those of a foreign source. */
  readonly deletedCount: number | null;
  /** The first sequence of the range still to come. */
  readonly unsettledFrom: number | null;
  /** The first sequence of the range that nobody can say was published. */
  readonly unknownFrom: number | null;
  /**
   * What is behind the lead. open: more may come. complete: nothing. unknown: the publisher fell
   * silent, and what it published last may have been heard by nobody.
   */
  readonly tail: 'open' | 'complete' | 'unknown';
  /** Through here the archive accounts for the session. */
  readonly watermark: number;
}
