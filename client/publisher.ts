// A publisher for applications: the protocol machine, a socket and the clocks behind three calls.
// Awaiting `publish` is the back-pressure: it resolves when the message is in the window, at once
// unless as much waits to be sent as half the window holds, or too much is not archived. Knows no
// registry: the caller brings the address.

import { hostname } from 'node:os';
import {
  BackcastError,
  type MemberSource,
  type Framing,
  randomBelow,
  randomSessionId,
  type SessionId,
} from '#base/mod.ts';
import {
  Publisher,
  type PublisherCounters,
  type PublisherEvent,
  type PublisherOptions,
  type PublisherSnapshot,
} from '#multicast/core/mod.ts';
import {
  authenticatorOf,
  type DatagramSocket,
  Driver,
  monotonicMs,
  openPublisherTransport,
  processRandom,
  type TransportCounters,
  type TransportOptions,
  wallClockUs,
} from '#multicast/udp/mod.ts';
import {
  type TransportSession,
  ZMQ_FRAME_HEADER_BYTES_MAX,
  zmqMessage,
} from '#multicast/wire/mod.ts';
import { ArchiveWaits } from './archive-waits.ts';
import { checkedOptions, requireBytes, requireNative } from './publisher-checks.ts';
import { TimeLimit, type WaitOptions } from './time-limit.ts';

/** What a publisher is opened with. */
export interface OpenPublisherOptions
  extends Pick<
      PublisherOptions,
      | 'packetBytesMax'
      | 'messageBytesMax'
      | 'windowPackets'
      | 'windowBytes'
      | 'rateBytesPerSec'
      | 'pace'
      | 'flushMs'
      | 'lingerMs'
      | 'unarchivedBytesMax'
    >,
    TransportOptions {
  /** Name of the publisher across restarts; the host's name by default. */
  readonly source?: string;
}

/** How far `publish` goes, and how long that may take. */
export interface PublishOptions extends WaitOptions {
  /** `accepted`, the default: into the stream. `archived`: until the archive has committed it. */
  readonly until?: 'accepted' | 'archived';
}

/** An open publisher. Disposing closes it. */
export class ChannelPublisher implements AsyncDisposable {
  readonly session: SessionId;
  /** Name of the publisher across restarts. */
  readonly source: string;
  /** IP address that it sends from and is asked at. */
  readonly address: string;
  /** The largest message it takes. */
  readonly messageBytesMax: number;
  readonly #framing: Framing;
  readonly #machine: Publisher;
  readonly #resources: AsyncDisposableStack;
  readonly #driver: Driver;
  readonly #countTransport: () => TransportCounters;
  readonly #closed = Promise.withResolvers<void>();
  readonly #waits: ArchiveWaits;
  #writable: PromiseWithResolvers<void> | undefined;

  private constructor(parts: {
    readonly machine: Publisher;
    readonly options: PublisherOptions;
    readonly resources: AsyncDisposableStack;
    readonly countTransport: () => TransportCounters;
    readonly makeDriver: (onEvents: () => void) => Driver;
  }) {
    this.session = parts.options.session;
    this.source = parts.options.source;
    this.address = parts.options.nla;
    this.#machine = parts.machine;
    this.#waits = new ArchiveWaits((sequence) => parts.machine.archiveStateOf(sequence));
    this.#framing = parts.options.address.framing;
    const headerBytes = this.#framing === 'zmq' ? ZMQ_FRAME_HEADER_BYTES_MAX : 0;
    this.messageBytesMax = parts.options.messageBytesMax - headerBytes;
    this.#resources = parts.resources;
    this.#countTransport = parts.countTransport;
    this.#driver = parts.resources.use(parts.makeDriver(() => this.#takeEvents()));
  }

