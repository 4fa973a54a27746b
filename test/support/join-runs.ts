// Joins of one channel on real sockets while everything around them fails: packets are lost,
// publishers restart, the archive lags and goes away, readers stop and die. Every joiner judges
// what it is told as it comes.

import assert from 'node:assert/strict';
import { setImmediate as turn, setTimeout as wait } from 'node:timers/promises';
import {
  BackcastError,
  type ChannelAddress,
  type Random,
  randomBelow,
  seededRandom,
  type SessionId,
} from '#base/mod.ts';
import {
  ChannelPublisher,
  subscribe,
  type SubscribedItem,
  type SubscribeFrom,
  type Subscription,
} from '#client/mod.ts';
import { ModelledArchive, payloadOf } from './modelled-archive.ts';
import { type ModelledSource, sourceOf } from './modelled-source.ts';
import { LOOPBACK } from './multicast.ts';

const PUBLISHER = {
  interfaceAddress: LOOPBACK,
  packetBytesMax: 1_472,
  messageBytesMax: 10_000,
  windowPackets: 256,
  windowBytes: 1_048_576,
  rateBytesPerSec: 25_000_000,
  flushMs: 1,
  lingerMs: 500,
};
const HEARING = {
  interfaceAddress: LOOPBACK,
  receiveBufferBytes: 1_048_576,
  messageBytesMax: 10_000,
  repairTimeoutMs: 2_000,
  sourceExpiryMs: 30_000,
};
const PUBLISH_EVERY_MS = 5;
const STALL_MS = 5_000;
/** What a joiner waits for one message at most: a stall, and starting again after it. */
const SILENCE_MS_MAX = 3 * STALL_MS;
const BUFFER_BYTES_MAX = 40_000;
const PUBLISHERS = 2;

/** What happened, over all joins. */
export interface JoinTally {
  joins: number;
  messages: number;
  replayed: number;
  repaired: number;
  lost: number;
  restarts: number;
  stalls: number;
  fallbacks: number;
}

/** A channel under constant disturbance. */
export class DisturbedChannel implements AsyncDisposable {
  readonly tally: JoinTally = {
    joins: 0,
    messages: 0,
    replayed: 0,
    repaired: 0,
    lost: 0,
    restarts: 0,
    stalls: 0,
    fallbacks: 0,
  };
  readonly #address: ChannelAddress;
  readonly #random: Random;
  readonly #archive = new ModelledArchive();
  readonly #source: ModelledSource = sourceOf(this.#archive);
  #publishers: ChannelPublisher[] = [];
  #closing: Promise<void>[] = [];
  #running: Promise<void>[] = [];
  #isOver = false;

  private constructor(address: ChannelAddress, seed: number) {
    this.#address = address;
    this.#random = seededRandom(seed);
  }

