// Messages, losses and deletions as JSON text. Hot: NDJSON of a whole channel goes through here, so
// the text of a message is put together by hand, members that stay the same are made once per run,
// and nothing is allocated per message but its text. The pages in JSON are made of the same texts,
// so that the two can not disagree.

import { isUtf8 } from 'node:buffer';
import { type Deletion, firstPositionOf, type Loss, type MessageRun } from '#archive/mod.ts';
import { formatInstant, type Framing } from '#base/mod.ts';
import { zmqParts } from '#multicast/wire/mod.ts';

/** Some of a run as text. */
export interface RunText {
  readonly text: string;
  /** How many messages of the run have been written by now. */
  readonly writtenCount: number;
}

/** How to write a run. */
export interface RunStyle {
  /** Name of the run's publisher. */
  readonly source: string | null;
  readonly order: 'asc' | 'desc';
  readonly framing: Framing;
  /** Comes after each message. */
  readonly terminator: string;
  /** Shows payloads that are JSON as that; others, and all if not given, as text or base64. */
  readonly decode?: 'json' | undefined;
  /** Stops behind the message that reaches this length, in UTF-16 units. */
  readonly charactersTarget: number;
}

/**
 * Goes on writing `run` where `writtenCount` messages of it are written already; at least one more.
 */
export function writeRun(run: MessageRun, style: RunStyle, writtenCount: number): RunText {
  const { segment, messageCount } = run;
  const { bytes, payloadStarts, payloadEnds, publishedAtUs } = segment;
  const firstPosition = firstPositionOf(run);
  const origin = `,"session":"${run.session}","source":${JSON.stringify(style.source)},"sequence":`;
  const hasParts = style.framing === 'zmq';
  const contentName = hasParts ? 'parts":' : 'encoding":"';
  const archived = `","archivedAt":"${formatInstant(run.archivedAtUs)}","${contentName}`;
  const contentText = hasParts ? partsText : payloadText;
  let text = '';
  let count = writtenCount;
  while (count < messageCount && (text === '' || text.length < style.charactersTarget)) {
    const step = style.order === 'asc' ? count : messageCount - 1 - count;
    const index = run.firstIndex + step;
    text += `{"kind":"message","position":${firstPosition + step}`;
    text += `${origin}${run.firstSequence + step}`;
    text += `,"publishedAt":"${instantText(publishedAtUs[index])}${archived}`;
    text += contentText(bytes, payloadStarts[index], payloadEnds[index], style.decode);
    text += style.terminator;
    count += 1;
  }
  return { text, writtenCount: count };
}

/** A loss or a deletion as a JSON object. */
export function missingText(missing: Loss | Deletion, source: string | null): string {
  return missing.kind === 'loss' ? lossText(missing, source) : deletionText(missing, source);
}

/** `loss` as a JSON object. */
export function lossText(loss: Loss, source: string | null): string {
  const { kind, session, first, last, packetCount: packets, cause, afterPosition } = loss;
  return JSON.stringify({
    kind,
    session,
    source,
    first,
    last,
    packets,
    cause,
    afterPosition,
    detectedAt: formatInstant(loss.detectedAtUs),
    declaredAt: formatInstant(loss.declaredAtUs),
  });
}

/** `deletion` as a JSON object. */
export function deletionText(deletion: Deletion, source: string | null): string {
  return JSON.stringify(deletionItem(deletion, source));
}

/** `deletion` as the contract has it. */
export function deletionItem(deletion: Deletion, source: string | null): object {
  const { kind, session, first, last, messageCount: messages, firstPosition } = deletion;
  return {
    kind,
    session,
    source,
    first,
    last,
    messages,
    firstPosition,
    lastPosition: deletion.lastPosition,
    publishedFrom: formatInstant(deletion.minPublishedAtUs),
    publishedThrough: formatInstant(deletion.maxPublishedAtUs),
    deletedAt: formatInstant(deletion.deletedAtUs),
    policy: deletion.policy,
  };
}

const REPLACEMENT = '\ufffd';

/**
 * The rest of a message, from the value of `encoding` on. Bytes that are not UTF-8 decode to a
 * replacement character, so only a text that contains one needs the slow look at the bytes.
 */
export function payloadText(bytes: Buffer, start: number, end: number, decode?: 'json'): string {
  const text = bytes.toString('utf8', start, end);
  if (text.includes(REPLACEMENT) && !isUtf8(bytes.subarray(start, end))) {
    return `base64","payload":"${bytes.toString('base64', start, end)}"}`;
  }
  if (decode === 'json' && isJson(text)) return `json","payload":${oneLine(text)}}`;
  return `utf8","payload":${JSON.stringify(text)}}`;
}

/** The rest of a message of several parts, from the value of `parts` on. */
function partsText(bytes: Buffer, start: number, end: number, decode: 'json' | undefined): string {
  return `${partsOf(bytes.subarray(start, end), decode)}}`;
}

/** The parts of a message of ZeroMQ as a JSON array. */
export function partsOf(frames: Buffer, decode?: 'json'): string {
  const parts = zmqParts(frames).map((part) => {
    const { buffer, byteOffset, length } = part;
    const text = payloadText(Buffer.from(buffer, byteOffset, length), 0, length, decode);
    return `{"encoding":"${text}`;
  });
  return `[${parts.join(',')}]`;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The same JSON without line ends: where JSON has any, they stand between its pieces. */
function oneLine(json: string): string {
  return json.replaceAll(/[\r\n]/g, ' ');
}

let cachedSecond = Number.NaN;
let cachedText = '';

/** As formatInstant; messages of one second share the text of that second. */
function instantText(us: number): string {
  const second = Math.floor(us / 1_000_000);
  if (second !== cachedSecond) {
    cachedSecond = second;
    cachedText = formatInstant(second * 1_000_000).slice(0, -7);
  }
  return `${cachedText}${String(1_000_000 + us - second * 1_000_000).slice(1)}Z`;
}
