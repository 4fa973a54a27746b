// What a recorder of a channel is made of, and what it tells of itself.

import type { SessionProgress } from '#archive/mod.ts';
import type { SegmentBuilderPool } from '#archive/segment/mod.ts';
import type {
  BackcastError,
  ChannelAddress,
  MemberAddress,
  SequenceRange,
  SessionId,
} from '#base/mod.ts';
import type { LatencySnapshot, ReceiverCounters, ReceiverEvent } from '#multicast/core/mod.ts';
import type { KeySource, PortRange, TransportCounters } from '#multicast/udp/mod.ts';
import type { SpoolSettings } from './open-backlog.ts';
import type { Refusal } from './shard-writer.ts';

/** What every channel of an archiver has in common. */
export interface RecordingSettings {
  /** Address or name of the interface. */
  readonly interfaceAddress: string;
  /** Time-to-live of copies of NAKs to the group; 1 by default. */
  readonly ttl?: number | undefined;
  readonly receiveBufferBytes: number;
  readonly messageBytesMax: number;
  readonly repairTimeoutMs: number;
  readonly sourceExpiryMs: number;
  readonly batchMessagesMax: number;
  readonly batchBytesMax: number;
  readonly batchAgeMs: number;
  /** Names and patterns of channels whose publishers are told what is archived; none by default. */
  readonly acknowledge?: readonly string[] | undefined;
  /** Faults to inject, as the loss injector reads them; undefined for none. */
  readonly faults: string | undefined;
  /** First and last port on which channels of unicast delivery are heard; any if not given. */
  readonly unicastPorts?: PortRange | undefined;
  /** Start of the names of capture files: each channel has `capture`.CHANNEL.pcap. */
  readonly capture?: string | undefined;
  /** Where to put what waits for the database, and how much of it; nowhere if not given. */
  readonly spool?: SpoolSettings | undefined;
}

/** What a recorder needs to know. */
export interface ChannelRecorderOptions extends RecordingSettings {
  readonly channel: string;
  readonly address: ChannelAddress;
  readonly channelId: number;
  /** Name of this archiver. */
  readonly holder: string;
  /** The last archived position. */
  readonly head: number;
  readonly sessions: readonly SessionProgress[];
  /** What may be held of what is committed. */
  readonly recentBytesMax: () => number;
  /** What the archive has of these sessions. */
  readonly findSessions: (sessions: readonly SessionId[]) => Promise<readonly SessionProgress[]>;
  /** The last losses of a session in the archive. */
  readonly findLosses: (session: SessionId, count: number) => Promise<readonly SequenceRange[]>;
  readonly builders: SegmentBuilderPool;
  readonly keys: KeySource | undefined;
  /** A channel of unicast delivery is heard at this place, of which its publishers must know. */
  readonly onListening: (at: MemberAddress) => void;
  /** A batch may be due. */
  readonly onWork: () => void;
  /** The state of a session changed: heard, lost something, ended. */
  readonly onSession: (event: Exclude<ReceiverEvent, { kind: 'messages' }>) => void;
  /**
   * Nothing more can be written under this epoch: somebody else writes, or the archive has gone
   * back.
   */
  readonly onFenced: (epoch: number, refusal: Refusal) => void;
  /** The spool cannot be used; undefined: it can be again. Told once per change. */
  readonly onSpool: (problem: BackcastError | undefined) => void;
}

/** The right to write a channel, and where the archive ends. */
export interface Term {
  readonly epoch: number;
  readonly head: number;
  readonly commits: number;
  readonly sessions: readonly SessionProgress[];
}

/** What a recorder has counted. */
export interface RecorderCounters {
  readonly receiver: ReceiverCounters;
  readonly transport: TransportCounters;
  /** How long repairs took, over all sessions. */
  readonly repairLatency: LatencySnapshot;
  /** Datagrams dropped because too much waited for the database. */
  readonly overrunDatagrams: number;
  /** Memory held for what is not committed. */
  readonly pendingBytes: number;
  /** Position that the last message heard has or will have. */
  readonly receivedPosition: number;
  /** Messages up to this position are on the spool's disk or committed. */
  readonly spooledPosition: number;
  readonly archivedMessages: number;
  /** Transactions committed. */
  readonly commits: number;
  /** Last committed position of the channel. */
  readonly archivedPosition: number;
  /** Bytes that the spool takes from the disk. */
  readonly spoolBytes: number;
  /** Whether what is heard goes to the spool now. */
  readonly spooling: boolean;
  /** Whether a spool is wanted and cannot be used. */
  readonly spoolUnusable: boolean;
  /** Messages that the spool had no room for. */
  readonly spoolFullMessages: number;
  /** Sessions being followed now. */
  readonly followedSessions: number;
  /** Whether this archiver writes the channel. */
  readonly leading: boolean;
  /** Times that it began to. */
  readonly takeovers: number;
  /** Times that it gave the channel to another archiver. */
  readonly handovers: number;
  /** Times that the archive was found to have gone back. */
  readonly rollbacks: number;
  /** Messages that others had and that this archiver stored after they were declared lost. */
  readonly healedMessages: number;
  /** Messages that were declared lost, are here, and could not be offered. */
  readonly unofferedMessages: number;
  /** Whether the database was away when something was last to be committed. */
  readonly databaseAway: boolean;
  /** Whether the database refuses what there is to be committed. */
  readonly refused: boolean;
}
