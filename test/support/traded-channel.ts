// A channel to export: several sessions that interleave, payloads of all kinds, losses, over two
// days, in segments of uneven size. The same for the same seed.

import { type LossCause, randomBelow, seededRandom, type SessionId } from '#base/mod.ts';
import {
  type Delivery,
  type FilledChannel,
  instantAt,
  type SentMessage,
} from './filled-archive.ts';

/** The sessions of the channel. */
export const SESSIONS = ['00000000000000aa', '7bbbbbbbbbbbbbbb', '0c0c0c0c0c0c0c0c'] as const;

const SEGMENTS = 40;
const CAUSES: readonly LossCause[] = ['repair_expired', 'source_gone', 'recorder_overrun'];

/** The channel called `name`. */
export function tradedChannel(name: string, seed: number): FilledChannel {
  const random = seededRandom(seed);
  const next = new Map<SessionId, number>();
  const take = (session: SessionId, count: number): number => {
    const sequence = next.get(session) ?? 1;
    next.set(session, sequence + count);
    return sequence;
  };
  const deliveries: Delivery[] = [];
  for (let segment = 0; segment < SEGMENTS; segment += 1) {
    const seconds = segment * 3_600 * 1.2;
    const messages: SentMessage[] = [];
    for (let count = 1 + randomBelow(random, 60); count > 0; count -= 1) {
      const session = SESSIONS[randomBelow(random, SESSIONS.length)] as SessionId;
      messages.push({
        session,
        sequence: take(session, 1),
        publishedAtUs: instantAt(seconds) - randomBelow(random, 3_000_000),
        payload: payload(random),
      });
    }
    deliveries.push({ kind: 'segment', archivedAtUs: instantAt(seconds), messages });
    if (randomBelow(random, 4) > 0) continue;
    const session = SESSIONS[randomBelow(random, SESSIONS.length)] as SessionId;
    const count = 1 + randomBelow(random, 50);
    const first = take(session, count);
    const cause = CAUSES[randomBelow(random, CAUSES.length)];
    const detectedAtUs = instantAt(seconds + 1);
    deliveries.push({ kind: 'loss', session, first, last: first + count - 1, cause, detectedAtUs });
  }
  const facts = { source: 'he said "sell", twice' };
  return { name, deliveries, sessions: new Map([[SESSIONS[0] as SessionId, facts]]) };
}

function payload(random: () => number): Buffer {
  const kinds = [
    () => Buffer.alloc(0),
    () => Buffer.from(JSON.stringify({ price: randomBelow(random, 1_000), text: 'a, "b"\r\nc' })),
    () => Buffer.from(Uint8Array.from({ length: 40 }, () => randomBelow(random, 256))),
    () => Buffer.from(' =1+1 '),
    () => Buffer.from('🛰️\u2028\0'),
    () => Buffer.alloc(randomBelow(random, 3_000), 'x'),
  ];
  return kinds[randomBelow(random, kinds.length)]();
}