  /**
   * Opens the socket and starts the session; lets go of `resources` when it is closed, or cannot be
   * opened. Errors: BACKCAST_INTERFACE_UNUSABLE, BACKCAST_CONFIG_INVALID, BACKCAST_KEYS_MISSING,
   * BACKCAST_USAGE (faults).
   */
  static async open(
    options: OpenPublisherOptions,
    resources: AsyncDisposableStack = new AsyncDisposableStack(),
  ): Promise<ChannelPublisher> {
    try {
      const fitted = checkedOptions(options);
      const authenticator = authenticatorOf(options.address, options.keys);
      const transport = describeTransport(fitted);
      const opening = { ...fitted, transport };
      const { send, receiveFrom, count } = await openPublisherTransport(resources, opening);
      const machineOptions = { ...describeMachine(opening, send), authenticator };
      const machine = new Publisher(machineOptions, monotonicMs());
      const makeDriver = (onEvents: () => void): Driver =>
        new Driver({ machine, receiveFrom, sendThrough: send, onEvents });
      const publisher = new ChannelPublisher({
        machine,
        options: machineOptions,
        resources,
        countTransport: count,
        makeDriver,
      });
      publisher.#greet(options.unicast?.members);
      return publisher;
    } catch (error) {
      await resources.disposeAsync();
      throw error;
    }
  }

  /** Numbers since the publisher opened. */
  get counters(): Readonly<PublisherCounters> {
    return this.#machine.counters;
  }

  /** Where the publisher stands now: its rate, and what waits. */
  snapshot(): PublisherSnapshot {
    return this.#machine.snapshot();
  }

  /** What sockets, injected faults and capture have counted. */
  get transportCounters(): TransportCounters {
    return this.#countTransport();
  }

  /** Sequence of the last message published; 0 before the first. */
  get lastSequence(): number {
    return this.#machine.nextSequence - 1;
  }

  /**
   * Takes the message if there is room now, and says whether it did; its bytes are copied. On a
   * channel of framing `zmq` it is a message of one part. Errors: BACKCAST_MESSAGE_TOO_LARGE,
   * BACKCAST_PUBLISHER_CLOSED, BACKCAST_USAGE for what is no bytes.
   */
  tryPublish(payload: Uint8Array, publishedAtUs: number = wallClockUs()): boolean {
    requireBytes(payload);
    const message = this.#framing === 'zmq' ? zmqMessage([payload]) : payload;
    return this.#tryMessage(message, payload.length, publishedAtUs);
  }

  /**
   * Takes the message, waiting for room, and with `until: 'archived'` until an archiver that
   * acknowledges has committed it; resolves with its sequence. Errors: those of tryPublish;
   * BACKCAST_PUBLISH_TIMEOUT if there was no room in time, and it is not published; the reason of
   * `signal` at any time; and those of `archived`, when it is published.
   */
  async publish(payload: Uint8Array, options?: PublishOptions): Promise<number> {
    if (options !== undefined) return this.#publishWithin(payload, options);
    while (!this.tryPublish(payload)) await this.writable();
    return this.lastSequence;
  }

  /** Through which sequence the archive has accounted for everything, as a message or as lost. */
  get archivedThrough(): number {
    return this.#machine.archivedThrough;
  }

