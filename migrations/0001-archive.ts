// The whole store of version 0.1. Rules kept here, so that the same tables can be spread over
// several servers by channel_id: every table but `channels` and `tokens` has channel_id, every key
// of the others contains it, keys are natural, constraints are named, there are no triggers, and
// storage attributes are set before any partition exists.

import { sql } from 'kysely';
import type { Kysely } from 'kysely';
import { LOSS_CAUSES, SEGMENT_MESSAGES_MAX } from '#base/mod.ts';
import { ACCESSES, ACCESSES_INDEX, TOKENS } from './access-tables.ts';
import { CONFLICTS } from './conflict-tables.ts';
import { DELETIONS, DELETIONS_INDEX, HOLDS } from './retention-tables.ts';
import { CANDIDATES, HEAL_OFFERS } from './standby-tables.ts';

/** How the arrays of a segment are compressed; `none` keeps them outside the row as they are. */
export type StoredCompression = 'lz4' | 'pglz' | 'none';

/** Makes the tables, the view and the functions. */
export async function createArchive(
  database: Kysely<unknown>,
  compression: StoredCompression,
): Promise<void> {
  for (const statement of [...TABLES, ...storage(compression), ...FUNCTIONS, VIEW]) {
    await sql.raw(statement).execute(database);
  }
}

const CAUSES = Object.keys(LOSS_CAUSES)
  .map((cause) => `'${cause}'`)
  .join(', ');

const CHANNELS = `
CREATE TABLE channels (
  channel_id int GENERATED ALWAYS AS IDENTITY CONSTRAINT channels_pk PRIMARY KEY,
  port int NOT NULL CONSTRAINT channels_port_check CHECK (port BETWEEN 1 AND 65535),
  dport int NOT NULL CONSTRAINT channels_dport_check CHECK (dport BETWEEN 1 AND 65535),
  created_at timestamptz NOT NULL DEFAULT now(),
  name text NOT NULL CONSTRAINT channels_name_unique UNIQUE,
  group_address text NOT NULL,
  framing text NOT NULL
    CONSTRAINT channels_framing_check CHECK (framing IN ('native', 'raw', 'zmq'))
)`;

const LEASES = `
CREATE TABLE leases (
  epoch bigint NOT NULL,
  head bigint NOT NULL CONSTRAINT leases_head_check CHECK (head >= 0),
  commits bigint NOT NULL,
  expires_at timestamptz NOT NULL,
  channel_id int NOT NULL CONSTRAINT leases_channel_fk REFERENCES channels,
  holder text,
  CONSTRAINT leases_pk PRIMARY KEY (channel_id)
)`;

const SESSIONS = `
CREATE TABLE sessions (
  session_id bigint NOT NULL,
  first_archived bigint NOT NULL,
  watermark bigint NOT NULL,
  lead bigint NOT NULL,
  resume_sqn bigint NOT NULL,
  opened_at timestamptz NOT NULL,
  seen_at timestamptz NOT NULL,
  closed_at timestamptz,
  channel_id int NOT NULL CONSTRAINT sessions_channel_fk REFERENCES channels,
  is_foreign boolean NOT NULL,
  state text NOT NULL,
  tsi text NOT NULL,
  source text,
  CONSTRAINT sessions_pk PRIMARY KEY (channel_id, session_id),
  CONSTRAINT sessions_session_check CHECK (session_id > 0),
  CONSTRAINT sessions_state_check CHECK (state IN ('open', 'closed', 'expired')),
  CONSTRAINT sessions_watermark_check
    CHECK (first_archived >= 1 AND watermark >= first_archived - 1)
)`;

