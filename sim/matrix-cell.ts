// One cell of the matrix: what repair costs for one share of lost datagrams and one number of
// receivers, in a world with a fixed seed, beside the least that it can cost there. All kinds of
// datagrams are lost alike.

import { PacketReader } from '#multicast/wire/mod.ts';
import { type SimulatedReceiver, World } from './world.ts';

/** The shares of loss and the numbers of receivers that the matrix crosses. */
export const MATRIX_LOSSES: readonly number[] = [0, 0.01, 0.05, 0.1, 0.2];
export const MATRIX_RECEIVERS: readonly number[] = [1, 10, 100, 1_000];

/** Where datagrams get lost. */
export type LossPlace =
  /** On the way to one receiver, each by itself: everybody misses something else. */
  | 'own'
  /** At the publisher: what one receiver misses, all miss. Requests are lost on their way there. */
  | 'shared';

/** Both, in the order of the matrix. */
export const MATRIX_PLACES: readonly LossPlace[] = ['own', 'shared'];

/** What one cell measured. Per lost packet: for each that at least one receiver missed at first. */
export interface MatrixCell {
  readonly place: LossPlace;
  readonly loss: number;
  readonly receiverCount: number;
  readonly lostPackets: number;
  /** From the loss of a packet's copy until a repair of it came, in order. */
  readonly latenciesMs: readonly number[];
  /** Packet numbers asked for, over all receivers, per lost packet. */
  readonly asked: number;
  /** What `asked` cannot be below, on average. */
  readonly least: number;
  /** Repairs beyond one, per lost packet. */
  readonly redundant: number;
  readonly delivered: number;
  readonly isAllDelivered: boolean;
}

const SEED = 7;
const MESSAGES = 200;
const MESSAGE_BYTES = 1_000;
const MESSAGE_EVERY_MS = 2;
const RECOVERY_MS = 20_000;
const SQNS = 1_000_000;
/** After so many rounds even a million receivers at 20 % loss have everything. */
const ROUNDS_MAX = 64;

/** What is lost in the world of a cell, and when it came after all. */
class LossWatch {
  readonly lostPackets = new Set<number>();
  readonly latenciesMs: number[] = [];
  readonly #world: World;
  readonly #lostAtMs = new Map<number, number>();
  readonly #reader = new PacketReader();
  #sent: Uint8Array | undefined;
  #isSentLost = false;

  constructor(world: World, loss: number, place: LossPlace) {
    this.#world = world;
    world.network.drops = (bytes, to, from): boolean => {
      const isDropped =
        place === 'own' ? world.random() < loss : this.#isLostForAll(bytes, to, from, loss);
      if (isDropped) this.#lost(bytes, to);
      return isDropped;
    };
    world.onDelivery = ({ to, bytes }): void => this.#delivered(bytes, to);
  }

  /** The publisher is the last node. A datagram to many is one array of bytes. */
  #isLostForAll(bytes: Uint8Array, to: number, from: number, loss: number): boolean {
    const isToOrFromPublisher = Math.max(to, from) === this.#world.nodeCount - 1;
    if (!isToOrFromPublisher) return false;
    if (bytes !== this.#sent) this.#isSentLost = this.#world.random() < loss;
    this.#sent = bytes;
    return this.#isSentLost;
  }

  #lost(bytes: Uint8Array, to: number): void {
    if (this.#reader.read(bytes) !== undefined || this.#reader.kind !== 'odata') return;
    this.#lostAtMs.set(to * SQNS + this.#reader.sqn, this.#world.nowMs);
    this.lostPackets.add(this.#reader.sqn);
  }

  #delivered(bytes: Uint8Array, to: number): void {
    if (this.#lostAtMs.size === 0 || this.#reader.read(bytes) !== undefined) return;
    if (this.#reader.kind !== 'rdata') return;
    const key = to * SQNS + this.#reader.sqn;
    const sinceMs = this.#lostAtMs.get(key);
    if (sinceMs === undefined || !this.#lostAtMs.delete(key)) return;
    this.latenciesMs.push(this.#world.nowMs - sinceMs);
  }
}

/** Runs a cell. */
export function matrixCell(loss: number, receiverCount: number, place: LossPlace): MatrixCell {
  const world = new World(SEED, { loss: 0, duplicate: 0, delayMsMin: 0.1, delayMsMax: 0.2 });
  const receivers = Array.from({ length: receiverCount }, () =>
    world.addReceiver({}, [], () => {}),
  );
  const { machine } = world.addPublisher();
  const { lostPackets, latenciesMs } = new LossWatch(world, loss, place);
  for (let n = 0; n < MESSAGES; n += 1) {
    machine.publish(new Uint8Array(MESSAGE_BYTES), world.wallClockUs, world.nowMs);
    world.run(world.nowMs + MESSAGE_EVERY_MS);
  }
  world.run(world.nowMs + RECOVERY_MS);
  const count = (of: 'nakSqnsSent' | 'messagesDelivered'): number => sum(receivers, of);
  const delivered = count('messagesDelivered');
  const perLost = (total: number): number =>
    lostPackets.size === 0 ? 0 : total / lostPackets.size;
  return {
    place,
    loss,
    receiverCount,
    lostPackets: lostPackets.size,
    latenciesMs: latenciesMs.toSorted((one, other) => one - other),
    asked: perLost(count('nakSqnsSent')),
    least: leastAsked(loss, place === 'own' ? receiverCount : 1),
    redundant: perLost(Math.max(0, machine.counters.repairsSent - lostPackets.size)),
    delivered,
    isAllDelivered: delivered === MESSAGES * receiverCount,
  };
}

/**
 * The requests that a packet needs which one of `receivers` has lost at least, each losing what is
 * sent to it by itself with the chance `loss`: as many repairs as the unluckiest of them needs, and
 * for each as many requests as it takes for one to arrive.
 */
export function leastAsked(loss: number, receivers: number): number {
  const isMissedBySome = (sendings: number): number => 1 - (1 - loss ** sendings) ** receivers;
  let rounds = 0;
  for (let sendings = 1; sendings <= ROUNDS_MAX; sendings += 1) rounds += isMissedBySome(sendings);
  return loss === 0 ? 0 : rounds / isMissedBySome(1) / (1 - loss);
}

function sum(
  receivers: readonly SimulatedReceiver[],
  of: 'nakSqnsSent' | 'messagesDelivered',
): number {
  return receivers.reduce((total, { machine }) => total + machine.counters[of], 0);
}
