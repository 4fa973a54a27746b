// What the reads share of SQL: parameters that the driver would spoil, and what becomes of a
// failure.

import { type RawBuilder, sql } from 'kysely';
import { AssertionError, formatInstant, type SessionId } from '#base/mod.ts';
import { sessionParameter } from './database-types.ts';
import { toDatabaseError } from './sqlstate.ts';

/** Instants beyond these, the years 1700 and 2255, are not told apart: no publisher lives there. */
export const INSTANT_US_MIN = -8_520_336_000_000_000;
export const INSTANT_US_MAX: number = Number.MAX_SAFE_INTEGER;

/** `session` as the bigint that the tables hold. */
export function sessionKey(session: SessionId): RawBuilder<unknown> {
  return sql`${sessionParameter(session)}::bigint`;
}

/** `us` as a timestamptz. */
export function instantValue(us: number): RawBuilder<unknown> {
  return sql`${formatInstant(us)}::timestamptz`;
}

/** The rows of a running statement, or the BackcastError that its failure amounts to. */
export async function rowsOf<Row>(
  running: Promise<Row[] | { readonly rows: Row[] }>,
): Promise<Row[]> {
  const answer = await explained(running);
  return Array.isArray(answer) ? answer : answer.rows;
}

/** What `running` gives, or the BackcastError that its failure amounts to. */
export async function explained<Answer>(running: Promise<Answer>): Promise<Answer> {
  try {
    return await running;
  } catch (error) {
    if (error instanceof AssertionError) throw error;
    throw toDatabaseError(error, 'reading the archive');
  }
}