  /** Publishers start, and so does what disturbs them. */
  static async open(address: ChannelAddress, seed: number): Promise<DisturbedChannel> {
    const channel = new DisturbedChannel(address, seed);
    for (let n = 0; n < PUBLISHERS; n += 1) channel.#publishers.push(await channel.#newPublisher());
    channel.#running = [
      channel.#repeat(PUBLISH_EVERY_MS, () => channel.#publish()),
      channel.#repeat(10, () => channel.#commit()),
      channel.#repeat(2_000, () => channel.#restartPublisher()),
      channel.#repeat(1_500, () => channel.#loseArchive()),
    ];
    return channel;
  }

  /** One subscriber, over several lives: until it was told `count` messages. */
  async join(count: number): Promise<void> {
    this.tally.joins += 1;
    const froms: SubscribeFrom[] = ['start', 'live', { position: this.#archive.head + 1 }];
    const first = froms[randomBelow(this.#random, froms.length)] ?? 'live';
    const nexts = new Map<SessionId, number>();
    let from = first;
    for (let told = 0; told < count; ) {
      const multicast = {
        ...HEARING,
        address: this.#address,
        faults: `receive-loss=0.1,seed=${randomBelow(this.#random, 1_000_000)}`,
      };
      const options = { from, multicast, archive: this.#source, stallMs: STALL_MS };
      await using subscription = await subscribe({
        channel: 'orders',
        bufferBytesMax: BUFFER_BYTES_MAX,
        ...options,
      });
      told += await this.#live(subscription, { nexts, isWhole: first === 'start', count });
      const { fallbacks } = subscription.counters;
      this.tally.fallbacks += fallbacks;
      this.tally.restarts += 1;
      from = subscription.cursor === undefined ? from : { cursor: subscription.cursor };
      // Without a cursor it begins anew, and owes nothing to its earlier life.
      if (subscription.cursor === undefined) nexts.clear();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
    await Promise.all([...this.#closing, ...this.#publishers.map((one) => one.close())]);
  }

  /** Reads until it dies, stalls or has enough; how many messages it was told. */
  async #live(
    subscription: Subscription,
    reader: {
      readonly nexts: Map<SessionId, number>;
      readonly isWhole: boolean;
      readonly count: number;
    },
  ): Promise<number> {
    const life = 1 + randomBelow(this.#random, reader.count);
    let told = 0;
    let waitedMs = 0;
    const watch = setInterval(() => {
      waitedMs += 100;
      if (waitedMs >= SILENCE_MS_MAX) void subscription[Symbol.asyncDispose]();
    }, 100);
    try {
      for await (const one of subscription) {
        waitedMs = 0;
        this.#judge(one, reader);
        if (one.kind === 'message') told += 1;
        if (told >= life) return told;
        if (this.#random() < 0.002) await wait(this.#random() * 300);
      }
      return assert.fail(`nothing came for ${waitedMs} ms while ${subscription.state}`);
    } catch (error) {
      const isStalled =
        error instanceof BackcastError && error.code === 'BACKCAST_RECOVERY_STALLED';
      if (!isStalled) throw error;
      this.tally.stalls += 1;
      return told;
    } finally {
      clearInterval(watch);
    }
  }

  #judge(
    one: SubscribedItem,
    { nexts, isWhole }: { readonly nexts: Map<SessionId, number>; readonly isWhole: boolean },
  ): void {
    if (one.kind !== 'message' && one.kind !== 'lost') return;
    const { session } = one;
    const first = one.kind === 'message' ? one.sequence : one.firstSequence;
    const last = one.kind === 'message' ? one.sequence : one.lastSequence;
    const next = nexts.get(session) ?? (isWhole ? 1 : first);
    assert.equal(first, next, `${session} tells ${first} where ${next} is next`);
    nexts.set(session, last + 1);
    if (one.kind === 'message') {
      assert.deepEqual(Buffer.from(one.payload), Buffer.from(payloadOf(session, first)));
      this.tally.messages += 1;
      if (one.via === 'replayed') this.tally.replayed += 1;
      if (one.via === 'repaired') this.tally.repaired += 1;
      return;
    }
    for (let sequence = first; sequence <= last; sequence += 1) {
      const isTrue = this.#archive.isMissing(session, sequence);
      assert.ok(isTrue, `${sequence} of ${session} is called lost (${one.cause})`);
      this.tally.lost += 1;
    }
  }

  async #repeat(everyMs: number, action: () => Promise<void> | void): Promise<void> {
    while (!this.#isOver) {
      await wait(this.#random() * 2 * everyMs);
      await action();
    }
  }

  async #newPublisher(): Promise<ChannelPublisher> {
    return ChannelPublisher.open({ ...PUBLISHER, address: this.#address });
  }

  async #publish(): Promise<void> {
    for (const publisher of this.#publishers) {
      const count = this.#random() < 0.1 ? 20 : 1;
      for (let n = 0; n < count; n += 1) {
        const sequence = publisher.lastSequence + 1;
        if (!publisher.tryPublish(payloadOf(publisher.session, sequence))) break;
        this.#archive.hear(publisher.session, sequence, this.#random() < 0.005);
      }
    }
    await turn();
  }

  /** The archive is a little behind, and now and then a second. */
  async #commit(): Promise<void> {
    if (this.#random() < 0.02) await wait(1_000);
    this.#archive.commit(Number.POSITIVE_INFINITY);
  }

  async #restartPublisher(): Promise<void> {
    const index = randomBelow(this.#random, this.#publishers.length);
    const over = this.#publishers[index];
    this.#publishers[index] = await this.#newPublisher();
    if (over !== undefined) this.#closing.push(over.close());
  }

  async #loseArchive(): Promise<void> {
    this.#source.isAway = true;
    await wait(this.#random() * 800);
    this.#source.isAway = false;
  }
}
