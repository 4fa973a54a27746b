// What an error of PostgreSQL means for us: may the same statement succeed later, is the schema
// missing, or is something wrong until somebody mends it; and is it about this statement, or about
// the server. SQLSTATEs: PostgreSQL 18, appendix A. Nothing here decides by the code of a duplicate
// key, which a distributed server does not pass on.

import { BackcastError, rootMessage, toError } from '#base/mod.ts';
import type { ErrorCode } from '#base/mod.ts';

/** What to do after a failure. */
export type FailureKind = 'transient' | 'schema' | 'fatal';

const TRANSIENT_CLASSES = new Set([
  '08', // connection exception
  '28', // not let in: until the operator has mended it
  '3D', // database unknown: the same
  '40', // serialization failure, deadlock: the transaction was rolled back
  '53', // disk full, out of memory, too many connections
  '57', // cancelled, shut down, starting up
  '58', // input/output error of the server
  '72', // snapshot too old
]);

const TRANSIENT_STATES = new Set([
  '25006', // read-only: this server is not the primary any more, or not yet
  '55000', // the server, or the database, does not take this now: it recovers, or is closed
  '55006', // in use by somebody else
  '55P03', // lock_timeout
  '25P03', // idle_in_transaction_session_timeout
  '25P04', // transaction_timeout
]);

const SCHEMA_STATES = new Set([
  '42P01', // table unknown
  '42703', // column unknown
  '42883', // function unknown
  '42704', // type or other thing unknown
  '42804', // a column has another type
  '42P10', // no such key to conflict with
  '3F000', // schema unknown
]);

const SERVER_CLASSES = new Set(['08', '28', '3D', '53', '58']);
const SERVER_STATES = new Set([
  '25006',
  '55000',
  '55006',
  '57P01',
  '57P02',
  '57P03',
  '57P04',
  '57P05',
]);

/** The SQLSTATE of `error`, if the server sent one. */
export function sqlStateOf(error: unknown): string | undefined {
  const known = toError(error);
  const code = 'code' in known && typeof known.code === 'string' ? known.code : '';
  return /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]{4}$/.test(code) ? code : undefined;
}

/**
 * Whether and how the failure passes. An error without SQLSTATE is one of the connection:
 * transient.
 */
export function failureKind(error: unknown): FailureKind {
  const state = sqlStateOf(error);
  if (state === undefined) return 'transient';
  if (TRANSIENT_CLASSES.has(state.slice(0, 2)) || TRANSIENT_STATES.has(state)) return 'transient';
  return SCHEMA_STATES.has(state) ? 'schema' : 'fatal';
}

/** Whether a lock was not to be had in time, or was part of a deadlock: nothing was done. */
export function isInTheWay(error: unknown): boolean {
  return ['55P03', '40P01'].includes(sqlStateOf(error) ?? '');
}

/**
 * Whether the failure, or what caused it, is one of the connection or of the whole server, which
 * any other statement would meet as well. Else it is this statement's: what it writes, which rows
 * it must wait for, how long it takes.
 */
export function isOfServer(error: unknown): boolean {
  const state = sqlStateOf(error instanceof BackcastError ? (error.cause ?? error) : error);
  if (state === undefined) return true;
  return SERVER_CLASSES.has(state.slice(0, 2)) || SERVER_STATES.has(state);
}

/**
 * `error` as the BackcastError that a caller can act on: BACKCAST_DATABASE_UNREACHABLE (retry),
 * BACKCAST_SCHEMA_MISSING or BACKCAST_DATABASE_REFUSED. A BackcastError is returned as it is.
 */
export function toDatabaseError(error: unknown, doing: string): BackcastError {
  if (error instanceof BackcastError) return error;
  const reason = `${rootMessage(error)}${describeState(error)}`;
  const { code, advice } = ANSWERS[failureKind(error)];
  return new BackcastError(code, `${doing} failed: ${reason}.${advice}`, { cause: error });
}

const ANSWERS = {
  transient: { code: 'BACKCAST_DATABASE_UNREACHABLE', advice: '' },
  schema: { code: 'BACKCAST_SCHEMA_MISSING', advice: ' Run backcast migrate.' },
  fatal: { code: 'BACKCAST_DATABASE_REFUSED', advice: '' },
} as const satisfies Record<FailureKind, { readonly code: ErrorCode; readonly advice: string }>;

function describeState(error: unknown): string {
  const state = sqlStateOf(error);
  return state === undefined ? '' : ` (SQLSTATE ${state})`;
}
