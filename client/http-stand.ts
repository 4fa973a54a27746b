// Where the archive and the sessions of a channel stand, from the lists of the replay API.

import { isSessionId, parseInstant, type SessionId } from '#base/mod.ts';
import { askForJson, type ReplayApi, unreachableApi } from './http-request.ts';
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
const PAGE_SESSIONS = 10_000;

/** The answer; see ArchiveStand. Errors: those of askReplayApi. */
export async function askForStand(api: ReplayApi, question: StandQuestion): Promise<ArchiveStand> {
  const { channel, signal } = question;
  const path = `/v1/channels/${channel}`;
  const { archivedThrough } = await askForJson(api, { path, signal });
  const wanted = new Set(question.sessions);
  const sessions: SessionStand[] = [];
  let next: unknown = `${path}/sessions?limit=${PAGE_SESSIONS}`;
  while (typeof next === 'string') {
    const page = await askForJson(api, { path: next, signal });
    const { items: listed } = page;
    if (!Array.isArray(listed))
      throw unreachableApi(api.url, 'it answers with something else than a list', undefined);
    for (const session of listed as readonly Readonly<Record<string, unknown>>[]) {
      const stand = standOf(session);
      const isYoung = (parseInstant(String(session['openedAt'])) ?? 0) >= question.openedFromUs;
      if (stand === undefined) continue;
      if (stand.state === 'open' || isYoung || wanted.has(stand.session)) sessions.push(stand);
    }
    next = page['next'];
  }
  return { archivedThrough: Number(archivedThrough), sessions };
}

function standOf(listed: Readonly<Record<string, unknown>>): SessionStand | undefined {
  const { session, watermark, state } = listed;
  if (typeof session !== 'string' || !isSessionId(session)) return undefined;
  const source = typeof listed['source'] === 'string' ? listed['source'] : undefined;
  return { session, source, watermark: Number(watermark), state: state as SessionStand['state'] };
}
