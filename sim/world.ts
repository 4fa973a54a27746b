// One deterministic world in which the real publishers and receivers talk over a simulated network.
// Time is a variable that jumps to the next deadline. One channel; nodes have addresses 10.0.0.1,
// 10.0.0.2 …, a publisher hears NAKs on its own port and the group's, receivers hear the group.

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
import { withoutPrivateOptions } from './foreign.ts';
import { DueHeap } from './heap.ts';
import { type InFlight, Network, type NetworkFaults, type Origin } from './network.ts';

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
  readonly origin: Origin;
  readonly onEvents: () => void;
  isUp: boolean;
  /** The earliest time at which the world will look at this node; Infinity if never. */
  wakesAtMs: number;
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
  /** Sees every datagram that reaches a node: for a trace. */
  onDelivery: (datagram: InFlight) => void = () => {};
  /** Nodes that pass for another implementation: what they send lacks our private options. */
  readonly foreignNodes: Set<number> = new Set();
  /** Sees every datagram as it is sent, once for all whom it goes to. */
  onSend: (bytes: Uint8Array, from: Origin) => void = () => {};
  readonly #nodes: Node[] = [];
  readonly #listeners: number[] = [];
  readonly #byAddress = new Map<string, number>();
  readonly #deadlines = new DueHeap<{ readonly node: Node; readonly atMs: number }>();
  readonly #actions = new DueHeap<() => void>();

  constructor(seed: number, faults: NetworkFaults) {
    this.random = seededRandom(seed);
    this.network = new Network(faults, this.random);
  }

  /** The wall clock in microseconds. */
  get wallClockUs(): number {
    return WALL_CLOCK_US + Math.floor(this.nowMs * 1000);
  }

  /** Publishers and receivers that were ever added; the last one added has the number before. */
  get nodeCount(): number {
    return this.#nodes.length;
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

  /**
   * Adds a receiver; `resume` are open sessions it takes over. What it tells goes to `onEvent`, or
   * else into `events`.
   */
  addReceiver(
    options: Partial<ReceiverOptions> = {},
    resume: readonly ResumePoint[] = [],
    onEvent?: (event: ReceiverEvent) => void,
  ): SimulatedReceiver {
    const events: ReceiverEvent[] = [];
    const take = onEvent ?? ((event: ReceiverEvent): unknown => events.push(event));
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
    this.#listeners.push(node);
    this.#add(machine, SIMULATED_CHANNEL.port, () => {
      for (let event = machine.pollEvent(); event !== undefined; event = machine.pollEvent()) {
        take(event);
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
    this.#lookAt(this.#node(node));
  }

  /** Whether the node is neither stopped nor crashed. */
  isUp(node: number): boolean {
    return this.#node(node).isUp;
  }

  /** Does `action` at `atMs`, after what arrives then. */
  schedule(atMs: number, action: () => void): void {
    this.#actions.push(action, atMs);
  }

  /** Sends what a command of the application left behind in the node's machine. */
  flush(node: number): void {
    const touched = this.#node(node);
    if (touched.isUp) this.#drain(touched);
  }

  /** Hands a datagram to a node past the network: what a forger on the same link could send. */
  inject(to: number, bytes: Uint8Array, from: Remote = FORGER): void {
    const node = this.#node(to);
    node.machine.handleDatagram(bytes, from, this.nowMs);
    this.#drain(node);
  }

  /** Lets the world run until `untilMs`, or until `isDone` holds. */
  run(untilMs: number, isDone: () => boolean = () => false): void {
    for (const node of this.#nodes) if (node.isUp) this.#drain(node);
    for (let steps = 0; this.nowMs < untilMs && !isDone(); steps += 1) {
      const nextMs = Math.min(untilMs, Math.max(this.nowMs, this.#nextAtMs()));
      if (nextMs > this.nowMs) steps = 0;
      assert(steps < STEPS_AT_ONCE_MAX, 'handling a deadline moves it');
      this.nowMs = nextMs;
      this.#deliver();
      this.#passTime();
      for (let action = this.#actions.take(nextMs); action !== undefined; ) {
        action();
        action = this.#actions.take(nextMs);
      }
    }
  }

  #deliver(): void {
    for (;;) {
      const datagram = this.network.receive(this.nowMs);
      if (datagram === undefined) return;
      const node = this.#nodes[datagram.to];
      if (!node?.isUp) continue;
      this.onDelivery(datagram);
      node.machine.handleDatagram(datagram.bytes, datagram.from, this.nowMs);
      this.#drain(node);
    }
  }

  /** Each node whose deadline has come gets one call: what is due again then waits its turn. */
  #passTime(): void {
    const due: Node[] = [];
    for (;;) {
      const look = this.#deadlines.take(this.nowMs);
      if (look === undefined) break;
      // An earlier look has been arranged since: this one is stale.
      if (look.atMs !== look.node.wakesAtMs) continue;
      due.push(look.node);
      look.node.wakesAtMs = Number.POSITIVE_INFINITY;
    }
    for (const node of due) {
      if (!node.isUp) continue;
      if (node.machine.nextDeadlineMs <= this.nowMs) {
        node.machine.handleTimeout(this.nowMs);
        this.#drain(node);
      } else this.#lookAt(node);
    }
  }

  #add(machine: Machine, port: number, onEvents: () => void): void {
    const index = this.#nodes.length;
    const address = addressOf(index);
    const origin = { node: index, address, port };
    this.#nodes.push({
      machine,
      origin,
      onEvents,
      isUp: true,
      wakesAtMs: Number.POSITIVE_INFINITY,
    });
    for (const heardAt of [port, SIMULATED_CHANNEL.port])
      this.#byAddress.set(`${address}:${heardAt}`, index);
    this.#lookAt(this.#node(index));
  }

  #node(index: number): Node {
    const node = this.#nodes[index];
    assert(node !== undefined, 'a node of the world has an index in it');
    return node;
  }

  #nextAtMs(): number {
    return Math.min(this.network.nextAtMs, this.#deadlines.nextAtMs, this.#actions.nextAtMs);
  }

  /** Makes sure that the world is back at the node in time. A deadline that moved costs a look. */
  #lookAt(node: Node): void {
    const deadlineMs = Math.max(this.nowMs, node.machine.nextDeadlineMs);
    if (deadlineMs >= node.wakesAtMs) return;
    node.wakesAtMs = deadlineMs;
    this.#deadlines.push({ node, atMs: deadlineMs }, deadlineMs);
  }

  #drain(node: Node): void {
    for (;;) {
      const transmit = node.machine.pollTransmit();
      if (transmit === undefined) break;
      // A repair is marked in place, so what is under way needs bytes of its own; once for all.
      const copy = transmit.bytes.slice();
      const bytes = this.foreignNodes.has(node.origin.node) ? withoutPrivateOptions(copy) : copy;
      this.onSend(bytes, node.origin);
      if (transmit.address === SIMULATED_CHANNEL.group) {
        for (const listener of this.#listeners) this.#send(bytes, listener, node.origin);
      } else {
        const to = this.#byAddress.get(`${transmit.address}:${transmit.port}`);
        if (to !== undefined) this.#send(bytes, to, node.origin);
      }
    }
    node.onEvents();
    this.#lookAt(node);
  }

  #send(bytes: Uint8Array, to: number, from: Origin): void {
    if (this.#node(to).isUp) this.network.send(bytes, to, from, this.nowMs);
  }
}

function addressOf(node: number): string {
  return `10.0.${Math.floor(node / 250)}.${(node % 250) + 1}`;
}
