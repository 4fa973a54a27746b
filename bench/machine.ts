// What measurements have in common: a line about the machine beside every published number, an
// address that no other run uses, and a way to let the sockets have their turn.

import { arch, cpus, platform, totalmem } from 'node:os';
import { type ChannelAddress, randomBelow } from '#base/mod.ts';
import { processRandom } from '#multicast/udp/mod.ts';

/** Operating system, processors and memory in one line. */
export function describeMachine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown';
  const memoryGib = Math.round(totalmem() / 2 ** 30);
  return `${platform()} ${arch()}, ${cpus().length} × ${model}, ${memoryGib} GiB`;
}

/** A group and port of the run's own, so that two benchmarks on one host do not hear each other. */
export function benchmarkAddress(): ChannelAddress {
  const random = processRandom();
  return {
    group: `239.255.${randomBelow(random, 256)}.${1 + randomBelow(random, 254)}`,
    port: 30_000 + randomBelow(random, 10_000),
    dport: 7_500,
    framing: 'native',
  };
}

/** Resolves when the sockets of this thread have had their turn. */
export function yieldTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A clock that all threads of a process share, in milliseconds with fractions. */
export function absoluteMs(): number {
  return performance.timeOrigin + performance.now();
}
