// One deterministic world in which the real publishers and receivers talk over a simulated network.
// Time is a variable that jumps to the next deadline. One channel; nodes have addresses 10.0.0.1,
// 10.0.0.2 …, a publisher hears NAKs on its own port, receivers hear the group.

import {
  assert,
  type ChannelAddress,
  MESSAGE_BYTES_DEFAULT_MAX,
  type Random,
  randomSessionId,
  seededRandom,
  type SessionId,
} from '#base/mod.ts';
import {
  type Machine,
  Publisher,
  type PublisherEvent,
  type PublisherOptions,
  Receiver,
  type ReceiverEvent,
  type ReceiverOptions,
  type Remote,
  type ResumePoint,
} from '#multicast/core/mod.ts';
import { Network, type NetworkFaults } from './network.ts';

/** The channel of every simulated world. */
export const SIMULATED_CHANNEL: ChannelAddress = {
  group: '239.192.0.1',
  port: 7_500,
  dport: 7_501,
  framing: 'native',
};

/** Steps without the clock moving, after which a machine's deadline is taken to be stuck. */
const STEPS_AT_ONCE_MAX = 10_000;
const PUBLISHER_PORT_FIRST = 40_000;
/** Wall clock of the world at time zero: 2026-01-01T00:00:00Z in microseconds. */
const WALL_CLOCK_US = 1_767_225_600_000_000;

const FORGER: Remote = { address: '10.66.6.6', port: 666 };

interface Node {
  readonly machine: Machine;
  readonly address: string;
  readonly port: number;
  readonly onEvents: () => void;
  isUp: boolean;
}

/** A publisher in the world. */
export interface SimulatedPublisher {
  readonly machine: Publisher;
  readonly session: SessionId;
  readonly node: number;
  /** When it could take messages again, and when it was over. */
  readonly events: PublisherEvent[];
}

/** A receiver in the world, with all that it told. */
export interface SimulatedReceiver {
  readonly machine: Receiver;
  readonly events: ReceiverEvent[];
  readonly node: number;
}

/** The world. */
export class World {
  readonly random: Random;
  readonly network: Network;
  nowMs = 0;
  readonly #nodes: Node[] = [];

  constructor(seed: number, faults: NetworkFaults) {
    this.random = seededRandom(seed);
    this.network = new Network(faults, this.random);
  }

  /** The wall clock in microseconds. */
  get wallClockUs(): number {
    return WALL_CLOCK_US + Math.floor(this.nowMs * 1000);
  }

