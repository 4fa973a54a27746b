// Reads an answer to its end and keeps what a reader can rely on: which messages came, and which
// sequences and positions were named as deleted or lost.

import {
  firstPositionOf,
  type Deletion,
  type Loss,
  type MessageRequest,
  lookAgain,
  openChannel,
  openReading,
  type ReadDatabase,
} from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';

/** What an answer said, in its order. */
export interface WholeReading {
  readonly messages: readonly {
    readonly position: number;
    readonly session: SessionId;
    readonly sequence: number;
  }[];
  readonly deletions: readonly Deletion[];
  readonly losses: readonly Loss[];
}

/** How to read. */
export interface ReadingStyle {
  readonly messagesMax: number;
  /** Whether each page is asked for anew, as over HTTP. */
  readonly isStateless: boolean;
  /** Called between two pages. */
  readonly between?: () => Promise<unknown>;
}

/** Everything in the order of the channel. */
export const EVERYTHING = {
  kind: 'positions',
  after: undefined,
  before: undefined,
  publishedFromUs: undefined,
  publishedToUs: undefined,
  order: 'asc',
} as const satisfies MessageRequest;

/** Reads all pages of `request`. */
export async function readWhole(
  opened: ReadDatabase,
  channelName: string,
  request: MessageRequest,
  { messagesMax, isStateless, between }: ReadingStyle,
): Promise<WholeReading> {
  const channel = await openChannel(opened, channelName);
  let reading = await openReading(opened, channel, request);
  const messages: WholeReading['messages'][number][] = [];
  const deletions: Deletion[] = [];
  const losses: Loss[] = [];
  for (;;) {
    const page = await reading.nextPage(messagesMax);
    for (const entry of page.entries) {
      if (entry.kind === 'deletion') deletions.push(entry);
      else if (entry.kind === 'loss') losses.push(entry);
      else
        for (let step = 0; step < entry.messageCount; step += 1) {
          const index = request.order === 'asc' ? step : entry.messageCount - 1 - step;
          const position = firstPositionOf(entry) + index;
          const sequence = entry.firstSequence + index;
          messages.push({ position, session: entry.session, sequence });
        }
    }
    if (page.isLast) return { messages, deletions, losses };
    await between?.();
    if (!isStateless) continue;
    const { archivedThrough } = channel;
    const now = { ...(await lookAgain(opened, channel)), archivedThrough };
    reading = await openReading(opened, now, reading.resume);
  }
}

/** The positions from 1 through `head` that `reading` neither has nor names as deleted. */
export function unexplainedPositions(reading: WholeReading, head: number): number[] {
  const had = new Set(reading.messages.map(({ position }) => position));
  return Array.from({ length: head }, (_, index) => index + 1).filter(
    (position) =>
      !had.has(position) &&
      !reading.deletions.some(
        ({ firstPosition, lastPosition }) => firstPosition <= position && position <= lastPosition,
      ),
  );
}
