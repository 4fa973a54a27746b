// The tables as Kysely sees them. Instants are read as microseconds (connect.ts) and written as RFC
// 3339 text. A session_id has 63 bits and is never read as a number: select `sessionText` of it.

import { sql } from 'kysely';
import type { ColumnType, Generated, RawBuilder } from 'kysely';
import { sessionToBigInt } from '#base/mod.ts';
import type { Framing, LossCause, SessionId } from '#base/mod.ts';

/** Microseconds since 1970 when read, RFC 3339 text when written. */
export type Instant = ColumnType<number, string, string>;
/** A bigint column that is compared and written as text or bigint, never read as it is. */
export type SessionColumn = ColumnType<never, string | bigint, never>;
/** Open; ended by its publisher; or given up because nothing was heard of it. */
export type SessionState = 'open' | 'closed' | 'expired';

/** The channels, and where each lives on the network. */
export interface ChannelsTable {
  readonly channel_id: Generated<number>;
  name: string;
  group_address: string;
  port: number;
  dport: number;
  framing: Framing;
  readonly created_at: ColumnType<number, never, never>;
}

/** Who writes a channel: one row per channel, the fence of every append. */
export interface LeasesTable {
  readonly channel_id: number;
  epoch: number;
  holder: string | null;
  expires_at: Instant;
  /** The last archived position of the channel, 0 when it has none. */
  head: number;
  /** Batches committed, also those that held no message. */
  commits: number;
}

/** The account of each session: what the archive answers for. */
export interface SessionsTable {
  readonly channel_id: number;
  readonly session_id: SessionColumn;
  source: string | null;
  tsi: string;
  readonly is_foreign: boolean;
  state: SessionState;
  /** The first sequence that the archive accounts for. */
  first_archived: number;
  /** Everything from first_archived through here is stored or declared lost. */
  watermark: number;
  /** The newest sequence known to exist. */
  lead: number;
  /** Packet number from which a restarted archiver asks on; means nothing to SQL. */
  resume_sqn: number;
  opened_at: Instant;
  seen_at: Instant;
  closed_at: ColumnType<number | null, string | null, string | null>;
}

/** The messages, by the thousand; partitioned by the day of archived_at. */
export interface SegmentsTable {
  readonly channel_id: number;
  readonly first_position: number;
  readonly message_count: number;
  readonly payload_bytes: number;
  /** The arrays are written by COPY BINARY and read in binary: segment-decode.ts. */
  readonly run_session: unknown;
  readonly run_first: unknown;
  readonly run_length: unknown;
  readonly run_last: unknown;
  /** When each run was archived, in segments that were merged from several; else null. */
  readonly run_archived_at: unknown;
  readonly min_published_at: Instant;
  readonly max_published_at: Instant;
  readonly archived_at: Instant;
  readonly published_at: unknown;
  readonly payload: unknown;
}

/** Which segments account for a session's sequences; partitioned as the segments are. */
export interface SegmentSessionsTable {
  readonly channel_id: number;
  readonly session_id: SessionColumn;
  readonly first_sequence: number;
  readonly last_sequence: number;
  /** First position of the segment that holds these sequences. */
  readonly first_position: number;
  readonly archived_at: Instant;
  /** Whether a loss was declared of these sequences before they were stored. */
  readonly is_healed: boolean;
}

/** Sequences that were declared lost, and those of them that were healed since. */
export interface LossesTable {
  readonly channel_id: number;
  readonly session_id: SessionColumn;
  readonly first_sequence: number;
  readonly last_sequence: number;
  readonly cause: LossCause;
  /** Head of the channel when the loss was declared: where in the channel's order the hole lies. */
  readonly after_position: number;
  /** The packets in which the hole lies: from first_sqn, null if unknown, to before next_sqn. */
  readonly first_sqn: number | null;
  readonly next_sqn: number;
  /** Packets of a foreign source; null where each sequence is a message. */
  readonly packet_count: number | null;
  readonly detected_at: Instant;
  readonly declared_at: Instant;
  healed_at: ColumnType<number | null, string | null, string | null>;
  /** The position of the first message of the batch that brought what was lost. */
  healed_position: number | null;
  healed_by: string | null;
}

/** Sequences that were told twice with different bytes; what is stored came first. */
export interface ConflictsTable {
  readonly channel_id: number;
  readonly session_id: SessionColumn;
  readonly first_sequence: number;
  readonly last_sequence: number;
  readonly detected_at: Instant;
  /** Who noticed. */
  readonly archiver: string;
  readonly evidence: string;
  /** SHA-256 of the payload as stored, and as told the other time; null if not known. */
  readonly stored_sha256: Buffer | null;
  readonly heard_sha256: Buffer | null;
}

