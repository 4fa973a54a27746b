// The tables through which archivers of the same channels know of each other.

/**
 * Who could write a channel, when it was last there, when it last heard the channel, and how far it
 * had got by then: what it had heard, and what of that a crash of its own would not take.
 */
export const CANDIDATES = `
CREATE TABLE candidates (
  seen_at timestamptz NOT NULL,
  heard_at timestamptz NOT NULL,
  received_position bigint NOT NULL,
  spooled_position bigint NOT NULL,
  channel_id int NOT NULL CONSTRAINT candidates_channel_fk REFERENCES channels,
  holder text NOT NULL,
  CONSTRAINT candidates_pk PRIMARY KEY (channel_id, holder)
)`;

/**
 * Messages that were declared lost and that another archiver has, until the one who writes has
 * taken them. The content is one entry of a spool.
 */
export const HEAL_OFFERS = `
CREATE TABLE heal_offers (
  session_id bigint NOT NULL,
  first_sequence bigint NOT NULL,
  last_sequence bigint NOT NULL,
  offered_at timestamptz NOT NULL,
  channel_id int NOT NULL CONSTRAINT heal_offers_channel_fk REFERENCES channels,
  offered_by text NOT NULL,
  content bytea NOT NULL,
  CONSTRAINT heal_offers_pk PRIMARY KEY (channel_id, session_id, first_sequence, offered_by),
  CONSTRAINT heal_offers_range_check
    CHECK (first_sequence >= 1 AND last_sequence >= first_sequence)
)`;
