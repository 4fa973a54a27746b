// What the API takes on at once, so that no number of readers, and no way of reading, costs the
// process more than it has. Each bound with the reason for its number; configuration changes some.

/** The bounds of one server. */
export interface ApiLimits {
  /** Answers with messages that may be under way at once. */
  readonly readersMax: number;
  /** Of these, for one caller: whoever a token names, or an address where there is none. */
  readonly readersPerCallerMax: number;
  /** The same of tails, which are live for most of their time and hold little. */
  readonly tails: Pick<ApiLimits, 'readersMax' | 'readersPerCallerMax'>;
  /** How long a reader may take nothing at all before he is cut off. */
  readonly stallMsMax: number;
  /** Requests from one address in a second. */
  readonly requestsPerSecMax: number;
  /** Connections that are open at once; further ones are closed without an answer. */
  readonly connectionsMax: number;
  /** Memory for what readers share. */
  readonly sharedBytesMax: number;
}

/** What holds where nothing else is said. */
export const API_LIMITS_DEFAULT: ApiLimits = {
  // Each of a mebibyte while it waits.
  readersMax: 256,
  // A site of fifty instances that come back at once with one token, twice.
  readersPerCallerMax: 128,
  tails: { readersMax: 1_024, readersPerCallerMax: 512 },
  stallMsMax: 10_000,
  // Ten times what one who follows "next" can ask for.
  requestsPerSecMax: 5_000,
  // Four for each reader, most of them idle; a connection at rest costs some kilobytes.
  connectionsMax: 4_096,
  // Half a million messages of 140 bytes: seconds of what one reader takes.
  sharedBytesMax: 64 * 1_048_576,
};
