// An export as one file that is sent while it is read: the messages, and in NDJSON and CSV what is
// missing where it lies, and an end that says what it came to. Nothing is kept on the way, so it
// cannot be gone on with except by asking again behind the last position that arrived.

import {
  type Channel,
  firstPositionOf,
  type MessagePage,
  type MessageReading,
  openChannel,
  openReading,
  positionsOfSession,
  type ReadDatabase,
} from '#archive/mod.ts';
import type { AccessNote } from '../access/access-log.ts';
import { toCursor } from '../message-cursor.ts';
import { askAgainMs } from '../message-status.ts';
import { type FormatWriter, openFormat, type StreamEnd } from './format-writer.ts';
import { statusOf } from './manifest.ts';
import { type PageSubject, readPages, toPositionRequest } from './range-reading.ts';
import type { ExportFormat, ExportRange } from './types.ts';

/** An answer holds two pages of about as much besides. */
const KEPT_BYTES_TARGET = 1_048_576;

/** An answer of which the first page has been read, and nothing was sent. */
export interface BegunExport {
  readonly channel: Channel;
  readonly first: MessagePage;
  readonly reading: MessageReading;
  readonly subject: PageSubject;
  readonly writer: FormatWriter;
}

/**
 * Settles what there is to export, and reads nothing of it. Errors as openChannel, findSession and
 * openReading.
 */
export async function openExport(
  opened: ReadDatabase,
  range: ExportRange,
): Promise<Pick<BegunExport, 'channel' | 'reading'>> {
  const channel = await openChannel(opened, range.channel);
  const request = await withinSession(opened, channel, range);
  return { channel, reading: await openReading(opened, channel, request) };
}

/**
 * Begins to read, so that what is wrong with the request or the database shows before the answer
 * begins. Errors as openExport.
 */
export async function beginExport(
  opened: ReadDatabase,
  range: ExportRange,
  format: ExportFormat,
): Promise<BegunExport> {
  const { channel, reading } = await openExport(opened, range);
  const first = await reading.nextPage(Number.MAX_SAFE_INTEGER);
  const { name, framing } = channel;
  const writer = openFormat(format, { channel: name, framing, keptBytesTarget: KEPT_BYTES_TARGET });
  const subject = { opened, channel, session: range.session, sourceOf: () => undefined };
  return { channel, first, reading, subject, writer };
}

/** The request for `range`, narrowed to the positions where its session is. */
async function withinSession(
  { database }: ReadDatabase,
  channel: Channel,
  range: ExportRange,
): Promise<ReturnType<typeof toPositionRequest>> {
  const request = toPositionRequest(range);
  if (range.session === undefined) return request;
  const { archivedThrough } = channel;
  const within = { first: 1, last: archivedThrough };
  const { first, last } = await positionsOfSession(database, channel, range.session, within);
  const after = Math.min(Math.max(range.after ?? 0, first - 1), archivedThrough);
  return { ...request, after, before: range.before ?? last + 1 };
}

/** The file, chunk by chunk; what is handed over is noted. */
export async function* streamExport(
  { channel, first, reading, subject, writer }: BegunExport,
  note: Pick<AccessNote, 'served'>,
): AsyncGenerator<Uint8Array> {
  const missing = { losses: 0, deletions: 0 };
  let count = 0;
  let lastPosition: number | null = null;
  for await (const { entry, source } of readPages(first, reading, subject)) {
    if (entry.kind === 'messages') {
      const { messageCount } = entry;
      const firstPosition = firstPositionOf(entry);
      count += messageCount;
      lastPosition = firstPosition + messageCount - 1;
      note.served({ messageCount, firstPosition, lastPosition });
      yield* writer.addRun(entry, source);
    } else {
      missing[entry.kind === 'loss' ? 'losses' : 'deletions'] += 1;
      yield* writer.addMissing(entry, source);
    }
  }
  const status = statusOf(reading, missing);
  const end: StreamEnd = {
    status,
    count,
    lastPosition,
    archivedThrough: reading.archivedThrough,
    ...missing,
    cursor: subject.session === undefined ? toCursor(channel.name, reading.resume) : null,
    askAgainMs: askAgainMs(status, reading.resume, Date.now()),
  };
  yield* writer.finish(end);
}
