// What a tail sends, as text of server-sent events: a frame for each message, loss and deletion, in
// the words of the other answers, and frames about sessions and about the tail itself. A message
// has its position as its id, so that a reader that connects again names the last one it got. Pure.

import { type Loss, firstPositionOf, type MessagePage, type MessageRun } from '#archive/mod.ts';
import type { ErrorCode, Framing, SessionId } from '#base/mod.ts';
import { deletionText, lossText, writeRun } from './message-text.ts';
import type { TailChunk, TailPlace } from './tail-ring.ts';

/** Text that is sent at once, in UTF-16 units. */
const CHUNK_CHARACTERS_TARGET = 65_536;

/** How a page is told. */
export interface TailStyle {
  readonly framing: Framing;
  readonly sourceOf: (session: SessionId) => string | null;
  /** What this place has not been told of the losses at its end is left for later. */
  readonly through?: TailPlace | undefined;
}

/** A session began, ended, or fell silent. */
export interface SessionChange {
  readonly session: SessionId;
  readonly source: string | null;
  readonly state: 'open' | 'closed' | 'expired';
}

/** What a tail does now; see the contract. */
export type TailState = 'replaying' | 'live' | 'away' | 'rewound';

/** Names a loss among those at the same place. */
export function lossKey({ session, first }: Pick<Loss, 'session' | 'first'>): string {
  return `${session}/${first}`;
}

/** `page` as chunks: each message, and each loss that is not told at `from`, once. */
export function* pageChunks(
  { entries }: MessagePage,
  from: TailPlace,
  style: TailStyle,
): Generator<TailChunk> {
  const writing = new Writing(from);
  for (const entry of entries) {
    const source = style.sourceOf(entry.session);
    if (entry.kind === 'deletion') writing.add(frame('deletion', deletionText(entry, source)));
    else if (entry.kind === 'messages') {
      for (let count = 0; count < entry.messageCount; count += 1) {
        const position = firstPositionOf(entry) + count;
        writing.message(position, messageFrame(entry, { ...style, source }, count));
        if (writing.isFull) yield writing.take();
      }
    } else if (!writing.isTold(entry) && !isForLater(entry, style.through)) {
      writing.loss(entry, frame('loss', lossText(entry, source)));
    }
    if (writing.isFull) yield writing.take();
  }
  if (!writing.isEmpty) yield writing.take();
}

/** A change of a session. Has no id: it has no place among the messages. */
export function sessionFrame({ session, source, state }: SessionChange): string {
  return frame('session', JSON.stringify({ kind: 'session', session, source, state }));
}

/** What the tail does from here on. */
export function stateFrame(state: TailState, position: number, archivedThrough: number): string {
  const text = JSON.stringify({ kind: 'state', state, position, archivedThrough });
  return `id: ${position}\n${frame('state', text)}`;
}

/** The last frame, of a tail that the server ends. */
export function endFrame(position: number, code: ErrorCode | null, detail: string): string {
  return frame('end', JSON.stringify({ kind: 'end', position, code, detail }));
}

/** Keeps a silent connection alive, and shows that it is. */
export const HEARTBEAT_FRAME = ': heartbeat\n\n';

function frame(name: string, text: string): string {
  return `event: ${name}\ndata: ${text}\n\n`;
}

function messageFrame(
  run: MessageRun,
  { framing, source }: { readonly framing: Framing; readonly source: string | null },
  index: number,
): string {
  const style = { source, order: 'asc', framing, terminator: '\n\n', charactersTarget: 1 } as const;
  const { text } = writeRun(run, style, index);
  return `id: ${firstPositionOf(run) + index}\nevent: message\ndata: ${text}`;
}

/** Who reads on from `through` is told then. */
function isForLater(loss: Loss, through: TailPlace | undefined): boolean {
  return through?.position === loss.afterPosition && !through.told.has(lossKey(loss));
}

/** A chunk in the making. */
class Writing {
  #text = '';
  #position: number;
  #told: Set<string>;
  #firstPosition = 0;
  #messageCount = 0;

  constructor(from: TailPlace) {
    this.#position = from.position;
    this.#told = new Set(from.told);
  }

  get isFull(): boolean {
    return this.#text.length >= CHUNK_CHARACTERS_TARGET;
  }

  get isEmpty(): boolean {
    return this.#text === '';
  }

  isTold(loss: Loss): boolean {
    return this.#told.has(lossKey(loss));
  }

  add(text: string): void {
    this.#text += text;
  }

  message(position: number, text: string): void {
    this.#text += text;
    this.#position = position;
    if (this.#messageCount === 0) this.#firstPosition = position;
    this.#messageCount += 1;
    if (this.#told.size > 0) this.#told = new Set();
  }

  loss(loss: Loss, text: string): void {
    this.#text += text;
    this.#told.add(lossKey(loss));
  }

  take(): TailChunk {
    const bytes = Buffer.from(this.#text);
    const [lastPosition, firstPosition] = [this.#position, this.#firstPosition];
    const messageCount = this.#messageCount;
    const messages = messageCount > 0 ? { messageCount, firstPosition, lastPosition } : undefined;
    this.#text = '';
    this.#messageCount = 0;
    return { bytes, messages, place: { position: lastPosition, told: new Set(this.#told) } };
  }
}
