// One cell of the matrix: what repair costs for one share of lost datagrams and one number of
// receivers, in a world with a fixed seed. All kinds of datagrams are lost alike.

import { PacketReader } from '#multicast/wire/mod.ts';
import { World } from './world.ts';

/** The shares of loss and the numbers of receivers that the matrix crosses. */
export const MATRIX_LOSSES: readonly number[] = [0, 0.01, 0.05, 0.1, 0.2];
export const MATRIX_RECEIVERS: readonly number[] = [1, 10, 100, 1_000];

const SEED = 7;
const MESSAGES = 200;
const MESSAGE_BYTES = 1_000;
const MESSAGE_EVERY_MS = 2;
const RECOVERY_MS = 20_000;
const SQNS = 1_000_000;

/** Runs a cell and writes it as a line of the matrix. */
export function matrixLine(loss: number, receiverCount: number): string {
  const world = new World(SEED, { loss: 0, duplicate: 0, delayMsMin: 0.1, delayMsMax: 0.2 });
  const lostAtMs = new Map<number, number>();
  const lostPackets = new Set<number>();
  const latenciesMs: number[] = [];
  const reader = new PacketReader();
  world.network.drops = (bytes, to): boolean => {
    if (world.random() >= loss) return false;
    if (reader.read(bytes) === undefined && reader.kind === 'odata') {
      lostAtMs.set(to * SQNS + reader.sqn, world.nowMs);
      lostPackets.add(reader.sqn);
    }
    return true;
  };
  world.onDelivery = ({ to, bytes }): void => {
    if (lostAtMs.size === 0 || reader.read(bytes) !== undefined || reader.kind !== 'rdata') return;
    const key = to * SQNS + reader.sqn;
    const sinceMs = lostAtMs.get(key);
    if (sinceMs !== undefined && lostAtMs.delete(key)) latenciesMs.push(world.nowMs - sinceMs);
  };
  const receivers = Array.from({ length: receiverCount }, () =>
    world.addReceiver({}, [], () => {}),
  );
  const { machine } = world.addPublisher();
  for (let n = 0; n < MESSAGES; n += 1) {
    machine.publish(new Uint8Array(MESSAGE_BYTES), world.wallClockUs, world.nowMs);
    world.run(world.nowMs + MESSAGE_EVERY_MS);
  }
  world.run(world.nowMs + RECOVERY_MS);
  const sum = { asked: 0, delivered: 0 };
  for (const { machine: receiver } of receivers) {
    sum.asked += receiver.counters.nakSqnsSent;
    sum.delivered += receiver.counters.messagesDelivered;
  }
  const lost = lostPackets.size;
  const perLost = (count: number): string => (lost === 0 ? '-' : (count / lost).toFixed(2));
  const redundant = Math.max(0, machine.counters.repairsSent - lost);
  latenciesMs.sort((one, other) => one - other);
  const cells = [
    `${loss * 100} %`,
    receiverCount,
    lost,
    atShare(latenciesMs, 0.5),
    atShare(latenciesMs, 0.99),
    perLost(sum.asked),
    perLost(redundant),
    sum.delivered === MESSAGES * receiverCount ? 'all' : sum.delivered,
  ];
  return matrixRow(cells);
}

/** Cells as a row of the matrix. */
export function matrixRow(cells: readonly (string | number)[]): string {
  return cells.map((cell) => String(cell).padStart(11)).join('');
}

function atShare(sortedMs: readonly number[], share: number): string {
  const ms = sortedMs[Math.floor(share * (sortedMs.length - 1))];
  return ms === undefined ? '-' : ms.toFixed(1);
}
