// Random courses of deliveries to an archive (interleaved publishers, losses, heals, days, publish
// times out of order, a foreign session with numbers that name no message), and random requests for
// what is archived of them.

import * as fc from 'fast-check';
import type { MessageRequest } from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import { type Delivery, instantAt, type SentMessage } from './filled-archive.ts';

/** The sessions of a course. */
export const SESSIONS = ['0000000000000001', '7fffffffffffffff', '0123456789abcdef'] as SessionId[];
/** Its source is foreign: it begins anywhere, and not all of its numbers are messages. */
export const FOREIGN = SESSIONS[2];
/** The first number of the foreign session. */
export const FOREIGN_FIRST = 4;
const DAY_SECONDS = 86_400;

/** One thing that happens. */
export type Step =
  | {
      readonly kind: 'segment';
      readonly picks: readonly number[];
      readonly jitters: readonly number[];
      /** Per message how many sequences before it are lost, and how many behind it are unused. */
      readonly holes: readonly number[];
      readonly unused: readonly number[];
    }
  | { readonly kind: 'loss'; readonly session: number; readonly count: number }
  /** Of an earlier loss, `count` sequences behind its first `skipped` ones turn up. */
  | {
      readonly kind: 'heal';
      readonly loss: number;
      readonly skipped: number;
      readonly count: number;
      readonly isReversed: boolean;
    }
  | { readonly kind: 'night' };

/** Any of them. */
export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('segment' as const),
      picks: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 6 }),
      jitters: fc.array(fc.integer({ min: -20, max: 20 }), { minLength: 6, maxLength: 6 }),
      holes: fc.array(fc.constantFrom(0, 0, 0, 3), { minLength: 6, maxLength: 6 }),
      unused: fc.array(fc.constantFrom(0, 0, 3), { minLength: 6, maxLength: 6 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('loss' as const),
      session: fc.integer({ min: 0, max: 2 }),
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('heal' as const),
      loss: fc.nat(9),
      skipped: fc.nat(2),
      count: fc.integer({ min: 1, max: 3 }),
      isReversed: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'night' as const }) },
);

const bounds = fc
  .record({
    after: fc.option(fc.integer({ min: 0, max: 30 }), { nil: undefined }),
    before: fc.option(fc.integer({ min: 1, max: 30 }), { nil: undefined }),
  })
  .filter(({ after = 0, before = 30 }) => after <= before);
const order = fc.constantFrom('asc' as const, 'desc' as const);
const published = fc.record({
  publishedFromUs: fc.option(fc.integer({ min: -20, max: 60 }).map(instantAt), { nil: undefined }),
  publishedToUs: fc.integer({ min: -20, max: 2 * DAY_SECONDS }).map(instantAt),
});
const always = fc.constant({ publishedFromUs: undefined, publishedToUs: undefined });
/** Any way of reading. */
export const request: fc.Arbitrary<MessageRequest> = fc.oneof(
  fc.record({ bounds, published: fc.oneof(always, published), order }).map((one) => ({
    kind: 'positions' as const,
    ...one.bounds,
    ...one.published,
    order: one.order,
  })),
  fc.record({
    kind: fc.constant('sequences' as const),
    session: fc.constantFrom(...SESSIONS),
    first: fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined }),
    last: fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined }),
    order,
  }),
);

/** A loss of a course. */
export type LossDelivery = Extract<Delivery, { kind: 'loss' }>;

/** What was delivered, and what is archived of it. */
export interface Course {
  readonly deliveries: readonly Delivery[];
  readonly messages: readonly (SentMessage & { readonly position: number })[];
  /** Those that are not healed. */
  readonly losses: readonly LossDelivery[];
  readonly lossPlaces: ReadonlyMap<Delivery, number>;
}

