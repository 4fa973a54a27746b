// What the replay API answers about itself, and what is wrong.
// Written by replay-api/write-client-types.ts; do not edit.

/** An error that the replay API answers with. */
export type ProblemCode =
  | 'BACKCAST_RANGE_INVALID'
  | 'BACKCAST_RANGE_INVERTED'
  | 'BACKCAST_CHANNEL_NAME'
  | 'BACKCAST_CURSOR_INVALID'
  | 'BACKCAST_UNAUTHENTICATED'
  | 'BACKCAST_FORBIDDEN'
  | 'BACKCAST_CHANNEL_UNKNOWN'
  | 'BACKCAST_SESSION_UNKNOWN'
  | 'BACKCAST_NOT_FOUND'
  | 'BACKCAST_NOT_ACCEPTABLE'
  | 'BACKCAST_HISTORY_GONE'
  | 'BACKCAST_ARCHIVE_REWOUND'
  | 'BACKCAST_RATE_LIMITED'
  | 'BACKCAST_TOO_MANY_READERS'
  | 'BACKCAST_INTERNAL'
  | 'BACKCAST_DATABASE_REFUSED'
  | 'BACKCAST_DATABASE_UNREACHABLE'
  | 'BACKCAST_SCHEMA_MISSING'
  | 'BACKCAST_ISSUER_UNREACHABLE'
  | 'BACKCAST_BUSY';

/** What is wrong, after RFC 9457, with the code from the registry of errors. */
export interface Problem {
  /** A URN that names the kind of problem. */
  readonly type: string;
  /** The kind of problem in a sentence. */
  readonly title: string;
  /** The HTTP status. */
  readonly status: number;
  /** What is wrong with this request, and what to do. */
  readonly detail: string;
  /** The code to look up in the documentation of errors. */
  readonly code: ProblemCode;
  /** A URN of this request, as it stands in the log. */
  readonly instance: string;
  /** What there is instead of history that is gone. */
  readonly available?: {
    /** The first position that is kept. */
    readonly firstPosition: number | null;
    /** The last one. */
    readonly archivedThrough: number;
    /** The earliest publish time that is kept. */
    readonly publishedFrom: string | null;
    /** The latest one. */
    readonly publishedThrough: string | null;
  };
}

/** One reading of messages. */
export interface Access {
  /** The request, as it stands in the log and in the `instance` of problems. */
  readonly id: string;
  readonly channel: string;
  /** `token:ID`, `jwt:SUBJECT`, or `anybody` where no token is needed. */
  readonly who: string;
  /** The address from which it was asked. */
  readonly remote: string;
  /** What was done, by the operationId of this document. */
  readonly operation: string;
  /** What was asked for, cut at 1,000 characters. */
  readonly request: string;
  /** When the answer was begun. */
  readonly startedAt: string;
  /** When it had ended; null while it runs. */
  readonly endedAt: string | null;
  /**
   * running: under way, or its server did not live to say how it ended. complete: sent to its end.
   * aborted: ended before, by either side. revoked: cut because the right was gone.
   */
  readonly outcome: 'running' | 'complete' | 'aborted' | 'revoked';
  /** Messages that were handed over to be sent. Of what was aborted, fewer came. */
  readonly messages: number;
  /** The lowest position among them. */
  readonly firstPosition: number | null;
  /** The highest. */
  readonly lastPosition: number | null;
}

/** A page of readings. */
export interface AccessPage {
  readonly items: readonly Access[];
  /** Relative URL of the next page; null where the answer ends. */
  readonly next: string | null;
}

/** The process runs. */
export interface Health {
  readonly status: 'ok';
}

/** Whether requests can be answered, and how far the archive is behind. */
export interface Readiness {
  /** Whether requests can be answered. */
  readonly status: 'ready' | 'unready';
  /** Whether the database answers. */
  readonly database: 'reachable' | 'unreachable';
  /** Whether it has our tables. */
  readonly schema: 'current' | 'missing' | 'unknown';
  readonly archive: {
    /** Channels that are known. */
    readonly channels: number;
    /** Channels that an archiver holds now. */
    readonly channelsWritten: number;
    /** Sessions that are open. */
    readonly sessionsOpen: number;
    /**
     * Messages of open sessions that exist and are not archived yet; of foreign sources packets.
     */
    readonly messagesOutstanding: number;
  } | null;
  readonly durability: {
    /** degraded: the settings of the database allow a crash to lose what it has committed. */
    readonly state: 'durable' | 'degraded';
    /** Why it is degraded. */
    readonly reasons: readonly string[];
  } | null;
  /** What is wrong. */
  readonly detail: string | null;
}

/** Where to go. */
export interface Index {
  readonly name: 'backcast';
  readonly channels: string;
  readonly docs: string;
  readonly openapi: string;
  readonly health: string;
  readonly readiness: string;
}
