// A message of the archive, as applications see it, out of a run.

import type { SessionId } from '#base/mod.ts';
import type { ReplayedRun } from './replay-source.ts';

/** A message of the archive. */
export interface ArchivedMessage {
  readonly kind: 'message';
  /** Its place in the channel. */
  readonly position: number;
  readonly session: SessionId;
  /** The publisher's name; null if it told none. */
  readonly source: string | null;
  readonly sequence: number;
  readonly publishedAtUs: number;
  readonly archivedAtUs: number;
  /** In the framing `zmq` the frames of the message, which zmqParts() takes apart. */
  readonly payload: Uint8Array;
}

/** The messages of `run`, in order. Their payloads are views of its bytes. */
export function* messagesOf(run: ReplayedRun): Generator<ArchivedMessage, void, void> {
  const { session, source, archivedAtUs, publishedAtUs, payloads, payloadEnds } = run;
  let start = 0;
  for (let index = 0; index < run.messageCount; index += 1) {
    const end = payloadEnds[index];
    yield {
      kind: 'message',
      position: run.firstPosition + index,
      session,
      source,
      sequence: run.firstSequence + index,
      publishedAtUs: publishedAtUs[index],
      archivedAtUs,
      payload: payloads.subarray(start, end),
    };
    start = end;
  }
}