/** The course in which `steps` happen in turn. */
export function play(steps: readonly Step[]): Course {
  const next = new Map(
    SESSIONS.map((session) => [session, session === FOREIGN ? FOREIGN_FIRST : 1]),
  );
  const messages: (SentMessage & { position: number })[] = [];
  const deliveries: Delivery[] = [];
  const lossPlaces = new Map<Delivery, number>();
  let seconds = 0;
  const take = (session: SessionId, count: number): number => {
    const first = next.get(session) ?? 1;
    next.set(session, first + count);
    return first;
  };
  for (const taken of steps) {
    seconds += taken.kind === 'night' ? DAY_SECONDS : 1;
    if (taken.kind === 'segment') {
      const holes: LossDelivery[] = [];
      const sent = taken.picks.map((pick, index) => {
        const session = SESSIONS[pick];
        const count = taken.holes[index];
        const first = take(session, count);
        const hole = { kind: 'loss' as const, session, first, last: first + count - 1 };
        const positionsBehind = taken.picks.length - index;
        const detectedAtUs = instantAt(seconds);
        if (count > 0) holes.push({ ...hole, cause: 'corrupt', positionsBehind, detectedAtUs });
        const unused = session === FOREIGN ? taken.unused[index] : 0;
        const sequence = take(session, 1 + unused);
        return {
          session,
          sequence,
          throughSequence: sequence + unused,
          publishedAtUs: instantAt(seconds + taken.jitters[index]),
          payload: Buffer.from([pick, index]),
        };
      });
      for (const message of sent) messages.push({ ...message, position: messages.length + 1 });
      deliveries.push({ kind: 'segment', archivedAtUs: instantAt(seconds), messages: sent });
      for (const hole of holes) {
        deliveries.push(hole);
        lossPlaces.set(hole, messages.length - (hole.positionsBehind ?? 0));
      }
    } else if (taken.kind === 'loss') {
      const session = SESSIONS[taken.session];
      const first = take(session, taken.count);
      const loss = { kind: 'loss' as const, session, first, last: first + taken.count - 1 };
      const declared = {
        ...loss,
        cause: 'repair_expired' as const,
        detectedAtUs: instantAt(seconds),
      };
      deliveries.push(declared);
      lossPlaces.set(declared, messages.length);
    } else if (taken.kind === 'heal') {
      const losses = deliveries.filter(isLost);
      if (losses.length === 0) continue;
      const loss = losses[taken.loss % losses.length];
      const pieces = healedPieces(loss, taken, instantAt(seconds));
      deliveries.splice(deliveries.indexOf(loss), 1, ...pieces);
      for (const piece of pieces) lossPlaces.set(piece, lossPlaces.get(loss) ?? 0);
      const healed = pieces.filter((piece) => !isLost(piece)).flatMap(healedMessages);
      const sent = taken.isReversed ? healed.toReversed() : healed;
      for (const message of sent) messages.push({ ...message, position: messages.length + 1 });
      deliveries.push({ kind: 'segment', archivedAtUs: instantAt(seconds), messages: sent });
    }
  }
  return { deliveries, messages, losses: deliveries.filter(isLost), lossPlaces };
}

function isLost(delivery: Delivery): delivery is LossDelivery {
  return delivery.kind === 'loss' && delivery.healed === undefined;
}

/** The loss before the healed part, the healed part and the loss behind it, as far as they are. */
function healedPieces(
  loss: LossDelivery,
  { skipped, count }: { readonly skipped: number; readonly count: number },
  atUs: number,
): LossDelivery[] {
  const first = Math.min(loss.first + skipped, loss.last);
  const last = Math.min(first + count - 1, loss.last);
  const pieces: LossDelivery[] = [
    { ...loss, last: first - 1 },
    { ...loss, first, last, healed: { atUs, by: 'another' } },
    { ...loss, first: last + 1 },
  ];
  return pieces.filter((piece) => piece.first <= piece.last);
}

/** One by one of ours; of a foreign source one message that accounts for all. */
function healedMessages({ session, first, last, detectedAtUs }: LossDelivery): SentMessage[] {
  const made = { session, publishedAtUs: detectedAtUs, payload: Buffer.from('healed') };
  const isHealed = true;
  if (session === FOREIGN) return [{ ...made, sequence: first, throughSequence: last, isHealed }];
  return Array.from({ length: last - first + 1 }, (_, index) => {
    return { ...made, sequence: first + index, isHealed };
  });
}
