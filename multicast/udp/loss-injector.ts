// Faults on purpose: a socket before a socket, which drops or doubles datagrams by chance. It is
// part of the product, not of the tests, so that a running installation can show how it bears a bad
// network. With a seed, the same datagrams in the same order meet the same faults.

import { BackcastError, seededRandom, type Random } from '#base/mod.ts';
import type { Remote } from '#multicast/core/mod.ts';
import { PacketReader, type PacketKind } from '#multicast/wire/mod.ts';
import { processRandom } from './clock.ts';
import type { DatagramHandler, DatagramSocket, SocketCounters } from './socket.ts';

/** What to do to datagrams. Chances are 0 to 1. */
export interface FaultSpec {
  readonly receiveLoss: number;
  readonly sendLoss: number;
  readonly receiveDuplicate: number;
  readonly sendDuplicate: number;
  /** Without a seed, each run has other faults. */
  readonly seed?: number;
  /** Only packets of these kinds meet faults; without it, all do. */
  readonly kinds?: readonly FaultKind[];
  /** Decides instead of chance, for scripted faults: true drops the datagram. */
  readonly drop?: (bytes: Uint8Array, direction: FaultDirection) => boolean;
}

/** Kinds of packets, and `malformed` for datagrams that are no packets. */
export type FaultKind = PacketKind | 'malformed';
/** Which way a datagram goes. */
export type FaultDirection = 'receive' | 'send';

/** What was dropped and doubled, by direction and kind of packet. */
export interface FaultCounters {
  readonly dropped: Readonly<Record<FaultDirection, Readonly<Record<FaultKind, number>>>>;
  readonly duplicated: Readonly<Record<FaultDirection, Readonly<Record<FaultKind, number>>>>;
}

/** A socket with faults. Its own counters are those of the socket behind it. */
export interface FaultySocket extends DatagramSocket {
  readonly faults: FaultCounters;
}

const KINDS: readonly FaultKind[] = [
  'spm',
  'odata',
  'rdata',
  'nak',
  'ncf',
  'spmr',
  'ack',
  'other',
  'malformed',
];

const CHANCES = {
  'receive-loss': 'receiveLoss',
  'send-loss': 'sendLoss',
  'receive-duplicate': 'receiveDuplicate',
  'send-duplicate': 'sendDuplicate',
} as const satisfies Record<string, keyof FaultSpec>;

/** No faults: what a spec starts from. */
export const NO_FAULTS: FaultSpec = {
  receiveLoss: 0,
  sendLoss: 0,
  receiveDuplicate: 0,
  sendDuplicate: 0,
};

/**
 * Reads a spec such as `receive-loss=0.05,send-loss=0.05,seed=7,kinds=odata+rdata`. Errors:
 * BACKCAST_USAGE, which names the part that is wrong and what is possible.
 */
export function parseFaultSpec(text: string): FaultSpec {
  return text.split(',').reduce<FaultSpec>((spec, part) => withPart(spec, part.trim()), NO_FAULTS);
}

function withPart(spec: FaultSpec, part: string): FaultSpec {
  const [name = '', value = ''] = part.split('=', 2);
  if (isChance(name)) return { ...spec, [CHANCES[name]]: parseChance(part, value) };
  if (name === 'seed') return { ...spec, seed: parseSeed(part, value) };
  if (name === 'kinds') return { ...spec, kinds: parseKinds(part, value) };
  const names = [...Object.keys(CHANCES), 'seed', 'kinds'].join(', ');
  throw usage(`"${part}" is not a fault; possible are ${names}, each as name=value.`);
}

function isChance(name: string): name is keyof typeof CHANCES {
  return Object.hasOwn(CHANCES, name);
}

function parseChance(part: string, value: string): number {
  const chance = Number(value);
  if (value !== '' && chance >= 0 && chance <= 1) return chance;
  throw usage(`"${part}" needs a chance from 0 to 1, such as 0.05 for one in twenty.`);
}

function parseSeed(part: string, value: string): number {
  const seed = Number(value);
  if (value !== '' && Number.isSafeInteger(seed) && seed >= 0) return seed;
  throw usage(`"${part}" needs a whole number, such as 7.`);
}

