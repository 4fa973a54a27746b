// Keeps those apart who move rows that are stored: by merging segments, rewriting a day or emptying
// the DEFAULT partition. A lock of the server, so that it ends with the process that holds it; of a
// kind that excludes itself, and neither readers nor appends. It takes no transaction number, since
// a transaction that has one keeps what begins after it from being frozen.

/** Milliseconds to wait for it; a vacuum takes it too, and is done sooner. */
const MOVE_LOCK_MS_MAX = 1_000;

/** Statements that take the lock until the transaction ends, each without parameters. */
export const MOVE_LOCK: readonly string[] = [
  `SET LOCAL lock_timeout = ${MOVE_LOCK_MS_MAX}`,
  'LOCK TABLE partition_bounds IN SHARE UPDATE EXCLUSIVE MODE',
];