// A run is messages with consecutive sequences. Its last number is run_first + run_length - 1, but
// for sessions in which some numbers name no message: run_last then has, for every run, the number
// through which it accounts. Where no run of a segment needs it, it is null and costs nothing.
// A segment that was merged from several has the archive time of each run in run_archived_at, and
// that of the first one in archived_at; elsewhere it is null.
const SEGMENTS = `
CREATE TABLE segments (
  first_position bigint NOT NULL,
  archived_at timestamptz NOT NULL,
  min_published_at timestamptz NOT NULL,
  max_published_at timestamptz NOT NULL,
  payload_bytes bigint NOT NULL,
  channel_id int NOT NULL,
  message_count int NOT NULL,
  run_session bigint[] NOT NULL,
  run_first bigint[] NOT NULL,
  run_length int[] NOT NULL,
  published_at timestamptz[] NOT NULL,
  payload bytea[] NOT NULL,
  run_last bigint[],
  run_archived_at timestamptz[],
  CONSTRAINT segments_pk PRIMARY KEY (channel_id, first_position, archived_at),
  CONSTRAINT segments_count_check CHECK (message_count BETWEEN 1 AND ${SEGMENT_MESSAGES_MAX}),
  CONSTRAINT segments_position_check CHECK (first_position >= 1)
) PARTITION BY RANGE (archived_at)`;

// A row is a stretch of consecutive sequences of one session in one segment, as long as it can be;
// so the rows of a session never overlap. They rise with the days of archived_at, but for those of
// healed losses, which have rows of their own.
const SEGMENT_SESSIONS = `
CREATE TABLE segment_sessions (
  session_id bigint NOT NULL,
  first_sequence bigint NOT NULL,
  last_sequence bigint NOT NULL,
  first_position bigint NOT NULL,
  archived_at timestamptz NOT NULL,
  channel_id int NOT NULL,
  is_healed boolean NOT NULL,
  CONSTRAINT segment_sessions_pk
    PRIMARY KEY (channel_id, session_id, first_sequence, archived_at),
  CONSTRAINT segment_sessions_range_check
    CHECK (first_sequence >= 1 AND last_sequence >= first_sequence)
) PARTITION BY RANGE (archived_at)`;

const LOSSES = `
CREATE TABLE losses (
  session_id bigint NOT NULL,
  first_sequence bigint NOT NULL,
  last_sequence bigint NOT NULL,
  after_position bigint NOT NULL,
  first_sqn bigint,
  next_sqn bigint NOT NULL,
  packet_count bigint,
  healed_position bigint,
  detected_at timestamptz NOT NULL,
  declared_at timestamptz NOT NULL,
  healed_at timestamptz,
  channel_id int NOT NULL CONSTRAINT losses_channel_fk REFERENCES channels,
  cause text NOT NULL CONSTRAINT losses_cause_check CHECK (cause IN (${CAUSES})),
  healed_by text,
  CONSTRAINT losses_pk PRIMARY KEY (channel_id, session_id, first_sequence),
  CONSTRAINT losses_range_check CHECK (first_sequence >= 1 AND last_sequence >= first_sequence),
  CONSTRAINT losses_healed_check CHECK ((healed_at IS NULL) = (healed_position IS NULL))
)`;

const PARTITION_BOUNDS = `
CREATE TABLE partition_bounds (
  partition_start timestamptz NOT NULL,
  first_position bigint NOT NULL,
  last_position bigint NOT NULL,
  min_published_at timestamptz NOT NULL,
  max_published_at timestamptz NOT NULL,
  message_count bigint NOT NULL,
  payload_bytes bigint NOT NULL,
  channel_id int NOT NULL CONSTRAINT partition_bounds_channel_fk REFERENCES channels,
  compacted_through bigint NOT NULL DEFAULT 0,
  CONSTRAINT partition_bounds_pk PRIMARY KEY (channel_id, partition_start)
)`;

/** How far losses were healed, by which a reader tells whether the past is still what it was. */
const HEALED_INDEX = `CREATE INDEX losses_healed_position ON losses (channel_id, healed_position)
  WHERE healed_position IS NOT NULL`;

const TABLES = [
  CHANNELS,
  LEASES,
  SESSIONS,
  SEGMENTS,
  SEGMENT_SESSIONS,
  LOSSES,
  PARTITION_BOUNDS,
  CONFLICTS,
  CANDIDATES,
  HEAL_OFFERS,
  'CREATE INDEX losses_after_position ON losses (channel_id, after_position)',
  HEALED_INDEX,
  DELETIONS,
  DELETIONS_INDEX,
  HOLDS,
  TOKENS,
  ACCESSES,
  ACCESSES_INDEX,
];

