// One channel as it is heard: the receiving machine, its sockets and the loop between them. Knows
// what is delivered, not who reads it nor how much of it may wait.

import { endpointText } from '#base/mod.ts';
import {
  type LatencySnapshot,
  Receiver,
  type ReceiverCounters,
  type ReceiverEvent,
  type ReceiverOptions,
} from '#multicast/core/mod.ts';
import {
  authenticatorOf,
  Driver,
  GatedSocket,
  newTransportCounters,
  openReceiverTransport,
  processRandom,
  type TransportCounters,
  type TransportOptions,
} from '#multicast/udp/mod.ts';

/** What a subscriber is opened with. */
export interface OpenSubscriberOptions
  extends Pick<ReceiverOptions, 'messageBytesMax' | 'repairTimeoutMs' | 'sourceExpiryMs'>,
    TransportOptions {
  readonly receiveBufferBytes: number;
}

/** What a feed hands on, and when it may not. */
export interface LiveFeedOptions extends OpenSubscriberOptions {
  /** Asked for every datagram: what is refused is dropped here, and asked for again later. */
  readonly hasRoom: () => boolean;
  readonly onEvent: (event: ReceiverEvent) => void;
  /** After the events of one turn. */
  readonly onTurn: () => void;
}

/** An open feed. Disposing leaves the group. */
export class LiveFeed implements AsyncDisposable {
  readonly #receiver: Receiver;
  readonly #resources = new AsyncDisposableStack();
  readonly #options: LiveFeedOptions;
  #gate: GatedSocket | undefined;
  #countTransport: () => TransportCounters = newTransportCounters;

  private constructor(options: LiveFeedOptions) {
    this.#options = options;
    this.#receiver = new Receiver({
      ...options,
      join: 'live',
      random: processRandom(),
      authenticator: authenticatorOf(options.address, options.keys),
    });
  }

  /**
   * Joins the group. Errors: BACKCAST_INTERFACE_UNUSABLE, BACKCAST_PORT_IN_USE,
   * BACKCAST_KEYS_MISSING.
   */
  static async open(options: LiveFeedOptions): Promise<LiveFeed> {
    const feed = new LiveFeed(options);
    const resources = feed.#resources;
    try {
      const { group, send, count } = await openReceiverTransport(resources, options);
      feed.#countTransport = count;
      feed.#gate = new GatedSocket(group, options.hasRoom);
      const driver = new Driver({
        machine: feed.#receiver,
        receiveFrom: [feed.#gate, send],
        sendThrough: send,
        onEvents: () => feed.#takeEvents(),
      });
      resources.use(driver);
      return feed;
    } catch (error) {
      await resources.disposeAsync();
      throw error;
    }
  }

  /** Numbers since the feed opened. */
  get counters(): Readonly<ReceiverCounters> {
    return this.#receiver.counters;
  }

  /** How long repairs took, over all sessions. */
  get repairLatency(): LatencySnapshot {
    return this.#receiver.repairLatency.snapshot();
  }

  /** What sockets, injected faults and capture have counted. */
  get transportCounters(): TransportCounters {
    return this.#countTransport();
  }

  /** Datagrams dropped because there was no room. */
  get overrunDatagrams(): number {
    return this.#gate?.overrunDatagrams ?? 0;
  }

  /** Address and port on which the channel is heard: its group, or a place of this receiver. */
  get listensAt(): string {
    return this.#gate === undefined
      ? ''
      : endpointText(this.#gate.localAddress, this.#gate.localPort);
  }

  /** Leaves the group. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }

  #takeEvents(): void {
    const { onEvent, onTurn } = this.#options;
    for (let event = this.#receiver.pollEvent(); event !== undefined; ) {
      onEvent(event);
      event = this.#receiver.pollEvent();
    }
    onTurn();
  }
}
