// A live message, loss or change of session as a line of JSON, with the names that the replay API
// uses.

import { formatInstant, type Framing } from '#base/mod.ts';
import type { LiveItem, SubscribedItem } from '#client/mod.ts';
import { zmqParts } from '#multicast/wire/mod.ts';
import { payloadText } from '#replay-api/mod.ts';

/**
 * `live` as one line, without the newline. A message of framing `zmq` has `parts`, each with its
 * encoding and payload, instead of a payload; one of a subscription that recovers says how it came.
 */
export function liveText(
  channel: string,
  live: LiveItem | SubscribedItem,
  framing: Framing = 'native',
): string {
  if (live.kind === 'lost') {
    const { session, firstSequence: first, lastSequence: last, cause } = live;
    return JSON.stringify({ kind: 'loss', channel, session, first, last, cause });
  }
  if (live.kind === 'session') {
    const { kind, session, state } = live;
    const named = 'source' in live && { source: live.source ?? null };
    return JSON.stringify({ kind, channel, session, ...named, state });
  }
  if (live.kind !== 'message') return JSON.stringify({ kind: live.kind, channel });
  const head = JSON.stringify({
    kind: 'message',
    channel,
    session: live.session,
    source: live.source ?? null,
    sequence: live.sequence,
    publishedAt: formatInstant(live.publishedAtUs),
    ...('via' in live && { position: live.position ?? null, via: live.via, lateUs: live.lateUs }),
  });
  if (framing !== 'zmq') return `${head.slice(0, -1)},${contentText(live.payload)}`;
  const parts = zmqParts(live.payload).map((part) => `{${contentText(part)}`);
  return `${head.slice(0, -1)},"parts":[${parts.join(',')}]}`;
}

/** Encoding and payload, and the end of the object that they stand in. */
function contentText({ buffer, byteOffset, length }: Uint8Array): string {
  return `"encoding":"${payloadText(Buffer.from(buffer, byteOffset, length), 0, length)}`;
}
