// Reads the body of a frame of messages, the counterpart of encodeRuns. Hot: per message it reads a
// length and an instant; payloads stay where they are. Total: whatever the bytes are, it gives runs
// or says what is wrong with them.

import { isSessionId, SEGMENT_MESSAGES_MAX, SEQUENCE_MAX, type SessionId } from '#base/mod.ts';
import { viewOf } from '#archive/segment/mod.ts';
import type { MessageBlock, StreamOrigin, StreamRun } from './entries.ts';
import { COUNTS_BYTES, INSTANT_BYTES, LENGTH_BYTES, RUN_BYTES } from './layout.ts';

const WORD = 0x1_0000_0000;
/** From here on the high word of a wide number means more than a plain number holds. */
const HIGH_WORD_END = 0x20_0000;

/** The runs of the frame `body`, or what is wrong with it. `origins` are those of its sessions. */
export function decodeRuns(
  body: Uint8Array,
  origins: ReadonlyMap<SessionId, StreamOrigin>,
): StreamRun[] | string {
  if (body.length < COUNTS_BYTES) return 'a frame of messages without counts';
  const view = viewOf(body);
  const runCount = view.getUint32(0);
  const messageCount = view.getUint32(4);
  const isCounted = runCount >= 1 && runCount <= messageCount;
  if (!isCounted || messageCount > SEGMENT_MESSAGES_MAX) return 'counts that cannot be';
  const instantsAt = COUNTS_BYTES + runCount * RUN_BYTES;
  const payloadsAt = instantsAt + messageCount * INSTANT_BYTES;
  if (body.length < payloadsAt) return 'a frame of messages that is too short';
  const segment = readBlock(body, view, { messageCount, instantsAt, payloadsAt });
  if (typeof segment === 'string') return segment;
  const runs: StreamRun[] = [];
  let firstIndex = 0;
  for (let at = COUNTS_BYTES; at < instantsAt; at += RUN_BYTES) {
    const run = readRun(view, at, { segment, firstIndex, origins });
    if (typeof run === 'string') return run;
    runs.push(run);
    firstIndex += run.messageCount;
  }
  return firstIndex === messageCount ? runs : 'runs that are not the messages';
}

function readBlock(
  body: Uint8Array,
  view: DataView,
  place: {
    readonly messageCount: number;
    readonly instantsAt: number;
    readonly payloadsAt: number;
  },
): MessageBlock | string {
  const { messageCount, instantsAt, payloadsAt } = place;
  const publishedAtUs = new Float64Array(messageCount);
  const payloadStarts = new Uint32Array(messageCount);
  const payloadEnds = new Uint32Array(messageCount);
  let at = payloadsAt;
  for (let index = 0; index < messageCount; index += 1) {
    publishedAtUs[index] = readWide(view, instantsAt + index * INSTANT_BYTES);
    const start = at + LENGTH_BYTES;
    if (start > body.length) return 'fewer payloads than messages';
    at = start + view.getUint32(at);
    payloadStarts[index] = start;
    payloadEnds[index] = at;
    // Beyond 32 bits the end above is another one.
    if (at > body.length) return 'a payload longer than its frame';
    if (Number.isNaN(publishedAtUs[index])) return 'an instant that is none';
  }
  if (at !== body.length) return 'bytes behind the last payload';
  return { bytes: body, payloadStarts, payloadEnds, publishedAtUs };
}

function readRun(
  view: DataView,
  at: number,
  within: {
    readonly segment: MessageBlock;
    readonly firstIndex: number;
    readonly origins: ReadonlyMap<SessionId, StreamOrigin>;
  },
): StreamRun | string {
  const { segment, firstIndex, origins } = within;
  const session = hex8(view.getUint32(at)) + hex8(view.getUint32(at + 4));
  if (!isSessionId(session)) return 'a session that is none';
  const origin = origins.get(session);
  if (origin === undefined) return 'a session that was not told of';
  const firstSequence = readWide(view, at + 8);
  const throughSequence = readWide(view, at + 16);
  const firstPosition = readWide(view, at + 24);
  const archivedAtUs = readWide(view, at + 32);
  const messageCount = view.getUint32(at + 40);
  const isPlaced =
    firstSequence >= 1 &&
    firstPosition >= 1 &&
    firstPosition + messageCount - 1 <= SEQUENCE_MAX &&
    throughSequence >= firstSequence + messageCount - 1 &&
    !Number.isNaN(archivedAtUs);
  if (messageCount === 0 || !isPlaced) return 'a run whose numbers cannot be';
  return {
    kind: 'messages',
    session,
    source: origin.source,
    isForeign: origin.isForeign,
    segment,
    firstIndex,
    firstPosition,
    firstSequence,
    messageCount,
    throughSequence,
    archivedAtUs,
  };
}

/** NaN for one that a plain number does not hold exactly. */
function readWide(view: DataView, at: number): number {
  const high = view.getInt32(at);
  if (high >= HIGH_WORD_END || high < -HIGH_WORD_END) return Number.NaN;
  return high * WORD + view.getUint32(at + 4);
}

function hex8(word: number): string {
  return word.toString(16).padStart(8, '0');
}