function parseKinds(part: string, value: string): FaultKind[] {
  return value.split('+').map((name) => {
    const kind = KINDS.find((kind) => kind === name);
    if (kind !== undefined) return kind;
    throw usage(`"${part}" names "${name}"; kinds of packets are ${KINDS.join(', ')}.`);
  });
}

function usage(problem: string): BackcastError {
  return new BackcastError('BACKCAST_USAGE', `The faults to inject are not valid: ${problem}`);
}

/**
 * Puts faults before `socket`. The result takes its place; disposing the result disposes the
 * socket.
 */
export function injectFaults(socket: DatagramSocket, spec: FaultSpec): FaultySocket {
  return new LossInjector(socket, spec);
}

class LossInjector implements FaultySocket {
  readonly #socket: DatagramSocket;
  readonly #spec: FaultSpec;
  readonly #random: Readonly<Record<FaultDirection, Random>>;
  readonly #reader = new PacketReader();
  readonly #dropped = { receive: zeroes(), send: zeroes() };
  readonly #duplicated = { receive: zeroes(), send: zeroes() };
  readonly faults: FaultCounters = { dropped: this.#dropped, duplicated: this.#duplicated };
  onDatagram: DatagramHandler = () => undefined;

  constructor(socket: DatagramSocket, spec: FaultSpec) {
    this.#socket = socket;
    this.#spec = spec;
    this.#random = randomPerDirection(spec.seed);
    socket.onDatagram = this.#receive;
  }

  get localAddress(): string {
    return this.#socket.localAddress;
  }

  get localPort(): number {
    return this.#socket.localPort;
  }

  get counters(): Readonly<SocketCounters> {
    return this.#socket.counters;
  }

  send(bytes: Uint8Array, address: string, port: number): void {
    const { sendLoss, sendDuplicate } = this.#spec;
    const copies = this.#copies(bytes, 'send', sendLoss, sendDuplicate);
    for (let copy = 0; copy < copies; copy += 1) this.#socket.send(bytes, address, port);
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    this.onDatagram = () => undefined;
    return this.#socket[Symbol.asyncDispose]();
  }

  readonly #receive = (bytes: Uint8Array, remote: Remote): void => {
    const { receiveLoss, receiveDuplicate } = this.#spec;
    const copies = this.#copies(bytes, 'receive', receiveLoss, receiveDuplicate);
    for (let copy = 0; copy < copies; copy += 1) this.onDatagram(bytes, remote);
  };

  // How many times the datagram goes on: 0 dropped, 2 doubled.
  #copies(bytes: Uint8Array, direction: FaultDirection, loss: number, duplicate: number): number {
    const kind = this.#reader.read(bytes) === undefined ? this.#reader.kind : 'malformed';
    const random = this.#random[direction];
    // Two draws for every datagram, whatever becomes of it: faults then do not shift one another.
    const isLost = random() < loss;
    const isDoubled = random() < duplicate;
    const { drop, kinds } = this.#spec;
    if (kinds !== undefined && !kinds.includes(kind)) return 1;
    if (drop === undefined ? isLost : drop(bytes, direction)) {
      this.#dropped[direction][kind] += 1;
      return 0;
    }
    if (!isDoubled) return 1;
    this.#duplicated[direction][kind] += 1;
    return 2;
  }
}

// One generator per direction: how sends and receptions interleave is not for the seed to decide.
function randomPerDirection(seed: number | undefined): Record<FaultDirection, Random> {
  if (seed === undefined) return { receive: processRandom(), send: processRandom() };
  const parent = seededRandom(seed);
  return {
    receive: seededRandom(Math.floor(parent() * 2 ** 32)),
    send: seededRandom(Math.floor(parent() * 2 ** 32)),
  };
}

function zeroes(): Record<FaultKind, number> {
  return { spm: 0, odata: 0, rdata: 0, nak: 0, ncf: 0, spmr: 0, ack: 0, other: 0, malformed: 0 };
}