function storage(compression: StoredCompression): string[] {
  const columns = ['published_at', 'payload'];
  const attribute = compression === 'none' ? 'STORAGE EXTERNAL' : `COMPRESSION ${compression}`;
  return [
    ...columns.map((column) => `ALTER TABLE segments ALTER COLUMN ${column} SET ${attribute}`),
    'CREATE TABLE segments_default PARTITION OF segments DEFAULT',
    'CREATE TABLE segment_sessions_default PARTITION OF segment_sessions DEFAULT',
  ];
}

// A run is (session, first sequence, length) and, in a merged segment, its archive time; this lists
// the session, sequence and archive time of every message.
const EXPAND_RUNS = `
CREATE FUNCTION expand_runs(
  run_session bigint[], run_first bigint[], run_length int[], run_archived_at timestamptz[]
)
RETURNS TABLE (session_id bigint, sequence bigint, archived_at timestamptz)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 1000 AS $$
  SELECT run.session_id, run.first_sequence + step, run.archived_at
  FROM unnest(run_session, run_first, run_length, run_archived_at) WITH ORDINALITY
         AS run (session_id, first_sequence, length, archived_at, ordinal),
       generate_series(0, run.length - 1) AS step
  ORDER BY run.ordinal, step
$$`;

const MESSAGE_COLUMNS = `
       s.first_position + message.ordinal - 1 AS position,
       lpad(to_hex(message.session_id), 16, '0') AS session,
       origin.source,
       message.sequence,
       message.published_at,
       coalesce(message.archived_at, s.archived_at) AS archived_at,
       message.payload`;

const MESSAGE_SOURCE = `
CROSS JOIN LATERAL ROWS FROM (
       unnest(s.payload, s.published_at),
       expand_runs(s.run_session, s.run_first, s.run_length, s.run_archived_at)
     ) WITH ORDINALITY
       AS message (payload, published_at, session_id, sequence, archived_at, ordinal)
LEFT JOIN sessions origin
       ON origin.channel_id = s.channel_id AND origin.session_id = message.session_id`;

const VIEW = `
CREATE VIEW messages AS
SELECT c.name AS channel,
       s.channel_id,${MESSAGE_COLUMNS}
FROM segments s
JOIN channels c ON c.channel_id = s.channel_id${MESSAGE_SOURCE}`;

// The view computes a position, so a condition on it reaches no index. Here the segments are found
// by the position of their first message, and the partitions by the bounds kept beside them.
// Dynamic SQL, because only a plan made for the actual bounds leaves the other partitions out from
// the start.
const MESSAGES_BETWEEN = `
CREATE FUNCTION messages_between(channel text, first_position bigint, last_position bigint)
RETURNS TABLE (
  "position" bigint, session text, source text, sequence bigint,
  published_at timestamptz, archived_at timestamptz, payload bytea
)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
DECLARE
  wanted int;
  lowest timestamptz;
  beyond timestamptz;
BEGIN
  SELECT c.channel_id INTO wanted FROM channels c WHERE c.name = messages_between.channel;
  SELECT min(b.partition_start), max(b.partition_start) + interval '24 hours'
    INTO lowest, beyond
  FROM partition_bounds b
  WHERE b.channel_id = wanted
    AND b.last_position >= messages_between.first_position
    AND b.first_position <= messages_between.last_position;
  RETURN QUERY EXECUTE $query$
SELECT * FROM (
SELECT ${MESSAGE_COLUMNS.trim()}
FROM segments s${MESSAGE_SOURCE}
WHERE s.channel_id = $1
  AND s.archived_at >= $2 AND s.archived_at < $3
  AND s.first_position BETWEEN $4 - ${SEGMENT_MESSAGES_MAX - 1} AND $5
) found
WHERE found.position BETWEEN $4 AND $5
ORDER BY found.position
$query$ USING wanted, lowest, beyond,
              messages_between.first_position, messages_between.last_position;
END
$$`;

const FUNCTIONS = [EXPAND_RUNS, MESSAGES_BETWEEN];
