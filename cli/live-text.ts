// A live message, loss or change of session as a line of JSON, with the names that the replay API
// uses.

import { formatInstant } from '#base/mod.ts';
import type { LiveItem } from '#client/mod.ts';
import { payloadText } from '#replay-api/mod.ts';

/** `live` as one line, without the newline. */
export function liveText(channel: string, live: LiveItem): string {
  if (live.kind === 'lost') {
    const { session, firstSequence: first, lastSequence: last, cause } = live;
    return JSON.stringify({ kind: 'loss', channel, session, first, last, cause });
  }
  if (live.kind === 'session') {
    return JSON.stringify({ kind: 'session', channel, session: live.session, state: live.state });
  }
  const head = JSON.stringify({
    kind: 'message',
    channel,
    session: live.session,
    source: live.source ?? null,
    sequence: live.sequence,
    publishedAt: formatInstant(live.publishedAtUs),
  });
  const bytes = Buffer.from(live.payload.buffer, live.payload.byteOffset, live.payload.length);
  return `${head.slice(0, -1)},"encoding":"${payloadText(bytes, 0, bytes.length)}`;
}