/** Which archivers could write a channel. */
export interface CandidatesTable {
  readonly channel_id: number;
  readonly holder: string;
  seen_at: Instant;
  /** When it last heard a datagram of the channel. */
  heard_at: Instant;
  /** The position that the last message it heard has or will have. */
  received_position: number;
  /** Messages up to this position are on its disk, or archived. */
  spooled_position: number;
}

/** Messages that were declared lost and that another archiver than the writing one has. */
export interface HealOffersTable {
  readonly channel_id: number;
  readonly session_id: SessionColumn;
  readonly first_sequence: number;
  readonly last_sequence: number;
  readonly offered_at: Instant;
  readonly offered_by: string;
  /** An entry of a spool. */
  readonly content: Buffer;
}

/** What each day of a channel holds, so that a read touches only the days it needs. */
export interface PartitionBoundsTable {
  readonly channel_id: number;
  /** Midnight UTC of the day whose segments these bounds describe. */
  readonly partition_start: Instant;
  readonly first_position: number;
  readonly last_position: number;
  readonly min_published_at: Instant;
  readonly max_published_at: Instant;
  readonly message_count: number;
  readonly payload_bytes: number;
  /** Segments that begin up to this position have been looked at for merging; 0 if none has. */
  readonly compacted_through: Generated<number>;
}

/** Sequences that were archived and have been deleted by a policy: one row per stretch. */
export interface DeletionsTable {
  readonly channel_id: number;
  readonly session_id: SessionColumn;
  readonly first_sequence: number;
  readonly last_sequence: number;
  /** Every position in between was deleted with it, of whatever session. */
  readonly first_position: number;
  readonly last_position: number;
  /** Less than the sequences where some of these name no message. */
  readonly message_count: number;
  /** Bounds of the publish times, of whole segments: never too narrow. */
  readonly min_published_at: Instant;
  readonly max_published_at: Instant;
  readonly deleted_at: Instant;
  readonly policy: string;
}

/** What retention must not touch; to_time is exclusive, null while the hold has no end. */
export interface HoldsTable {
  readonly channel_id: number;
  readonly name: string;
  readonly reason: string;
  readonly from_time: Instant;
  readonly to_time: ColumnType<number | null, string | null, never>;
  readonly created_at: Instant;
}

/** The tokens of the replay API, also those that are revoked or expired. */
export interface TokensTable {
  readonly token_id: string;
  readonly name: string;
  readonly secret_sha256: Buffer;
  /** Each as parseScope reads it. */
  readonly scopes: string[];
  readonly created_at: Instant;
  readonly expires_at: ColumnType<number | null, string | null, never>;
  revoked_at: ColumnType<number | null, never, string>;
}

/** Who read which messages; ended_at is null while the answer runs. */
export interface AccessesTable {
  readonly channel_id: number;
  readonly started_at: Instant;
  readonly access_id: string;
  ended_at: ColumnType<number | null, string | null, string | null>;
  message_count: number;
  /** Bounds of the positions that were handed over; null if there were none. */
  first_position: number | null;
  last_position: number | null;
  outcome: AccessOutcome;
  readonly operation: string;
  readonly who: string;
  /** The address from which it was asked. */
  readonly remote: string;
  /** What was asked for, as the caller wrote it. */
  readonly request: string;
}

/** Under way; sent to its end; ended before by either side; cut because the right was gone. */
export type AccessOutcome = 'running' | 'complete' | 'aborted' | 'revoked';

/** One message per row: for SQL users; the replay reads segments. */
export interface MessagesView {
  readonly channel: string;
  readonly channel_id: number;
  readonly position: number;
  readonly session: SessionId;
  readonly source: string | null;
  readonly sequence: number;
  readonly published_at: Instant;
  readonly archived_at: Instant;
  readonly payload: Buffer;
}

/** The schema. */
export interface ArchiveTables {
  channels: ChannelsTable;
  leases: LeasesTable;
  sessions: SessionsTable;
  segments: SegmentsTable;
  segment_sessions: SegmentSessionsTable;
  losses: LossesTable;
  conflicts: ConflictsTable;
  partition_bounds: PartitionBoundsTable;
  candidates: CandidatesTable;
  heal_offers: HealOffersTable;
  deletions: DeletionsTable;
  holds: HoldsTable;
  tokens: TokensTable;
  accesses: AccessesTable;
  messages: MessagesView;
}

/**
 * A session_id column (qualified if need be) as the 16 hex digits that name the session everywhere.
 */
export function sessionText(column: string): RawBuilder<SessionId> {
  return sql<SessionId>`lpad(to_hex(${sql.ref(column)}), 16, '0')`;
}

/** `session` as the text of the bigint that the tables hold. */
export function sessionParameter(session: SessionId): string {
  return sessionToBigInt(session).toString();
}
