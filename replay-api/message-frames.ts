// A streamed answer as the binary segment stream: the payloads of a run leave as they came from the
// database. Runs that follow each other in one segment share a frame.

import type { MessagePage, MessageRun } from '#archive/mod.ts';
import { firstPositionOf } from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import { encodeRuns, jsonFrame, SEGMENTS_TYPE, STREAM_VERSION } from '#client/stream/mod.ts';
import { deletionText, lossText } from './message-text.ts';
import { type AnswerHead, chunksOf, type MessageWriter } from './message-writer.ts';

/** Writes frames. */
export function frameWriter(head: AnswerHead): MessageWriter {
  const told = new Set<SessionId>();
  return {
    type: SEGMENTS_TYPE,
    hasEstimates: 'always',
    begin: () => [jsonFrame('begin', beginText(head))],
    page: (page) => chunksOf(pageFrames(page, head, told)),
    object: (object) => [jsonFrame(object.kind, JSON.stringify(object))],
  };
}

function beginText({ channel, order, archivedThrough }: AnswerHead): string {
  const { name, framing } = channel;
  const about = { channel: name, framing, order, archivedThrough };
  return JSON.stringify({ kind: 'begin', version: STREAM_VERSION, ...about });
}

/** Where frames end depends on what is stored alone, and not on where the answer began. */
function* pageFrames(
  page: MessagePage,
  { sources }: AnswerHead,
  told: Set<SessionId>,
): Generator<Uint8Array> {
  let runs: MessageRun[] = [];
  for (const entry of page.entries) {
    const { session } = entry;
    if (entry.kind === 'messages' && follows(entry, runs.at(-1))) {
      runs.push(entry);
      continue;
    }
    yield* framesOf(runs, sources, told);
    runs = [];
    if (entry.kind === 'loss') yield jsonFrame('loss', lossText(entry, sources.of(session)));
    else if (entry.kind === 'messages') runs = [entry];
    else yield jsonFrame('deletion', deletionText(entry, sources.of(session)));
  }
  yield* framesOf(runs, sources, told);
}

/** A frame of `runs`, and before it one for each session that has not been told of yet. */
function* framesOf(
  runs: readonly MessageRun[],
  sources: AnswerHead['sources'],
  told: Set<SessionId>,
): Generator<Uint8Array> {
  if (runs.length === 0) return;
  for (const { session } of runs) {
    if (!told.has(session)) yield jsonFrame('session', sessionText(session, sources));
    told.add(session);
  }
  yield* encodeRuns(runs.map((run) => ({ ...run, firstPosition: firstPositionOf(run) })));
}

function sessionText(session: SessionId, sources: AnswerHead['sources']): string {
  return JSON.stringify({ kind: 'session', session, ...sources.origin(session) });
}

function follows(run: MessageRun, before: MessageRun | undefined): boolean {
  return (
    before === undefined ||
    (before.segment === run.segment && before.firstIndex + before.messageCount === run.firstIndex)
  );
}
