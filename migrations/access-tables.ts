// Who may ask the replay API, and who read what. Tokens belong to no channel: they are few, and
// every node of a cluster has them all.

/**
 * The tokens that were ever made. A revoked one keeps its row: it tells what the past readings were
 * made with, and that the API is not open to everybody.
 */
export const TOKENS = `
CREATE TABLE tokens (
  created_at timestamptz NOT NULL,
  expires_at timestamptz,
  revoked_at timestamptz,
  token_id text NOT NULL,
  name text NOT NULL,
  secret_sha256 bytea NOT NULL,
  scopes text[] NOT NULL,
  CONSTRAINT tokens_pk PRIMARY KEY (token_id),
  CONSTRAINT tokens_secret_check CHECK (octet_length(secret_sha256) = 32),
  CONSTRAINT tokens_scopes_check CHECK (cardinality(scopes) >= 1)
)`;

/** One row for each answer with messages: begun with the answer, completed when it has ended. */
export const ACCESSES = `
CREATE TABLE accesses (
  started_at timestamptz NOT NULL,
  ended_at timestamptz,
  message_count bigint NOT NULL,
  first_position bigint,
  last_position bigint,
  access_id uuid NOT NULL,
  channel_id int NOT NULL CONSTRAINT accesses_channel_fk REFERENCES channels,
  outcome text NOT NULL,
  operation text NOT NULL,
  who text NOT NULL,
  remote text NOT NULL,
  request text NOT NULL,
  CONSTRAINT accesses_pk PRIMARY KEY (channel_id, started_at, access_id),
  CONSTRAINT accesses_count_check CHECK (message_count >= 0),
  CONSTRAINT accesses_outcome_check
    CHECK (outcome IN ('running', 'complete', 'aborted', 'revoked'))
)`;

/** The accesses of all channels are listed by when they began, and forgotten by it. */
export const ACCESSES_INDEX =
  'CREATE INDEX accesses_started_at ON accesses (started_at, access_id)';
