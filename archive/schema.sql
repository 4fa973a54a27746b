-- What all migrations together make, in a database with compression 'none'.
-- Written by archive/dump-schema.ts; do not edit.

CREATE TABLE accesses (
  started_at timestamp with time zone NOT NULL,
  ended_at timestamp with time zone,
  message_count bigint NOT NULL,
  first_position bigint,
  last_position bigint,
  access_id uuid NOT NULL,
  channel_id integer NOT NULL,
  outcome text NOT NULL,
  operation text NOT NULL,
  who text NOT NULL,
  remote text NOT NULL,
  request text NOT NULL,
  CONSTRAINT accesses_pk PRIMARY KEY (channel_id, started_at, access_id),
  CONSTRAINT accesses_channel_fk FOREIGN KEY (channel_id) REFERENCES channels(channel_id),
  CONSTRAINT accesses_count_check CHECK ((message_count >= 0)),
  CONSTRAINT accesses_outcome_check CHECK ((outcome = ANY (ARRAY['running'::text, 'complete'::text, 'aborted'::text, 'revoked'::text])))
);

CREATE TABLE candidates (
  seen_at timestamp with time zone NOT NULL,
  heard_at timestamp with time zone NOT NULL,
  received_position bigint NOT NULL,
  spooled_position bigint NOT NULL,
  channel_id integer NOT NULL,
  holder text NOT NULL,
  CONSTRAINT candidates_pk PRIMARY KEY (channel_id, holder),
  CONSTRAINT candidates_channel_fk FOREIGN KEY (channel_id) REFERENCES channels(channel_id)
);

CREATE TABLE channels (
  channel_id integer NOT NULL GENERATED ALWAYS AS IDENTITY,
  port integer NOT NULL,
  dport integer NOT NULL,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  name text NOT NULL,
  group_address text NOT NULL,
  framing text NOT NULL,
  CONSTRAINT channels_name_unique UNIQUE (name),
  CONSTRAINT channels_pk PRIMARY KEY (channel_id),
  CONSTRAINT channels_dport_check CHECK (((dport >= 1) AND (dport <= 65535))),
  CONSTRAINT channels_framing_check CHECK ((framing = ANY (ARRAY['native'::text, 'raw'::text, 'zmq'::text]))),
  CONSTRAINT channels_port_check CHECK (((port >= 1) AND (port <= 65535)))
);

CREATE TABLE conflicts (
  session_id bigint NOT NULL,
  first_sequence bigint NOT NULL,
  last_sequence bigint NOT NULL,
  detected_at timestamp with time zone NOT NULL,
  channel_id integer NOT NULL,
  archiver text NOT NULL,
  evidence text NOT NULL,
  stored_sha256 bytea,
  heard_sha256 bytea,
  CONSTRAINT conflicts_pk PRIMARY KEY (channel_id, session_id, first_sequence, detected_at),
  CONSTRAINT conflicts_channel_fk FOREIGN KEY (channel_id) REFERENCES channels(channel_id),
  CONSTRAINT conflicts_range_check CHECK (((first_sequence >= 1) AND (last_sequence >= first_sequence)))
);

CREATE TABLE deletions (
  session_id bigint NOT NULL,
  first_sequence bigint NOT NULL,
  last_sequence bigint NOT NULL,
  first_position bigint NOT NULL,
  last_position bigint NOT NULL,
  message_count bigint NOT NULL,
  min_published_at timestamp with time zone NOT NULL,
  max_published_at timestamp with time zone NOT NULL,
  deleted_at timestamp with time zone NOT NULL,
  channel_id integer NOT NULL,
  policy text NOT NULL,
  CONSTRAINT deletions_pk PRIMARY KEY (channel_id, session_id, first_sequence),
  CONSTRAINT deletions_channel_fk FOREIGN KEY (channel_id) REFERENCES channels(channel_id),
  CONSTRAINT deletions_count_check CHECK (((message_count >= 1) AND (message_count <= (LEAST((last_sequence - first_sequence), (last_position - first_position)) + 1)))),
  CONSTRAINT deletions_position_check CHECK (((first_position >= 1) AND (last_position >= first_position))),
  CONSTRAINT deletions_range_check CHECK (((first_sequence >= 1) AND (last_sequence >= first_sequence)))
);

CREATE TABLE heal_offers (
  session_id bigint NOT NULL,
  first_sequence bigint NOT NULL,
  last_sequence bigint NOT NULL,
  offered_at timestamp with time zone NOT NULL,
  channel_id integer NOT NULL,
  offered_by text NOT NULL,
  content bytea NOT NULL,
  CONSTRAINT heal_offers_pk PRIMARY KEY (channel_id, session_id, first_sequence, offered_by),
  CONSTRAINT heal_offers_channel_fk FOREIGN KEY (channel_id) REFERENCES channels(channel_id),
  CONSTRAINT heal_offers_range_check CHECK (((first_sequence >= 1) AND (last_sequence >= first_sequence)))
);

