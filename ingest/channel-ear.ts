// One place at which a channel is heard: its sockets, its receiver, its driver. What the receiver
// tells goes to the owner, which may have several: a channel that moves is heard at both places.

import type { ChannelAddress, MemberAddress, SessionId } from '#base/mod.ts';
import {
  type Acknowledgement,
  type LatencySnapshot,
  Receiver,
  type ReceiverCounters,
  type ReceiverEvent,
  type ReceiverOptions,
  type ResumePoint,
} from '#multicast/core/mod.ts';
import {
  authenticatorOf,
  Driver,
  GatedSocket,
  monotonicMs,
  newTransportCounters,
  openReceiverTransport,
  processRandom,
  type ReceiverTransport,
  type TransportCounters,
} from '#multicast/udp/mod.ts';
import type { ChannelRecorderOptions } from './recorder-options.ts';

/** What an ear needs from its owner. */
export interface EarOptions
  extends Required<Pick<ReceiverOptions, 'acknowledges' | 'recall' | 'recallForeign'>> {
  readonly recording: ChannelRecorderOptions;
  readonly address: ChannelAddress;
  /** Capture file in which to keep what is sent and received. */
  readonly capture: string | undefined;
  /** Whether more may be heard. */
  readonly hasRoom: () => boolean;
  readonly onEvent: (event: ReceiverEvent, nowMs: number) => void;
  /** All that was to be told for now has been. */
  readonly onTold: () => void;
}

/** What was counted at one place. */
export interface EarCounters {
  readonly receiver: ReceiverCounters;
  readonly transport: TransportCounters;
  readonly repairLatency: LatencySnapshot;
  /** Datagrams dropped because too much waited for the database. */
  readonly overrunDatagrams: number;
}

/** A hole found this long after an overrun is the overrun's. */
const OVERRUN_MEMORY_MS = 30_000;

/** Hears one channel at one address. Disposing tells what was heard before. */
export class ChannelEar implements AsyncDisposable {
  readonly address: ChannelAddress;
  readonly #options: EarOptions;
  readonly #receiver: Receiver;
  readonly #resources = new AsyncDisposableStack();
  #gate: GatedSocket | undefined;
  #driver: Driver | undefined;
  #countTransport: () => TransportCounters = newTransportCounters;

  constructor(options: EarOptions) {
    const { address, recording } = options;
    this.address = address;
    this.#options = options;
    this.#receiver = new Receiver({
      ...recording,
      ...options,
      join: 'window',
      random: processRandom(),
      authenticator: authenticatorOf(address, recording.keys),
    });
  }

  /** Opens the sockets. Errors: BACKCAST_INTERFACE_UNUSABLE, BACKCAST_PORT_IN_USE. */
  async listen(): Promise<void> {
    const { recording, address, capture } = this.#options;
    const resources = this.#resources;
    try {
      const unicast = {
        ports: recording.unicastPorts,
        join: async (at: MemberAddress): Promise<undefined> => {
          recording.onListening(at);
        },
      };
      const opening = { ...recording, address, capture, unicast };
      this.#drive(await openReceiverTransport(resources, opening));
    } catch (error) {
      await resources.disposeAsync();
      throw error;
    }
  }

  get counters(): EarCounters {
    return {
      receiver: this.#receiver.counters,
      transport: this.#countTransport(),
      repairLatency: this.#receiver.repairLatency.snapshot(),
      overrunDatagrams: this.#gate?.overrunDatagrams ?? 0,
    };
  }

  /** Sessions being followed. */
  get sessionCount(): number {
    return this.#receiver.sessionCount;
  }

  /** Whether a session is followed here, or would go on where it was left here. */
  knows(session: SessionId): boolean {
    return this.#receiver.knows(session);
  }

  /** Takes over a session that is open; see Receiver. */
  restore(resume: ResumePoint): void {
    this.#receiver.restore(resume, monotonicMs());
  }

  /** This much of a session is archived, if it is heard here. */
  acknowledge(session: SessionId, archived: Acknowledgement): void {
    this.#receiver.acknowledge(session, archived, monotonicMs());
    this.#driver?.schedule();
  }

  /** Somebody else archives from now on. */
  ceaseToAcknowledge(): void {
    this.#receiver.ceaseToAcknowledge();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
    this.#takeEvents();
  }

  #drive({ group, send, count }: ReceiverTransport): void {
    this.#countTransport = count;
    this.#gate = new GatedSocket(group, this.#options.hasRoom);
    const driver = new Driver({
      machine: this.#receiver,
      receiveFrom: [this.#gate, send],
      sendThrough: send,
      onEvents: () => this.#takeEvents(),
    });
    this.#driver = this.#resources.use(driver);
  }

  #takeEvents(): void {
    const { onEvent, onTold } = this.#options;
    const nowMs = monotonicMs();
    let hasNews = false;
    for (let event = this.#receiver.pollEvent(); event !== undefined; ) {
      onEvent(this.#withOverrun(event, nowMs), nowMs);
      hasNews = true;
      event = this.#receiver.pollEvent();
    }
    if (hasNews) onTold();
  }

  /**
   * A loss that our own overrun explains says so: while deaf, we hear no repair and no heartbeat.
   */
  #withOverrun(event: ReceiverEvent, nowMs: number): ReceiverEvent {
    const isOurs =
      event.kind === 'lost' &&
      (event.cause === 'repair_expired' || event.cause === 'source_gone') &&
      nowMs - (this.#gate?.overranAtMs ?? Number.NEGATIVE_INFINITY) < OVERRUN_MEMORY_MS;
    return isOurs ? { ...event, cause: 'recorder_overrun' } : event;
  }
}
