// Traffic for simulated worlds: publishes payloads whose bytes tell their number, in bursts, and
// keeps what was published for the checker.

import { randomBelow, type SessionId } from '#base/mod.ts';
import type { ReceiverEvent, ResumePoint } from '#multicast/core/mod.ts';
import { type PacketKind, PacketReader } from '#multicast/wire/mod.ts';
import type { NetworkFaults, SimulatedPublisher, SimulatedReceiver, World } from '#sim/mod.ts';

/** What was published so far, by session; message n at index n − 1. */
export type Ledger = Map<SessionId, Uint8Array[]>;

/** Publishes `count` messages in bursts, running the world in between. */
export function publishBursts(
  world: World,
  publishers: readonly SimulatedPublisher[],
  ledger: Ledger,
  options: { readonly count: number; readonly bytesMax: number; readonly pauseMsMax: number },
): void {
  for (let published = 0; published < options.count; ) {
    const publisher = publishers[randomBelow(world.random, publishers.length)];
    if (publisher === undefined) return;
    const burst = 1 + randomBelow(world.random, 60);
    for (let index = 0; index < burst && published < options.count; index += 1) {
      if (publishOne(world, publisher, ledger, randomBelow(world.random, options.bytesMax + 1))) {
        published += 1;
      } else break;
    }
    world.run(world.nowMs + world.random() * options.pauseMsMax);
  }
}

/** Publishes one message of `bytes` bytes; false if the publisher blocks. */
export function publishOne(
  world: World,
  publisher: SimulatedPublisher,
  ledger: Ledger,
  bytes: number,
): boolean {
  const payloads = ledger.get(publisher.session) ?? [];
  ledger.set(publisher.session, payloads);
  const payload = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += 1) payload[at] = (payloads.length + at * 7) & 0xff;
  const outcome = publisher.machine.publish(payload, world.wallClockUs, world.nowMs);
  if (outcome !== 'accepted') return false;
  payloads.push(payload);
  return true;
}

/** A network that loses, repeats and reorders nothing. */
export const CALM: NetworkFaults = { loss: 0, duplicate: 0, delayMsMin: 0.1, delayMsMax: 0.1 };

/**
 * Publishes `count` messages one by one, each in a packet of its own, `everyMs` apart (2 by
 * default).
 */
export function publishEach(
  world: World,
  publisher: SimulatedPublisher,
  ledger: Ledger,
  options: { readonly count: number; readonly bytes?: number; readonly everyMs?: number },
): void {
  for (let published = 0; published < options.count; published += 1) {
    if (!publishOne(world, publisher, ledger, options.bytes ?? 100)) {
      throw new Error('a calm publisher does not block');
    }
    world.run(world.nowMs + (options.everyMs ?? 2));
  }
}

/**
 * Lets the network lose each datagram for which `chance` gives more than a draw; counts them by
 * kind.
 */
export function loseBy(
  world: World,
  chance: (reader: PacketReader, to: number) => number,
): Record<PacketKind, number> {
  const lost = { spm: 0, odata: 0, rdata: 0, nak: 0, ncf: 0, spmr: 0, ack: 0, other: 0 };
  const reader = new PacketReader();
  world.network.drops = (bytes, to) => {
    if (reader.read(bytes) !== undefined) return false;
    const isLost = world.random() < chance(reader, to);
    if (isLost) lost[reader.kind] += 1;
    return isLost;
  };
  return lost;
}

/** Where a receiver's session stands by what it told last: what a restarted receiver is given. */
export function resumePointOf({ events }: SimulatedReceiver, session: SessionId): ResumePoint {
  const last = events.findLast((event) => event.session === session && isAccount(event));
  if (last === undefined || !isAccount(last)) throw new Error('nothing was told of the session');
  const isLost = last.kind === 'lost';
  const nextSequence = isLost ? last.lastSequence + 1 : last.firstSequence + last.messageCount;
  return { session, nextSequence, nextSqn: last.nextSqn };
}

function isAccount(
  event: ReceiverEvent,
): event is Extract<ReceiverEvent, { kind: 'messages' | 'lost' }> {
  return event.kind === 'messages' || event.kind === 'lost';
}