CREATE TABLE holds (
  from_time timestamp with time zone NOT NULL,
  to_time timestamp with time zone,
  created_at timestamp with time zone NOT NULL,
  channel_id integer NOT NULL,
  name text NOT NULL,
  reason text NOT NULL,
  CONSTRAINT holds_pk PRIMARY KEY (channel_id, name),
  CONSTRAINT holds_channel_fk FOREIGN KEY (channel_id) REFERENCES channels(channel_id),
  CONSTRAINT holds_interval_check CHECK ((to_time > from_time))
);

CREATE TABLE leases (
  epoch bigint NOT NULL,
  head bigint NOT NULL,
  commits bigint NOT NULL,
  expires_at timestamp with time zone NOT NULL,
  channel_id integer NOT NULL,
  holder text,
  CONSTRAINT leases_pk PRIMARY KEY (channel_id),
  CONSTRAINT leases_channel_fk FOREIGN KEY (channel_id) REFERENCES channels(channel_id),
  CONSTRAINT leases_head_check CHECK ((head >= 0))
);

CREATE TABLE losses (
  session_id bigint NOT NULL,
  first_sequence bigint NOT NULL,
  last_sequence bigint NOT NULL,
  after_position bigint NOT NULL,
  first_sqn bigint,
  next_sqn bigint NOT NULL,
  packet_count bigint,
  healed_position bigint,
  detected_at timestamp with time zone NOT NULL,
  declared_at timestamp with time zone NOT NULL,
  healed_at timestamp with time zone,
  channel_id integer NOT NULL,
  cause text NOT NULL,
  healed_by text,
  CONSTRAINT losses_pk PRIMARY KEY (channel_id, session_id, first_sequence),
  CONSTRAINT losses_channel_fk FOREIGN KEY (channel_id) REFERENCES channels(channel_id),
  CONSTRAINT losses_cause_check CHECK ((cause = ANY (ARRAY['repair_expired'::text, 'source_gone'::text, 'recorder_overrun'::text, 'spool_full'::text, 'late_join'::text, 'resync'::text, 'corrupt'::text, 'unauthenticated'::text]))),
  CONSTRAINT losses_healed_check CHECK (((healed_at IS NULL) = (healed_position IS NULL))),
  CONSTRAINT losses_range_check CHECK (((first_sequence >= 1) AND (last_sequence >= first_sequence)))
);

CREATE TABLE partition_bounds (
  partition_start timestamp with time zone NOT NULL,
  first_position bigint NOT NULL,
  last_position bigint NOT NULL,
  min_published_at timestamp with time zone NOT NULL,
  max_published_at timestamp with time zone NOT NULL,
  message_count bigint NOT NULL,
  payload_bytes bigint NOT NULL,
  channel_id integer NOT NULL,
  compacted_through bigint NOT NULL DEFAULT 0,
  CONSTRAINT partition_bounds_pk PRIMARY KEY (channel_id, partition_start),
  CONSTRAINT partition_bounds_channel_fk FOREIGN KEY (channel_id) REFERENCES channels(channel_id)
);

CREATE TABLE segment_sessions (
  session_id bigint NOT NULL,
  first_sequence bigint NOT NULL,
  last_sequence bigint NOT NULL,
  first_position bigint NOT NULL,
  archived_at timestamp with time zone NOT NULL,
  channel_id integer NOT NULL,
  is_healed boolean NOT NULL,
  CONSTRAINT segment_sessions_pk PRIMARY KEY (channel_id, session_id, first_sequence, archived_at),
  CONSTRAINT segment_sessions_range_check CHECK (((first_sequence >= 1) AND (last_sequence >= first_sequence)))
) PARTITION BY RANGE (archived_at);

CREATE TABLE segments (
  first_position bigint NOT NULL,
  archived_at timestamp with time zone NOT NULL,
  min_published_at timestamp with time zone NOT NULL,
  max_published_at timestamp with time zone NOT NULL,
  payload_bytes bigint NOT NULL,
  channel_id integer NOT NULL,
  message_count integer NOT NULL,
  run_session bigint[] NOT NULL,
  run_first bigint[] NOT NULL,
  run_length integer[] NOT NULL,
  published_at timestamp with time zone[] STORAGE EXTERNAL NOT NULL,
  payload bytea[] STORAGE EXTERNAL NOT NULL,
  run_last bigint[],
  run_archived_at timestamp with time zone[],
  CONSTRAINT segments_pk PRIMARY KEY (channel_id, first_position, archived_at),
  CONSTRAINT segments_count_check CHECK (((message_count >= 1) AND (message_count <= 4096))),
  CONSTRAINT segments_position_check CHECK ((first_position >= 1))
) PARTITION BY RANGE (archived_at);