  /**
   * Resolves when the message `sequence`, which was published, is archived. Errors:
   * BACKCAST_MESSAGE_LOST: the archive has declared it lost; BACKCAST_ARCHIVE_TIMEOUT: nothing is
   * known in time, and it may be archived all the same; BACKCAST_ARCHIVE_UNKNOWN: nobody can tell;
   * BACKCAST_USAGE where nobody acknowledges, or there is no such message; the reason of `signal`.
   */
  async archived(sequence: number, options: WaitOptions = {}): Promise<void> {
    requireNative(this.#framing);
    if (!Number.isInteger(sequence) || sequence < 1 || sequence > this.lastSequence) {
      const problem = `There is no message ${sequence}: ${this.lastSequence} were published.`;
      throw new BackcastError('BACKCAST_USAGE', problem);
    }
    await this.#waits.wait(sequence, new TimeLimit(options));
  }

  /**
   * Takes a message of several parts, at least one, waiting for room; resolves with its sequence.
   * Only on a channel of framing `zmq`: BACKCAST_USAGE elsewhere. Other errors as tryPublish.
   */
  async publishParts(parts: readonly Uint8Array[]): Promise<number> {
    if (this.#framing !== 'zmq' || parts.length === 0) {
      const problem = 'A message has several parts only on a channel of framing zmq, and then one';
      throw new BackcastError('BACKCAST_USAGE', `${problem} at least; use publish().`);
    }
    parts.forEach(requireBytes);
    const message = zmqMessage(parts);
    while (!this.#tryMessage(message, message.length, wallClockUs())) await this.writable();
    return this.lastSequence;
  }

  async #publishWithin(payload: Uint8Array, options: PublishOptions): Promise<number> {
    const isDurable = options.until === 'archived';
    if (isDurable) requireNative(this.#framing);
    options.signal?.throwIfAborted();
    const limit = new TimeLimit(options);
    while (!this.tryPublish(payload)) {
      await limit.bound(this.writable(), () => noRoom(limit.timeoutMs, this.snapshot()));
    }
    const sequence = this.lastSequence;
    if (isDurable) await this.#waits.wait(sequence, limit);
    return sequence;
  }

  #tryMessage(message: Uint8Array, messageBytes: number, publishedAtUs: number): boolean {
    const outcome = this.#machine.publish(message, publishedAtUs, monotonicMs());
    this.#driver.schedule();
    if (outcome === 'would_block') this.#writable ??= Promise.withResolvers<void>();
    if (outcome === 'too_large') {
      const problem =
        `The message has ${messageBytes} bytes; at most ${this.messageBytesMax} are allowed ` +
        '(publisher.messageBytesMax, or what the framing raw takes).';
      throw new BackcastError('BACKCAST_MESSAGE_TOO_LARGE', problem);
    }
    if (outcome === 'closed') {
      throw new BackcastError(
        'BACKCAST_PUBLISHER_CLOSED',
        'This publisher is closed; open a new one.',
      );
    }
    return outcome === 'accepted';
  }

  /**
   * Resolves when there may be room again, or the publisher is closed; at once if it may be now.
   */
  async writable(): Promise<void> {
    await this.#writable?.promise;
  }

  /**
   * Sends what was accepted, marks the end, answers repairs for the linger, then lets go of
   * everything. Who then still waits for a message to be archived is told that nobody will know.
   */
  async close(): Promise<void> {
    this.#machine.close(monotonicMs());
    this.#driver.schedule();
    await this.#closed.promise;
    await this.#resources.disposeAsync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Who comes new hears at once what there is. */
  #greet(members: MemberSource | undefined): void {
    if (members === undefined) return;
    const watch = members.watch(() => {
      this.#machine.handleNewListener(monotonicMs());
      this.#driver.schedule();
    });
    this.#resources.use(watch);
  }

  #takeEvent(event: PublisherEvent): void {
    if (event.kind === 'archived') return this.#waits.archived(event.through);
    if (event.kind === 'archive_went_back') return this.#waits.wentBack(event.through);
    if (event.kind === 'closed') {
      this.#waits.close();
      this.#closed.resolve();
    }
    this.#writable?.resolve();
    this.#writable = undefined;
  }

  #takeEvents(): void {
    for (let event = this.#machine.pollEvent(); event !== undefined; ) {
      this.#takeEvent(event);
      event = this.#machine.pollEvent();
    }
  }
}

function noRoom(timeoutMs: number, { unarchivedBytes }: PublisherSnapshot): BackcastError {
  return new BackcastError(
    'BACKCAST_PUBLISH_TIMEOUT',
    `There was no room for the message within ${timeoutMs} ms; it is not published. ` +
      `${unarchivedBytes} bytes are not known to be archived (publisher.unarchivedBytesMax).`,
  );
}

/** A transport identity of its own, drawn anew for each session. */
function describeTransport({ address: { dport } }: OpenPublisherOptions): TransportSession {
  const random = processRandom();
  const port = 1 + randomBelow(random, 0xfffe);
  return {
    gsiHigh: randomBelow(random, 0x1_0000),
    gsiLow: randomBelow(random, 0x1_0000_0000),
    // Never the dport: who sees the two swapped could not tell which way a packet travels.
    tsiSport: port < dport ? port : port + 1,
    dataDport: dport,
  };
}

/** A session of its own, under that identity. */
function describeMachine(
  options: OpenPublisherOptions & { readonly transport: TransportSession },
  send: DatagramSocket,
): PublisherOptions {
  return {
    ...options,
    session: randomSessionId(processRandom()),
    source: options.source ?? hostname(),
    nla: send.localAddress,
    nakPort: send.localPort,
  };
}
