// A live subscriber for applications: messages of one channel as they come, in order per session,
// and `lost` where something will not come any more. Starts with the next message; history is the
// replay API's.

import { assert, type LossCause, type SessionId } from '#base/mod.ts';
import type { LatencySnapshot, ReceiverCounters, ReceiverEvent } from '#multicast/core/mod.ts';
import { type TransportCounters, wallClockUs } from '#multicast/udp/mod.ts';
import { type BlockReader, newBlockReader, NO_PUBLISH_TIME } from '#multicast/wire/mod.ts';
import { LiveFeed, type OpenSubscriberOptions } from './live-feed.ts';

/** A message as it came. */
export interface LiveMessage {
  readonly kind: 'message';
  readonly session: SessionId;
  readonly source: string | undefined;
  readonly sequence: number;
  /** When it was published; when it arrived, where the framing (raw, zmq) does not say. */
  readonly publishedAtUs: number;
  /** In the framing `zmq` the frames of the message, which zmqParts() takes apart. */
  readonly payload: Uint8Array;
}

/** Sequences that will not come any more. */
export interface LiveLoss {
  readonly kind: 'lost';
  readonly session: SessionId;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly cause: LossCause;
}

/** A session was heard, or is over. */
export interface LiveSession {
  readonly kind: 'session';
  readonly session: SessionId;
  readonly state: 'open' | 'closed' | 'expired';
}

/** What a live subscriber tells. */
export type LiveItem = LiveMessage | LiveLoss | LiveSession;

/** What may wait for a slow reader before datagrams are dropped. */
const PENDING_BYTES_MAX = 64 * 1_048_576;
/** What a waiting message takes beside its payload: without it, empty ones would cost nothing. */
const MESSAGE_OVERHEAD_BYTES = 256;

/**
 * An open subscriber: iterate it once. Disposing ends the iteration, also with messages unread. A
 * reader that falls behind by PENDING_BYTES_MAX makes datagrams be dropped, which are asked for
 * again once there is room; what the publisher no longer holds by then is told as lost.
 */
export class ChannelSubscriber implements AsyncDisposable, AsyncIterable<LiveItem> {
  readonly #sources = new Map<SessionId, string>();
  readonly #reader: BlockReader;
  #pending: LiveItem[] = [];
  #pendingBytes = 0;
  #arrived = Promise.withResolvers<void>();
  #feed: LiveFeed | undefined;
  #isClosed = false;

  private constructor(options: OpenSubscriberOptions) {
    this.#reader = newBlockReader(options.address.framing);
  }

  /**
   * Joins the group. Errors: BACKCAST_INTERFACE_UNUSABLE, BACKCAST_PORT_IN_USE,
   * BACKCAST_KEYS_MISSING.
   */
  static async open(options: OpenSubscriberOptions): Promise<ChannelSubscriber> {
    const subscriber = new ChannelSubscriber(options);
    subscriber.#feed = await LiveFeed.open({
      ...options,
      hasRoom: () => subscriber.#pendingBytes < PENDING_BYTES_MAX,
      onEvent: (event) => subscriber.#takeEvent(event),
      onTurn: () => undefined,
    });
    return subscriber;
  }

  /** Numbers since the subscriber opened. */
  get counters(): Readonly<ReceiverCounters> {
    return this.#opened.counters;
  }

  /** How long repairs took, over all sessions. */
  get repairLatency(): LatencySnapshot {
    return this.#opened.repairLatency;
  }

  /** What sockets, injected faults and capture have counted. */
  get transportCounters(): TransportCounters {
    return this.#opened.transportCounters;
  }

  /** Datagrams dropped because the reader was behind. */
  get overrunDatagrams(): number {
    return this.#opened.overrunDatagrams;
  }

  /** Address and port on which the channel is heard: its group, or a place of this receiver. */
  get listensAt(): string {
    return this.#opened.listensAt;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<LiveItem, void, void> {
    while (!this.#isClosed) {
      const items = this.#pending;
      this.#pending = [];
      for (const live of items) {
        if (this.#isClosed) return;
        this.#pendingBytes -= heldBytes(live);
        yield live;
      }
      if (this.#pending.length > 0) continue;
      await this.#arrived.promise;
      this.#arrived = Promise.withResolvers<void>();
    }
  }

  /** Leaves the group. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#arrived.resolve();
    await this.#opened[Symbol.asyncDispose]();
  }

  get #opened(): LiveFeed {
    assert(this.#feed !== undefined, 'nobody sees a subscriber before its feed is open');
    return this.#feed;
  }

  #takeEvent(event: ReceiverEvent): void {
    switch (event.kind) {
      case 'source':
        this.#sources.set(event.session, event.source);
        break;
      case 'opened':
        this.#push({ kind: 'session', session: event.session, state: 'open' });
        break;
      case 'closed':
        this.#sources.delete(event.session);
        this.#push({
          kind: 'session',
          session: event.session,
          state: event.cause === 'fin' ? 'closed' : 'expired',
        });
        break;
      case 'lost': {
        const { session, firstSequence, lastSequence, cause } = event;
        this.#push({ kind: 'lost', session, firstSequence, lastSequence, cause });
        break;
      }
      case 'messages':
        this.#unpack(event);
        break;
      case 'lead':
      case 'conflict':
        break;
      default:
        event satisfies never;
    }
  }

  #unpack(block: {
    readonly session: SessionId;
    readonly firstSequence: number;
    readonly bytes: Uint8Array;
    readonly start: number;
    readonly end: number;
  }): void {
    const reader = this.#reader;
    const { session, bytes } = block;
    const source = this.#sources.get(session);
    const arrivedAtUs = wallClockUs();
    reader.open(bytes, block.start, block.end);
    for (let sequence = block.firstSequence; reader.next(); sequence += 1) {
      const payload = bytes.subarray(reader.payloadStart, reader.payloadEnd);
      this.#push({
        kind: 'message',
        session,
        source,
        sequence,
        publishedAtUs:
          reader.publishedAtUs === NO_PUBLISH_TIME ? arrivedAtUs : reader.publishedAtUs,
        payload,
      });
    }
  }

  #push(live: LiveItem): void {
    this.#pending.push(live);
    this.#pendingBytes += heldBytes(live);
    this.#arrived.resolve();
  }
}

function heldBytes(live: LiveItem): number {
  return MESSAGE_OVERHEAD_BYTES + (live.kind === 'message' ? live.payload.length : 0);
}
