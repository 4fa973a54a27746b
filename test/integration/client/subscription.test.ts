// The subscription on real sockets, told by a real publisher, over an archive in memory that can be
// sent away. (Over a real one: see the tests of the recovering client behind HTTP.)

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChannelAddress } from '#base/mod.ts';
import {
  ChannelPublisher,
  ChannelSubscriber,
  subscribe,
  type SubscribedItem,
  type SubscribeOptions,
  type Subscription,
} from '#client/mod.ts';
import { ModelledArchive, payloadOf } from '#test/support/modelled-archive.ts';
import { type ModelledSource, sourceOf } from '#test/support/modelled-source.ts';
import { LOOPBACK, openSocketCount, reserveGroup } from '#test/support/multicast.ts';
import { until } from '#test/support/until.ts';

const PUBLISHER = {
  interfaceAddress: LOOPBACK,
  packetBytesMax: 1_472,
  messageBytesMax: 10_000,
  windowPackets: 65_536,
  windowBytes: 96 * 1_048_576,
  rateBytesPerSec: 25_000_000,
  flushMs: 1,
  lingerMs: 1,
  source: 'gateway-7',
};
const HEARING = {
  interfaceAddress: LOOPBACK,
  receiveBufferBytes: 8 * 1_048_576,
  messageBytesMax: 10_000,
  repairTimeoutMs: 20_000,
  sourceExpiryMs: 30_000,
};

/** A publisher whose messages an archive takes in as well, and who may subscribe to both. */
class Channel implements AsyncDisposable {
  readonly archive = new ModelledArchive();
  readonly source: ModelledSource = sourceOf(this.archive);
  readonly #resources = new AsyncDisposableStack();
  readonly #address: ChannelAddress;
  /** Hears all: what it has heard is on its way no more. */
  #witness: ChannelSubscriber | undefined;
  #publisher: ChannelPublisher | undefined;
  #publishedCount = 0;

  private constructor(address: ChannelAddress) {
    this.#address = address;
  }

