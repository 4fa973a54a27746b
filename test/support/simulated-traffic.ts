// Traffic for simulated worlds: publishes payloads whose bytes tell their number, in bursts, and keeps what
// was published for the checker.

import { randomBelow, type SessionId } from '#base/mod.ts';
import type { SimulatedPublisher, World } from '#sim/mod.ts';

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
