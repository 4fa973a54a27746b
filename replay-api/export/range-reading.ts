// Reads what an export is about, in the order of the channel: the pages of a reading, of which only
// one session may be wanted, with the names of the publishers. While a page is used, the next one
// is being fetched; no connection is held between.

import { setImmediate as turn } from 'node:timers/promises';
import {
  type Channel,
  nameSessions,
  type MessagePage,
  type MessageReading,
  type PageEntry,
  type PositionRequest,
  type ReadDatabase,
} from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import type { ExportRange } from './types.ts';

/** Something of an export, and the name of its publisher. */
export interface SourcedEntry {
  readonly entry: PageEntry;
  readonly source: string | null;
}

/** What a page of a reading is made into. */
export interface PageSubject {
  readonly opened: ReadDatabase;
  readonly channel: Channel;
  /** The only session that is wanted; undefined for all. */
  readonly session: SessionId | undefined;
  /** The name of a publisher that was told before and must stay the same; undefined if none. */
  readonly sourceOf: (session: SessionId) => string | null | undefined;
}

/** Messages per page: more than a page ever holds, so that bytes decide. */
const PAGE_MESSAGES_MAX = Number.MAX_SAFE_INTEGER;

/** The request that reads `range`. */
export function toPositionRequest(range: ExportRange): PositionRequest {
  const { after, before, seenThrough, publishedFromUs, publishedToUs } = range;
  const positions = { after, before, seenThrough };
  return { kind: 'positions', ...positions, publishedFromUs, publishedToUs, order: 'asc' };
}

/** Everything that `reading` still gives, in order. */
export async function* readRange(
  reading: MessageReading,
  subject: PageSubject,
): AsyncGenerator<SourcedEntry> {
  yield* readPages(await reading.nextPage(PAGE_MESSAGES_MAX), reading, subject);
}

/** The same where the first page has been read already. */
export async function* readPages(
  first: MessagePage,
  reading: MessageReading,
  subject: PageSubject,
): AsyncGenerator<SourcedEntry> {
  const names = new Map<SessionId, string | null>();
  for (let page = first; ; ) {
    const following = page.isLast ? undefined : fetchAhead(reading);
    const entries = page.entries.filter(
      ({ session }) => subject.session === undefined || session === subject.session,
    );
    await learnNames(names, entries, subject);
    for (const entry of entries) yield { entry, source: names.get(entry.session) ?? null };
    if (following === undefined) return;
    page = await following;
    await turn();
  }
}

/** Its failure is felt where it is awaited. */
function fetchAhead(reading: MessageReading): Promise<MessagePage> {
  const page = reading.nextPage(PAGE_MESSAGES_MAX);
  page.catch(() => undefined);
  return page;
}

async function learnNames(
  names: Map<SessionId, string | null>,
  entries: readonly PageEntry[],
  { opened, channel, sourceOf }: PageSubject,
): Promise<void> {
  const unknown = new Set<SessionId>();
  for (const { session } of entries) {
    if (names.has(session)) continue;
    const told = sourceOf(session);
    if (told === undefined) unknown.add(session);
    else names.set(session, told);
  }
  const found = await nameSessions(opened, channel, [...unknown]);
  for (const session of unknown) names.set(session, found.get(session)?.source ?? null);
}
