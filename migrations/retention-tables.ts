// What retention leaves behind: which sequences were deleted by policy, so that a range answers
// `deleted` and not `missing`, and the legal holds that retention does not pass.

/** Sequences of a session that were archived, and deleted by a policy since. */
export const DELETIONS = `
CREATE TABLE deletions (
  session_id bigint NOT NULL,
  first_sequence bigint NOT NULL,
  last_sequence bigint NOT NULL,
  first_position bigint NOT NULL,
  last_position bigint NOT NULL,
  message_count bigint NOT NULL,
  min_published_at timestamptz NOT NULL,
  max_published_at timestamptz NOT NULL,
  deleted_at timestamptz NOT NULL,
  channel_id int NOT NULL CONSTRAINT deletions_channel_fk REFERENCES channels,
  policy text NOT NULL,
  CONSTRAINT deletions_pk PRIMARY KEY (channel_id, session_id, first_sequence),
  CONSTRAINT deletions_range_check
    CHECK (first_sequence >= 1 AND last_sequence >= first_sequence),
  CONSTRAINT deletions_position_check
    CHECK (first_position >= 1 AND last_position >= first_position),
  CONSTRAINT deletions_count_check CHECK (message_count BETWEEN 1 AND
    least(last_sequence - first_sequence, last_position - first_position) + 1)
)`;

/** Reading by position finds deletions by where they end. */
export const DELETIONS_INDEX =
  'CREATE INDEX deletions_last_position ON deletions (channel_id, last_position)';

/** Intervals of a channel that no policy may touch; without an end until the hold is removed. */
export const HOLDS = `
CREATE TABLE holds (
  from_time timestamptz NOT NULL,
  to_time timestamptz,
  created_at timestamptz NOT NULL,
  channel_id int NOT NULL CONSTRAINT holds_channel_fk REFERENCES channels,
  name text NOT NULL,
  reason text NOT NULL,
  CONSTRAINT holds_pk PRIMARY KEY (channel_id, name),
  CONSTRAINT holds_interval_check CHECK (to_time > from_time)
)`;