  static async open(): Promise<Channel> {
    const reserved = await reserveGroup();
    const { group, port } = reserved;
    const channel = new Channel({ group, port, dport: 7_500, framing: 'native' });
    channel.#resources.use(reserved);
    const hearing = { ...HEARING, address: channel.#address };
    channel.#witness = channel.#resources.use(await ChannelSubscriber.open(hearing));
    void passOver(channel.#witness);
    await channel.restart();
    return channel;
  }

  get publisher(): ChannelPublisher {
    assert.ok(this.#publisher !== undefined);
    return this.#publisher;
  }

  async restart(): Promise<void> {
    await this.#publisher?.close();
    this.#publisher = await ChannelPublisher.open({ ...PUBLISHER, address: this.#address });
  }

  /** Publishes so many, archived as well unless told otherwise. */
  async publish(count: number, archived: 'archived' | 'pending' | 'lost' = 'archived') {
    const { session } = this.publisher;
    for (let n = 0; n < count; n += 1) {
      const sequence = this.publisher.lastSequence + 1;
      await this.publisher.publish(payloadOf(session, sequence));
      this.archive.hear(session, sequence, archived === 'lost');
    }
    this.#publishedCount += count;
    if (archived !== 'pending') this.archive.commit(Number.POSITIVE_INFINITY);
    await until('all is sent', () => {
      return this.#witness?.counters.messagesDelivered === this.#publishedCount;
    });
  }

  async subscribe(options: Partial<SubscribeOptions> & { faults?: string } = {}) {
    const { faults, ...others } = options;
    const multicast = {
      ...HEARING,
      address: this.#address,
      ...(faults === undefined ? {} : { faults }),
    };
    const archive = this.source;
    return this.#resources.use(
      await subscribe({ channel: 'orders', multicast, archive, ...others }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
    await this.#publisher?.close();
  }
}

async function passOver(subscriber: ChannelSubscriber): Promise<void> {
  for await (const live of subscriber) assert.notEqual(live.kind, 'lost');
}

/** Takes items until `count` messages have come; whatever else came is in it. */
async function take(
  items: AsyncIterator<SubscribedItem>,
  count: number,
): Promise<SubscribedItem[]> {
  const taken: SubscribedItem[] = [];
  for (let messages = 0; messages < count; ) {
    const { value, done } = await items.next();
    assert.notEqual(done, true);
    const one = value as SubscribedItem;
    taken.push(one);
    if (one.kind === 'message') messages += 1;
  }
  return taken;
}

function sequencesOf(taken: readonly SubscribedItem[]): number[] {
  return taken.flatMap((one) => (one.kind === 'message' ? [one.sequence] : []));
}

function upTo(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

async function nextOf(subscription: Subscription, kind: SubscribedItem['kind']) {
  for await (const one of subscription) if (one.kind === kind) return one;
  return assert.fail(`no ${kind} came`);
}

test('from the start: history, then live, each message once and as it came', async () => {
  await using channel = await Channel.open();
  await channel.publish(300);
  const subscription = await channel.subscribe({ from: 'start' });
  const items = subscription[Symbol.asyncIterator]();
  const history = await take(items, 300);
  assert.deepEqual(history.map(({ kind }) => kind).slice(0, 3), [
    'replaying',
    'session',
    'message',
  ]);
  assert.deepEqual(sequencesOf(history), upTo(1, 300));
  assert.ok(history.every((one) => one.kind !== 'message' || one.via === 'replayed'));
  const last = history.at(-1);
  assert.ok(last?.kind === 'message' && last.position === 300);
  assert.equal((await items.next()).value?.kind, 'live');
  await channel.publish(50);
  const live = await take(items, 50);
  assert.deepEqual(sequencesOf(live), upTo(301, 350));
  const first = live[0];
  assert.ok(first?.kind === 'message' && first.via === 'live' && first.position === undefined);
  assert.equal(first.source, 'gateway-7');
  assert.equal(subscription.state, 'live');
  const { messagesReplayed, messagesLive, rounds } = subscription.counters;
  assert.ok(messagesReplayed === 300 && messagesLive === 50 && rounds >= 1);
});

test('a cursor goes on where it was taken, in the middle of anything', async () => {
  await using channel = await Channel.open();
  await channel.publish(20);
  const told: number[] = [];
  let cursor: string | undefined;
  for (const count of [7, 1, 15, 30]) {
    const from = cursor === undefined ? 'start' : { cursor };
    await using subscription = await channel.subscribe({ from });
    await channel.publish(10);
    const items = subscription[Symbol.asyncIterator]();
    told.push(...sequencesOf(await take(items, count)));
    cursor = subscription.cursor;
  }
  assert.deepEqual(told, upTo(1, 53));
});

test('a cursor of another channel, a part of one, and none at all are refused', async () => {
  await using channel = await Channel.open();
  await channel.publish(3);
  const subscription = await channel.subscribe({ from: 'start' });
  await take(subscription[Symbol.asyncIterator](), 2);
  const { cursor } = subscription;
  assert.ok(cursor !== undefined);
  const invalid = { code: 'BACKCAST_CURSOR_INVALID' };
  await assert.rejects(channel.subscribe({ from: { cursor }, channel: 'ticks' }), invalid);
  await assert.rejects(channel.subscribe({ from: { cursor: cursor.slice(0, -9) } }), invalid);
  await assert.rejects(channel.subscribe({ from: { cursor: '' } }), invalid);
  await until('refused subscriptions hold no socket', () => openSocketCount() <= 7);
});

test('from live: what was published before is not told', async () => {
  await using channel = await Channel.open();
  await channel.publish(10);
  const subscription = await channel.subscribe();
  const items = subscription[Symbol.asyncIterator]();
  const coming = take(items, 5);
  await until(
    'the session is heard',
    () => (subscription.receiverCounters?.sessionsOpened ?? 0) > 0,
  );
  await channel.publish(5);
  assert.deepEqual(sequencesOf(await coming), upTo(11, 15));
  await until('the place is known', () => subscription.cursor !== undefined);
});

test('a publisher that restarts is another session, told whole', async () => {
  await using channel = await Channel.open();
  await channel.publish(5);
  const subscription = await channel.subscribe({ from: 'start' });
  const items = subscription[Symbol.asyncIterator]();
  const before = await take(items, 5);
  await channel.restart();
  await channel.publish(5);
  const after = await take(items, 5);
  assert.deepEqual([sequencesOf(before), sequencesOf(after)], [upTo(1, 5), upTo(1, 5)]);
  const opened = after.filter((one) => one.kind === 'session' && one.state === 'open');
  assert.equal(opened.length, 1);
});

test('what the network loses, the publisher repairs, and the message says so', async () => {
  await using channel = await Channel.open();
  const faults = 'receive-loss=0.3,kinds=odata,seed=5';
  const subscription = await channel.subscribe({ from: 'start', faults });
  const items = subscription[Symbol.asyncIterator]();
  await channel.publish(1);
  await take(items, 1);
  for (let n = 0; n < 60; n += 1) {
    await channel.publish(1);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const taken = await take(items, 60);
  assert.deepEqual(sequencesOf(taken), upTo(2, 61));
  assert.ok(taken.every((one) => one.kind !== 'lost'));
  assert.ok(taken.some((one) => one.kind === 'message' && one.via === 'repaired'));
  assert.ok(subscription.counters.messagesRepaired > 0);
});

test('a reader that stops goes back to the archive, and misses nothing', async () => {
  await using channel = await Channel.open();
  await channel.publish(10);
  const subscription = await channel.subscribe({ from: 'start', bufferBytesMax: 20_000 });
  const items = subscription[Symbol.asyncIterator]();
  await take(items, 10);
  assert.equal((await items.next()).value?.kind, 'live');
  while (subscription.counters.entriesSlid === 0) {
    await channel.publish(2_000);
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(subscription.bufferedBytes <= 20_000 + 2_000, 'what waits is bounded');
  }
  const published = channel.publisher.lastSequence;
  const taken = await take(items, published - 10);
  assert.deepEqual(sequencesOf(taken), upTo(11, published));
  assert.ok(subscription.counters.fallbacks > 0);
  assert.ok(taken.some(({ kind }) => kind === 'replaying'));
});

test('what the archive has lost is told with its range and cause, in its place', async () => {
  await using channel = await Channel.open();
  await channel.publish(5);
  await channel.publish(3, 'lost');
  await channel.publish(5);
  const subscription = await channel.subscribe({ from: 'start' });
  const taken = await take(subscription[Symbol.asyncIterator](), 10);
  const { session } = channel.publisher;
  assert.deepEqual(taken[7], {
    kind: 'lost',
    session,
    source: undefined,
    firstSequence: 6,
    lastSequence: 8,
    cause: 'repair_expired',
  });
  assert.deepEqual(sequencesOf(taken), [...upTo(1, 5), ...upTo(9, 13)]);
});

test('without an archive, what was missed is lost at once', async () => {
  await using channel = await Channel.open();
  await channel.publish(1);
  const first = await channel.subscribe({ from: 'start' });
  const items = first[Symbol.asyncIterator]();
  await take(items, 1);
  const cursor = first.cursor ?? assert.fail('no cursor');
  await first[Symbol.asyncDispose]();
  await channel.publish(4);
  const options = { channel: 'orders', from: { cursor } } as const;
  const alone = await channel.subscribe({ ...options, archive: undefined });
  const loss = nextOf(alone, 'lost');
  await until('the session is heard', () => (alone.receiverCounters?.sessionsOpened ?? 0) > 0);
  await channel.publish(1);
  const { kind, ...lost } = await loss;
  assert.equal(kind, 'lost');
  assert.ok('cause' in lost && lost.cause === 'not_archived');
  assert.deepEqual([lost.firstSequence, lost.lastSequence], [2, 5]);
});

test('without multicast, history and then what the archive takes in', async () => {
  await using channel = await Channel.open();
  await channel.publish(5);
  const subscription = await channel.subscribe({ from: 'start', multicast: undefined });
  const items = subscription[Symbol.asyncIterator]();
  assert.deepEqual(sequencesOf(await take(items, 5)), upTo(1, 5));
  assert.equal((await items.next()).value?.kind, 'live');
  assert.equal(subscription.state, 'following');
  await channel.publish(5);
  assert.deepEqual(sequencesOf(await take(items, 5)), upTo(6, 10));
  channel.source.isAway = true;
  assert.equal((await items.next()).value?.kind, 'replaying');
  await channel.publish(5);
  channel.source.isAway = false;
  assert.deepEqual(sequencesOf(await take(items, 5)), upTo(11, 15));
});

test('an archive that does not get on ends in a typed error, in time, and the cursor holds', async () => {
  await using channel = await Channel.open();
  await channel.publish(5);
  const subscription = await channel.subscribe({ from: 'start', stallMs: 300 });
  const items = subscription[Symbol.asyncIterator]();
  await take(items, 5);
  const { cursor } = subscription;
  await subscription[Symbol.asyncDispose]();
  await channel.publish(5, 'pending');
  const again = await channel.subscribe({ from: { cursor: cursor ?? '' }, stallMs: 300 });
  const startedAtMs = performance.now();
  const failed = assert.rejects(nextOf(again, 'message'), {
    code: 'BACKCAST_RECOVERY_STALLED',
    message: /6 to 10/,
  });
  await until('the session is heard', () => (again.receiverCounters?.sessionsOpened ?? 0) > 0);
  await channel.publish(1, 'pending');
  await failed;
  assert.ok(performance.now() - startedAtMs < 5_000);
  channel.archive.commit(Number.POSITIVE_INFINITY);
  const third = await channel.subscribe({ from: { cursor: again.cursor ?? '' } });
  const taken = await take(third[Symbol.asyncIterator](), 6);
  assert.deepEqual(sequencesOf(taken), upTo(6, 11));
});

test('an archive that is away ends in the same error, or in lost where that is asked for', async () => {
  await using channel = await Channel.open();
  await channel.publish(5);
  channel.source.isAway = true;
  const away = await channel.subscribe({ from: 'start', stallMs: 200 });
  await assert.rejects(nextOf(away, 'message'), {
    code: 'BACKCAST_RECOVERY_STALLED',
    message: /away/,
  });
  channel.source.isAway = false;
  await channel.publish(3, 'pending');
  const lenient = await channel.subscribe({ from: 'start', stallMs: 200, whenStalled: 'lose' });
  const loss = nextOf(lenient, 'lost');
  await until('the session is heard', () => (lenient.receiverCounters?.sessionsOpened ?? 0) > 0);
  await channel.publish(1, 'pending');
  const lost = await loss;
  assert.ok(lost.kind === 'lost' && lost.cause === 'not_archived');
  assert.deepEqual([lost.firstSequence, lost.lastSequence], [6, 8]);
});

test('a signal and disposal end an iteration that waits, and leave nothing behind', async () => {
  const before = openSocketCount();
  {
    await using channel = await Channel.open();
    const abort = new AbortController();
    const aborted = await channel.subscribe({ signal: abort.signal });
    const waiting = aborted[Symbol.asyncIterator]().next();
    const reason = new Error('enough');
    abort.abort(reason);
    await assert.rejects(waiting, reason);
    const disposed = await channel.subscribe();
    const end = disposed[Symbol.asyncIterator]().next();
    await disposed[Symbol.asyncDispose]();
    assert.equal((await end).done, true);
  }
  await until('all sockets are closed', () => openSocketCount() === before);
});

test('a subscription says what it cannot do before it joins anything', async () => {
  await using channel = await Channel.open();
  const usage = { code: 'BACKCAST_USAGE' };
  await assert.rejects(channel.subscribe({ multicast: undefined, archive: undefined }), usage);
  await assert.rejects(channel.subscribe({ from: 'start', archive: undefined }), usage);
  await assert.rejects(channel.subscribe({ from: { position: 0 } }), usage);
  await assert.rejects(channel.subscribe({ from: { time: 'yesterday' } }), usage);
  await assert.rejects(channel.subscribe({ channel: 'a/b' }), { code: 'BACKCAST_CHANNEL_NAME' });
});
