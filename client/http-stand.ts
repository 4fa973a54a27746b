// Where the archive and the sessions of a channel stand, from the lists of the replay API.

import { isSessionId, parseInstant, type SessionId } from '#base/mod.ts';
import type { Channel, Session, SessionPage, SessionsQuery } from './contract.ts';
import { queryText } from './http-query.ts';
import { askForJson, type ReplayApi, type Unchecked, unreachableApi } from './http-request.ts';
import type { ArchiveStand, SessionStand } from './replay-source.ts';

/** Which stand. */
export interface StandQuestion {
  readonly channel: string;
  /** Told of even if they are over for long. */
  readonly sessions: readonly SessionId[];
  /** Those that the archive first heard later than this are told of as well. */
  readonly openedFromUs: number;
  readonly signal?: AbortSignal | undefined;
}

/** The most that the API gives at once. */
const OPEN_SESSIONS = 10_000;
/** Few begin within an hour; of many, one page more is asked for. */
const YOUNG_SESSIONS = 100;

/** The answer; see ArchiveStand. Errors: those of askReplayApi. */
export async function askForStand(api: ReplayApi, question: StandQuestion): Promise<ArchiveStand> {
  const { channel, signal } = question;
  const path = `/v1/channels/${channel}`;
  const { archivedThrough }: Unchecked<Channel> = await askForJson(api, { path, signal });
  const stands = new Map<SessionId, SessionStand>();
  const note = (listed: Unchecked<Session>): void => {
    const stand = standOf(listed);
    if (stand !== undefined) stands.set(stand.session, stand);
  };
  const list = (query: SessionsQuery) => listedSessions(api, question, query);
  for await (const listed of list({ state: 'open', limit: OPEN_SESSIONS })) note(listed);
  for await (const listed of list({ limit: YOUNG_SESSIONS })) {
    const isYoung = (parseInstant(String(listed.openedAt)) ?? 0) >= question.openedFromUs;
    if (!isYoung) break;
    note(listed);
  }
  for (const session of question.sessions) {
    if (stands.has(session)) continue;
    for await (const listed of list({ session })) note(listed);
  }
  return { archivedThrough: Number(archivedThrough), sessions: [...stands.values()] };
}

/** What `query` lists, the latest first, page after page as it is wanted. */
async function* listedSessions(
  api: ReplayApi,
  { channel, signal }: StandQuestion,
  query: SessionsQuery,
): AsyncGenerator<Unchecked<Session>, void, void> {
  let next: unknown = `/v1/channels/${channel}/sessions${queryText(query)}`;
  while (typeof next === 'string') {
    const page: Unchecked<SessionPage> = await askForJson(api, { path: next, signal });
    if (!Array.isArray(page.items))
      throw unreachableApi(api.url, 'it answers with something else than a list', undefined);
    yield* page.items as readonly Unchecked<Session>[];
    next = page.next;
  }
}

function standOf(listed: Unchecked<Session>): SessionStand | undefined {
  const { session, watermark, state } = listed;
  if (typeof session !== 'string' || !isSessionId(session)) return undefined;
  const source = typeof listed.source === 'string' ? listed.source : undefined;
  return { session, source, watermark: Number(watermark), state: state as SessionStand['state'] };
}