CREATE TABLE sessions (
  session_id bigint NOT NULL,
  first_archived bigint NOT NULL,
  watermark bigint NOT NULL,
  lead bigint NOT NULL,
  resume_sqn bigint NOT NULL,
  opened_at timestamp with time zone NOT NULL,
  seen_at timestamp with time zone NOT NULL,
  closed_at timestamp with time zone,
  channel_id integer NOT NULL,
  is_foreign boolean NOT NULL,
  state text NOT NULL,
  tsi text NOT NULL,
  source text,
  CONSTRAINT sessions_pk PRIMARY KEY (channel_id, session_id),
  CONSTRAINT sessions_channel_fk FOREIGN KEY (channel_id) REFERENCES channels(channel_id),
  CONSTRAINT sessions_session_check CHECK ((session_id > 0)),
  CONSTRAINT sessions_state_check CHECK ((state = ANY (ARRAY['open'::text, 'closed'::text, 'expired'::text]))),
  CONSTRAINT sessions_watermark_check CHECK (((first_archived >= 1) AND (watermark >= (first_archived - 1))))
);

CREATE TABLE tokens (
  created_at timestamp with time zone NOT NULL,
  expires_at timestamp with time zone,
  revoked_at timestamp with time zone,
  token_id text NOT NULL,
  name text NOT NULL,
  secret_sha256 bytea NOT NULL,
  scopes text[] NOT NULL,
  CONSTRAINT tokens_pk PRIMARY KEY (token_id),
  CONSTRAINT tokens_scopes_check CHECK ((cardinality(scopes) >= 1)),
  CONSTRAINT tokens_secret_check CHECK ((octet_length(secret_sha256) = 32))
);

CREATE INDEX accesses_started_at ON public.accesses USING btree (started_at, access_id);

CREATE INDEX deletions_last_position ON public.deletions USING btree (channel_id, last_position);

CREATE INDEX losses_after_position ON public.losses USING btree (channel_id, after_position);

CREATE INDEX losses_healed_position ON public.losses USING btree (channel_id, healed_position) WHERE (healed_position IS NOT NULL);

CREATE OR REPLACE FUNCTION public.expand_runs(run_session bigint[], run_first bigint[], run_length integer[], run_archived_at timestamp with time zone[])
 RETURNS TABLE(session_id bigint, sequence bigint, archived_at timestamp with time zone)
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
AS $function$
  SELECT run.session_id, run.first_sequence + step, run.archived_at
  FROM unnest(run_session, run_first, run_length, run_archived_at) WITH ORDINALITY
         AS run (session_id, first_sequence, length, archived_at, ordinal),
       generate_series(0, run.length - 1) AS step
  ORDER BY run.ordinal, step
$function$;

CREATE OR REPLACE FUNCTION public.messages_between(channel text, first_position bigint, last_position bigint)
 RETURNS TABLE("position" bigint, session text, source text, sequence bigint, published_at timestamp with time zone, archived_at timestamp with time zone, payload bytea)
 LANGUAGE plpgsql
 STABLE
AS $function$
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
SELECT s.first_position + message.ordinal - 1 AS position,
       lpad(to_hex(message.session_id), 16, '0') AS session,
       origin.source,
       message.sequence,
       message.published_at,
       coalesce(message.archived_at, s.archived_at) AS archived_at,
       message.payload
FROM segments s
CROSS JOIN LATERAL ROWS FROM (
       unnest(s.payload, s.published_at),
       expand_runs(s.run_session, s.run_first, s.run_length, s.run_archived_at)
     ) WITH ORDINALITY
       AS message (payload, published_at, session_id, sequence, archived_at, ordinal)
LEFT JOIN sessions origin
       ON origin.channel_id = s.channel_id AND origin.session_id = message.session_id
WHERE s.channel_id = $1
  AND s.archived_at >= $2 AND s.archived_at < $3
  AND s.first_position BETWEEN $4 - 4095 AND $5
) found
WHERE found.position BETWEEN $4 AND $5
ORDER BY found.position
$query$ USING wanted, lowest, beyond,
              messages_between.first_position, messages_between.last_position;
END
$function$;

CREATE VIEW messages AS
 SELECT c.name AS channel,
    s.channel_id,
    s.first_position + message.ordinal - 1 AS "position",
    lpad(to_hex(message.session_id), 16, '0'::text) AS session,
    origin.source,
    message.sequence,
    message.published_at,
    COALESCE(message.archived_at, s.archived_at) AS archived_at,
    message.payload
   FROM segments s
     JOIN channels c ON c.channel_id = s.channel_id
     CROSS JOIN LATERAL ROWS FROM(unnest(s.payload), unnest(s.published_at), expand_runs(s.run_session, s.run_first, s.run_length, s.run_archived_at)) WITH ORDINALITY message(payload, published_at, session_id, sequence, archived_at, ordinal)
     LEFT JOIN sessions origin ON origin.channel_id = s.channel_id AND origin.session_id = message.session_id;
