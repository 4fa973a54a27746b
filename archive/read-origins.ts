// Who publishes the sessions of an answer, for many readers who come one after the other. A name,
// once it is known, stays; so only of sessions that have none each reader asks for himself.

import type { SessionId } from '#base/mod.ts';
import { type Channel, loadOrigins, type SessionOrigin } from './read.ts';
import type { ReadDatabase } from './shared-reads.ts';

/** Where these sessions come from; one that the archive does not know is left out. */
export async function nameSessions(
  { database, shared }: ReadDatabase,
  channel: Channel,
  sessions: readonly SessionId[],
): Promise<Map<SessionId, SessionOrigin>> {
  if (shared === undefined) return loadOrigins(database, channel, sessions);
  const known = await loadOrigins(shared.settled('names'), channel, sessions);
  const nameless = sessions.filter((session) => (known.get(session)?.source ?? null) === null);
  return new Map([...known, ...(await loadOrigins(database, channel, nameless))]);
}
