// The table of what was told twice with different bytes.

/** A conflict says that a publisher, a network or an archive is not to be trusted. */
export const CONFLICTS = `
CREATE TABLE conflicts (
  session_id bigint NOT NULL,
  first_sequence bigint NOT NULL,
  last_sequence bigint NOT NULL,
  detected_at timestamptz NOT NULL,
  channel_id int NOT NULL CONSTRAINT conflicts_channel_fk REFERENCES channels,
  archiver text NOT NULL,
  evidence text NOT NULL,
  stored_sha256 bytea,
  heard_sha256 bytea,
  CONSTRAINT conflicts_pk PRIMARY KEY (channel_id, session_id, first_sequence, detected_at),
  CONSTRAINT conflicts_range_check CHECK (first_sequence >= 1 AND last_sequence >= first_sequence)
)`;
