// What the replay API takes as parameters and bodies.
// Written by replay-api/write-client-types.ts; do not edit.

/** Which channels. */
export interface ChannelsQuery {
  /** Goes on where a page ended: see its `next`. */
  readonly cursor?: string | undefined;
  /** Items in a page, 100 if not given. */
  readonly limit?: number | undefined;
}

/** Which sessions. */
export interface SessionsQuery {
  /** open: heard of lately. closed: its publisher said goodbye. expired: it fell silent. */
  readonly state?: 'open' | 'closed' | 'expired' | undefined;
  /** One incarnation of a publisher: 16 lower-case hex digits. */
  readonly session?: string | undefined;
  /** Goes on where a page ended: see its `next`. */
  readonly cursor?: string | undefined;
  /** Items in a page, 100 if not given. */
  readonly limit?: number | undefined;
}

/** Which losses, deletions, conflicts. */
export interface LossesQuery {
  /** One incarnation of a publisher: 16 lower-case hex digits. */
  readonly session?: string | undefined;
  /** Goes on where a page ended: see its `next`. */
  readonly cursor?: string | undefined;
  /** Items in a page, 100 if not given. */
  readonly limit?: number | undefined;
}

/** Which messages: by position and time, by session, or by a cursor. */
export interface MessagesQuery {
  /** Only positions after this one. */
  readonly after?: number | undefined;
  /** Only positions before this one. */
  readonly before?: number | undefined;
  /**
   * A position that was read before, such as that of `after`: if the archive ends before it, it
   * went back to an earlier moment, and the answer is a refusal (410) rather than one to wait for.
   * A cursor has it within.
   */
  readonly seenThrough?: number | undefined;
  /** Only messages published at this instant or later. */
  readonly from?: string | undefined;
  /** Only messages published before this instant. */
  readonly to?: string | undefined;
  /** Only messages archived, and losses declared, at this instant or later. */
  readonly archivedFrom?: string | undefined;
  /** Only messages archived, and losses declared, before this instant. */
  readonly archivedTo?: string | undefined;
  /** One incarnation of a publisher: 16 lower-case hex digits. */
  readonly session?: string | undefined;
  /** The first sequence of `session`; if not given, 1, or the first of a foreign source. */
  readonly first?: number | undefined;
  /** The last sequence of `session`; all that is archived if not given. */
  readonly last?: number | undefined;
  /**
   * Goes on where another answer ended; says by itself what was asked for there, so that none of
   * the parameters above may stand beside it.
   */
  readonly cursor?: string | undefined;
  /** Oldest first (the default) or newest first. */
  readonly order?: 'asc' | 'desc' | undefined;
  /** Messages in the answer. JSON: 100 if not given, at most 10000. Streams: all if not given. */
  readonly limit?: number | undefined;
  /** json: payloads that are JSON stand as JSON, in JSON and NDJSON. */
  readonly decode?: 'json' | undefined;
  /** true: NDJSON tells now and then how long it will take. */
  readonly estimate?: 'true' | 'false' | undefined;
}

/** Which ranges of which sessions. */
export interface FetchBody {
  readonly ranges: readonly {
    /** One incarnation of a publisher: 16 lower-case hex digits. */
    readonly session: string;
    /** The first sequence. */
    readonly first: number;
    /** The last sequence. */
    readonly last: number;
  }[];
}

/** Which range of which session. */
export interface CompletenessQuery {
  /** One incarnation of a publisher: 16 lower-case hex digits. */
  readonly session: string;
  /** The first sequence of the range; if not given, 1, or the first of a foreign source. */
  readonly first?: number | undefined;
  /** The last sequence of the range; the highest known to exist if not given. */
  readonly last?: number | undefined;
}

/** Where a tail begins. */
export interface TailQuery {
  /**
   * Begin behind this position; with what is archived next if not given. The header Last-Event-ID,
   * which a reader sends that connects again, goes before it.
   */
  readonly after?: number | undefined;
  /**
   * Begin where an answer about messages ended, in place of `after`. The question of that answer
   * must have been one of the channel, in ascending order and without an end.
   */
  readonly cursor?: string | undefined;
}

/** Which messages, and in which format. */
export interface ExportQuery {
  /** The format of the file. */
  readonly format: 'ndjson' | 'csv' | 'parquet';
  /** Only positions behind this one. */
  readonly after?: number | undefined;
  /** Only positions before this one. */
  readonly before?: number | undefined;
  /**
   * A position that was read before: if the archive ends before it, it went back to an earlier
   * moment, and the answer is a refusal (410).
   */
  readonly seenThrough?: number | undefined;
  /** Only messages published at this instant or later. */
  readonly from?: string | undefined;
  /** Only messages published before this instant. */
  readonly to?: string | undefined;
  /** One incarnation of a publisher: 16 lower-case hex digits. */
  readonly session?: string | undefined;
}

/** Which readings of messages. */
export interface AccessQuery {
  readonly channel?: string | undefined;
  /** As it stands in the list. */
  readonly who?: string | undefined;
  /** Only readings begun at this instant or later. */
  readonly from?: string | undefined;
  /** Only readings begun before this instant. */
  readonly to?: string | undefined;
  /** Goes on where a page ended: see its `next`. */
  readonly cursor?: string | undefined;
  /** Items in a page, 100 if not given. */
  readonly limit?: number | undefined;
}