  /** Adds a publisher with a new session. */
  addPublisher(options: Partial<PublisherOptions> = {}): SimulatedPublisher {
    const index = this.#nodes.length;
    const session = options.session ?? randomSessionId(this.random);
    const events: PublisherEvent[] = [];
    const machine = new Publisher(
      {
        address: SIMULATED_CHANNEL,
        session,
        source: `publisher-${index}`,
        transport: {
          gsiHigh: Math.floor(this.random() * 0x1_0000),
          gsiLow: Math.floor(this.random() * 0x1_0000_0000),
          tsiSport: 1 + index,
          dataDport: SIMULATED_CHANNEL.dport,
        },
        nla: addressOf(index),
        nakPort: PUBLISHER_PORT_FIRST + index,
        packetBytesMax: 1_472,
        messageBytesMax: MESSAGE_BYTES_DEFAULT_MAX,
        windowPackets: 4_096,
        windowBytes: 64 * 1_048_576,
        rateBytesPerSec: 50_000_000,
        flushMs: 1,
        lingerMs: 2_000,
        ...options,
      },
      this.nowMs,
    );
    this.#add(machine, PUBLISHER_PORT_FIRST + index, () => {
      for (let event = machine.pollEvent(); event !== undefined; event = machine.pollEvent()) {
        events.push(event);
      }
    });
    return { machine, session, node: index, events };
  }

  /** Adds a receiver; `resume` are sessions it takes over. */
  addReceiver(
    options: Partial<ReceiverOptions> = {},
    resume: readonly ResumePoint[] = [],
  ): SimulatedReceiver {
    const events: ReceiverEvent[] = [];
    const machine = new Receiver({
      address: SIMULATED_CHANNEL,
      join: 'window',
      random: this.random,
      messageBytesMax: MESSAGE_BYTES_DEFAULT_MAX,
      repairTimeoutMs: 30_000,
      sourceExpiryMs: 30_000,
      ...options,
    });
    for (const point of resume) machine.restore(point, this.nowMs);
    const node = this.#nodes.length;
    this.#add(machine, SIMULATED_CHANNEL.port, () => {
      for (let event = machine.pollEvent(); event !== undefined; event = machine.pollEvent()) {
        events.push(event);
      }
    });
    return { machine, events, node };
  }

  /** A node stops in the middle of everything: it neither hears nor sends until it is woken. */
  stop(node: number): void {
    this.#node(node).isUp = false;
  }

  /** A stopped node goes on as it was; what was sent to it meanwhile is lost. */
  wake(node: number): void {
    this.#node(node).isUp = true;
  }

  /** Hands a datagram to a node past the network: what a forger on the same link could send. */
  inject(to: number, bytes: Uint8Array, from: Remote = FORGER): void {
    const node = this.#node(to);
    node.machine.handleDatagram(bytes, from, this.nowMs);
    this.#drain(node);
  }

  /** Lets the world run until `untilMs`, or until `isDone` holds. */
  run(untilMs: number, isDone: () => boolean = () => false): void {
    this.#drainAll();
    for (let steps = 0; this.nowMs < untilMs && !isDone(); steps += 1) {
      const nextMs = Math.min(untilMs, Math.max(this.nowMs, this.#nextAtMs()));
      if (nextMs > this.nowMs) steps = 0;
      assert(steps < STEPS_AT_ONCE_MAX, 'handling a deadline moves it');
      this.nowMs = nextMs;
      for (;;) {
        const datagram = this.network.receive(this.nowMs);
        if (datagram === undefined) break;
        const node = this.#nodes[datagram.to];
        if (!node?.isUp) continue;
        node.machine.handleDatagram(datagram.bytes, datagram.from, this.nowMs);
        this.#drain(node);
      }
      for (const node of this.#nodes) {
        if (!node.isUp || node.machine.nextDeadlineMs > this.nowMs) continue;
        node.machine.handleTimeout(this.nowMs);
        this.#drain(node);
      }
    }
  }

  #add(machine: Machine, port: number, onEvents: () => void): void {
    const address = addressOf(this.#nodes.length);
    this.#nodes.push({ machine, address, port, onEvents, isUp: true });
  }

  #node(index: number): Node {
    const node = this.#nodes[index];
    assert(node !== undefined, 'a node of the world has an index in it');
    return node;
  }

  #nextAtMs(): number {
    let nextMs = this.network.nextAtMs;
    for (const node of this.#nodes) {
      if (node.isUp) nextMs = Math.min(nextMs, node.machine.nextDeadlineMs);
    }
    return nextMs;
  }

  #drainAll(): void {
    for (const node of this.#nodes) if (node.isUp) this.#drain(node);
  }

  #drain(node: Node): void {
    for (;;) {
      const transmit = node.machine.pollTransmit();
      if (transmit === undefined) break;
      const from = { address: node.address, port: node.port };
      for (const [index, other] of this.#nodes.entries()) {
        const isGroup = transmit.address === SIMULATED_CHANNEL.group;
        const hears = isGroup
          ? other.port === SIMULATED_CHANNEL.port
          : other.address === transmit.address && other.port === transmit.port;
        if (hears && other.isUp) this.network.send(transmit.bytes, index, from, this.nowMs);
      }
    }
    node.onEvents();
  }
}

function addressOf(node: number): string {
  return `10.0.${Math.floor(node / 250)}.${(node % 250) + 1}`;
}
