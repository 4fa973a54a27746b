// The registry of errors: code · sentence · who can mend it · retryable · HTTP status · exit code
// class. A test holds that docs/errors.md and this table name exactly the same codes.

/** What is known of an error before it happens. */
export interface ErrorEntry {
  /** One sentence in the present tense: the problem's title in problem+json. */
  readonly title: string;
  /**
   * Who can mend it: the caller of the command or API, the operator of this host, or a peer's
   * operator.
   */
  readonly mendedBy: 'caller' | 'operator' | 'peer';
  readonly retryable: boolean;
  readonly httpStatus: number;
}

function entry(
  title: string,
  mendedBy: ErrorEntry['mendedBy'],
  retryable: boolean,
  httpStatus: number,
): ErrorEntry {
  return { title, mendedBy, retryable, httpStatus };
}

/** Every error that Backcast can report. */
export const ERRORS = {
  BACKCAST_CONFIG_INVALID: entry('The configuration is not valid.', 'operator', false, 500),
  BACKCAST_USAGE: entry('The command line is not valid.', 'caller', false, 400),
  BACKCAST_HOME_UNUSABLE: entry('The home folder cannot be used.', 'operator', false, 500),
  BACKCAST_POSTGRES_START: entry('The embedded PostgreSQL does not start.', 'operator', false, 500),
  BACKCAST_DATABASE_UNREACHABLE: entry('The database cannot be reached.', 'operator', true, 503),
  BACKCAST_DATABASE_REFUSED: entry('The database refuses the statement.', 'operator', false, 500),
  BACKCAST_POOLER_UNFIT: entry(
    'A connection pooler stands before the database that keeps no sessions.',
    'operator',
    false,
    500,
  ),
  BACKCAST_SCHEMA_MISSING: entry(
    'The database does not have the current schema.',
    'operator',
    false,
    503,
  ),
  BACKCAST_CITUS_MISSING: entry(
    'The database is not on the coordinator of a Citus cluster.',
    'operator',
    false,
    500,
  ),
  BACKCAST_LEASE_HELD: entry('Another archiver writes this channel.', 'operator', true, 409),
  BACKCAST_REDIS_UNREACHABLE: entry('Redis cannot be reached.', 'operator', true, 503),
  BACKCAST_REGISTRY_INVALID: entry(
    'The registry holds an answer that cannot be used.',
    'operator',
    false,
    500,
  ),
  BACKCAST_POOL_EXHAUSTED: entry(
    'No multicast address is left in the pool.',
    'operator',
    false,
    507,
  ),
  BACKCAST_CHANNEL_FULL: entry(
    'The channel has as many members as it may have.',
    'operator',
    true,
    507,
  ),
  BACKCAST_CHANNEL_NAME: entry('The channel name is not valid.', 'caller', false, 400),
  BACKCAST_CHANNEL_UNKNOWN: entry('The channel is not known.', 'caller', false, 404),
  BACKCAST_FRAMING_CHANGED: entry(
    'The channel is archived with another framing.',
    'operator',
    false,
    409,
  ),
  BACKCAST_SESSION_UNKNOWN: entry(
    'The session is not known on this channel.',
    'caller',
    false,
    404,
  ),
  BACKCAST_INTERFACE_UNUSABLE: entry(
    'The network interface cannot be used for multicast.',
    'operator',
    false,
    500,
  ),
  BACKCAST_KEYS_INVALID: entry('The authentication keys cannot be used.', 'operator', false, 500),
  BACKCAST_KEYS_MISSING: entry(
    'The channel requires authentication, and there are no keys.',
    'operator',
    false,
    500,
  ),
  BACKCAST_PORT_IN_USE: entry('The port is in use.', 'operator', false, 500),
  BACKCAST_MESSAGE_TOO_LARGE: entry(
    'The message is larger than the channel allows.',
    'caller',
    false,
    413,
  ),
  BACKCAST_PUBLISHER_CLOSED: entry('The publisher is closed.', 'caller', false, 409),
  BACKCAST_PUBLISH_TIMEOUT: entry('The message was not taken in time.', 'operator', true, 503),
  BACKCAST_ARCHIVE_TIMEOUT: entry(
    'The message is not known to be archived in time.',
    'operator',
    false,
    504,
  ),
  BACKCAST_ARCHIVE_UNKNOWN: entry(
    'Nobody can tell any more whether the message is archived.',
    'operator',
    false,
    500,
  ),
  BACKCAST_MESSAGE_LOST: entry('The archive has lost the message.', 'operator', false, 500),
  BACKCAST_RANGE_INVALID: entry('A parameter is not valid.', 'caller', false, 400),
  BACKCAST_RANGE_INVERTED: entry('The range ends before it begins.', 'caller', false, 422),
  BACKCAST_CURSOR_INVALID: entry('The cursor is not valid here.', 'caller', false, 400),
  BACKCAST_HISTORY_GONE: entry('This part of the history is no longer kept.', 'caller', false, 410),
  BACKCAST_ARCHIVE_REWOUND: entry(
    'The archive ends before what was read of it.',
    'caller',
    false,
    410,
  ),
  BACKCAST_HOLD_EXISTS: entry('The channel has a hold of this name.', 'caller', false, 409),
  BACKCAST_HOLD_UNKNOWN: entry('The channel has no hold of this name.', 'caller', false, 404),
  BACKCAST_RETENTION_BUSY: entry(
    'Another process deletes old messages at the moment.',
    'caller',
    true,
    409,
  ),
  BACKCAST_NOT_FOUND: entry('There is nothing at this address.', 'caller', false, 404),
  BACKCAST_NOT_ACCEPTABLE: entry(
    'None of the accepted media types can be served.',
    'caller',
    false,
    406,
  ),
  BACKCAST_TOO_MANY_READERS: entry('The caller reads too much at once.', 'caller', true, 429),
  BACKCAST_RATE_LIMITED: entry('The caller asks too often.', 'caller', true, 429),
  BACKCAST_UNAUTHENTICATED: entry('The request carries no valid token.', 'caller', false, 401),
  BACKCAST_FORBIDDEN: entry('The token does not allow this.', 'caller', false, 403),
  BACKCAST_TOKEN_UNKNOWN: entry('There is no token of this id.', 'caller', false, 404),
  BACKCAST_ISSUER_UNREACHABLE: entry(
    'The keys of the token issuer cannot be had.',
    'operator',
    true,
    503,
  ),
  BACKCAST_API_OPEN: entry(
    'Without a token the replay API listens on the loopback interface only.',
    'operator',
    false,
    500,
  ),
  BACKCAST_TLS_UNUSABLE: entry(
    'The certificate or the key of the replay API cannot be used.',
    'operator',
    false,
    500,
  ),
  BACKCAST_BUSY: entry('Too many readers are being served at once.', 'caller', true, 503),
  BACKCAST_API_UNREACHABLE: entry('The replay API cannot be reached.', 'operator', true, 503),
  BACKCAST_ANSWER_TRUNCATED: entry(
    'The answer ended before its end record.',
    'operator',
    true,
    502,
  ),
  BACKCAST_RECOVERY_STALLED: entry(
    'The archive does not bring what a subscription needs.',
    'operator',
    true,
    504,
  ),
  BACKCAST_SPOOL_UNUSABLE: entry('The spool cannot be used.', 'operator', false, 500),
  BACKCAST_EXPORT_FOLDER: entry(
    'The folder cannot take or give the export.',
    'operator',
    false,
    500,
  ),
  BACKCAST_EXPORT_OTHER: entry('The folder holds something else.', 'caller', false, 409),
  BACKCAST_EXPORT_DAMAGED: entry('The export is not what was written.', 'caller', false, 500),
  BACKCAST_AUDIT_FAILED: entry('A sequence is not accounted for.', 'operator', false, 500),
  BACKCAST_DEMO_FAILED: entry('The demonstration did not get to its end.', 'operator', true, 500),
  BACKCAST_INTERNAL: entry('Backcast has a bug.', 'operator', false, 500),
} as const satisfies Record<string, ErrorEntry>;

/** One of the codes above. */
export type ErrorCode = keyof typeof ERRORS;
