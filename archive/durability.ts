// Whether the server keeps what it has committed. An archive on a server that may forget is still
// written and served, but it says so wherever it says how far it is. What the archiver can set
// itself (synchronous_commit) it sets in every transaction.

import { sql } from 'kysely';
import type { ArchiveDatabase } from './connect.ts';
import { rowsOf } from './read-sql.ts';

/** What is known of the server's settings. */
export interface Durability {
  readonly state: 'durable' | 'degraded';
  /** Why it is degraded: a sentence for each setting, with what to do. */
  readonly reasons: readonly string[];
}

/** Settings that must be on, and what may happen while one is off. */
const REQUIRED: Readonly<Record<string, string>> = {
  fsync: 'a crash of the host may lose or destroy what was committed',
  full_page_writes: 'a crash of the host may leave pages half written, with what they hold',
};

/** Asks the server. Errors: BACKCAST_DATABASE_UNREACHABLE. */
export async function readDurability(db: ArchiveDatabase): Promise<Durability> {
  const off = await rowsOf(
    sql<{ name: string }>`SELECT name FROM pg_settings
      WHERE name = ANY (${Object.keys(REQUIRED)}) AND setting = 'off' ORDER BY name`.execute(db),
  );
  const reasons = off.map(({ name }) => {
    return `${name} is off: ${REQUIRED[name]}. Set ${name} = on and reload the server.`;
  });
  return { state: reasons.length === 0 ? 'durable' : 'degraded', reasons };
}
