// Joins of one channel on real sockets while everything around them fails. Every joiner judges what
// it is told as it comes; when the cluster has come to rest it is told the rest, and what it was
// told must be what there was.

import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import {
  BackcastError,
  type Random,
  randomBelow,
  seededRandom,
  type SessionId,
} from '#base/mod.ts';
import {
  openReplaySource,
  subscribe,
  type SubscribedItem,
  type SubscribeFrom,
  type SubscribeOptions,
  type Subscription,
} from '#client/mod.ts';
import {
  DisturbedCluster,
  type Disturbances,
  type KnownSession,
  PAYLOAD_BYTES,
} from './disturbed-cluster.ts';
import { labelledPayload } from './labelled-messages.ts';
import { LOOPBACK } from './multicast.ts';

/** How many, and how much of it. */
export interface JoinRunOptions {
  readonly joins: number;
  readonly atOnce: number;
  /** What is drawn; what comes of it depends on the machine. */
  readonly seed: number;
  /** Called with a line about each join that is over. */
  readonly onJoin?: (line: string) => void;
}

/** What happened, over all joins. */
export interface JoinTally extends Disturbances {
  joins: number;
  messages: number;
  replayed: number;
  repaired: number;
  lost: number;
  restarts: number;
  stalls: number;
  fallbacks: number;
  /** The longest that anybody was told nothing, stalled or not. */
  silentMsMost: number;
}

const HEARING = {
  interfaceAddress: LOOPBACK,
  receiveBufferBytes: 1_048_576,
  messageBytesMax: 10_000,
  repairTimeoutMs: 2_000,
  sourceExpiryMs: 30_000,
};
const STALL_MS = 5_000;
/** A joiner that is told nothing for as long hangs, even on a machine that is held up itself. */
const SILENCE_MS_MAX = 2 * STALL_MS;
/** A third of a second of the channel: whoever reads for longer has to begin anew. */
const SMALL_BUFFER_BYTES = 40_000;
/** What a joiner is told as it is published, before it has done its part. */
const LIVE_MESSAGES = 600;
/** A life ends after ten to the power of up to this many messages, each power as likely. */
const LIFE_POWER_MAX = 4.5;
const REST_MS_MAX = 60_000;

interface Run {
  readonly cluster: DisturbedCluster;
  readonly random: Random;
  readonly tally: Omit<JoinTally, keyof Disturbances>;
  /** What was published, by session and sequence, as far as anybody was told of it. */
  readonly payloads: Map<SessionId, Uint8Array[]>;
  /** The last position that anybody was told of. */
  position: number;
}

type Loss = Extract<SubscribedItem, { readonly kind: 'lost' }>;

/** Runs them. Throws at the first thing that is wrong. */
export async function runJoins(options: JoinRunOptions): Promise<JoinTally> {
  const { joins, atOnce, seed, onJoin } = options;
  await using cluster = await DisturbedCluster.open(seed);
  const tally = {
    joins: 0,
    messages: 0,
    replayed: 0,
    repaired: 0,
    lost: 0,
    restarts: 0,
    stalls: 0,
    fallbacks: 0,
    silentMsMost: 0,
  };
  const random = seededRandom(seed + 1);
  const run: Run = { cluster, random, tally, payloads: new Map(), position: 0 };
  const joiners = Array.from({ length: joins }, () => new Joiner(run));
  await eachOf(joiners, atOnce, async (joiner) => {
    await joiner.join();
    tally.joins += 1;
    onJoin?.(JSON.stringify({ ...tally, ...cluster.disturbances }));
  });
  const known = await cluster.rest();
  await eachOf(joiners, atOnce, (joiner) => joiner.comeToRest(known));
  await cluster.judge();
  return { ...tally, ...cluster.disturbances };
}

/** Does `work` for all, some at once. The first that fails fails all. */
async function eachOf<One>(
  all: readonly One[],
  atOnce: number,
  work: (one: One) => Promise<void>,
): Promise<void> {
  const left = [...all];
  const workOn = async (): Promise<void> => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) {
      await work(one).catch((error) => {
        left.length = 0;
        throw error;
      });
    }
  };
  const done = await Promise.allSettled(Array.from({ length: atOnce }, workOn));
  const failed = done.find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}

/** What message `sequence` of `session` was published as. */
function publishedAs({ payloads }: Run, session: SessionId, sequence: number): Uint8Array {
  const ofSession = payloads.get(session) ?? [];
  payloads.set(session, ofSession);
  return (ofSession[sequence] ??= labelledPayload(session, sequence, PAYLOAD_BYTES));
}

/** One subscriber, over several lives. */
class Joiner {
  readonly #run: Run;
  readonly #isSlow: boolean;
  readonly #bufferBytesMax: number | undefined;
  readonly #nexts = new Map<SessionId, number>();
  readonly #losses: Loss[] = [];
  #first: SubscribeFrom = 'start';
  #cursor: string | undefined;
  #begunAtMs = 0;

  constructor(run: Run) {
    this.#run = run;
    this.#isSlow = run.random() < 0.3;
    this.#bufferBytesMax = run.random() < 0.5 ? SMALL_BUFFER_BYTES : undefined;
  }

  /** Joins, dies and comes back, until it was told enough as it was published. */
  async join(): Promise<void> {
    const { cluster, random, position, tally } = this.#run;
    const firsts: SubscribeFrom[] = [
      'start',
      'live',
      { position: 1 + randomBelow(random, 1 + position) },
    ];
    this.#first = firsts[randomBelow(random, firsts.length)] ?? 'start';
    this.#begunAtMs = performance.now();
    for (let live = 0; live < LIVE_MESSAGES; tally.restarts += 1) {
      const { address } = cluster.scene;
      const faults = `receive-loss=0.1,seed=${randomBelow(random, 1_000_000)}`;
      await using subscription = await this.#subscribe({
        multicast: { ...HEARING, address, faults },
        stallMs: STALL_MS,
      });
      const life = 10 ** (random() * LIFE_POWER_MAX);
      live += await this.#live(subscription, life);
      this.#cursor = subscription.cursor;
      // Without a cursor it begins anew, and owes nothing to its earlier life.
      if (this.#cursor === undefined) this.#nexts.clear();
      tally.fallbacks += subscription.counters.fallbacks;
    }
  }

  /** Reads what is left from the archive alone; then it must know all that it should. */
  async comeToRest(known: ReadonlyMap<SessionId, KnownSession>): Promise<void> {
    if (this.#cursor === undefined) return;
    await using subscription = await this.#subscribe({ stallMs: REST_MS_MAX });
    const ended = setTimeout(() => void subscription[Symbol.asyncDispose](), REST_MS_MAX);
    let behind = this.#behind(known);
    if (behind !== undefined)
      for await (const one of subscription) {
        this.#judge(one);
        behind = this.#behind(known);
        if (behind === undefined) break;
      }
    clearTimeout(ended);
    assert.equal(behind, undefined);
    for (const loss of this.#losses) assertLost(loss, known.get(loss.session));
  }

  #subscribe(options: Pick<SubscribeOptions, 'multicast' | 'stallMs'>): Promise<Subscription> {
    const { cluster } = this.#run;
    const { channel } = cluster.scene;
    return subscribe({
      channel,
      from: this.#cursor === undefined ? this.#first : { cursor: this.#cursor },
      archive: openReplaySource({ url: cluster.apiUrl }, channel),
      bufferBytesMax: this.#bufferBytesMax,
      ...options,
    });
  }

  /** Reads until it dies or stalls; how many messages came as they were published. */
  async #live(subscription: Subscription, life: number): Promise<number> {
    const { random, tally } = this.#run;
    let live = 0;
    let told = 0;
    let toldAtMs = performance.now();
    const watch = setInterval(() => {
      if (performance.now() - toldAtMs > SILENCE_MS_MAX) void subscription[Symbol.asyncDispose]();
    }, 100);
    try {
      for await (const one of subscription) {
        tally.silentMsMost = Math.max(tally.silentMsMost, Math.round(performance.now() - toldAtMs));
        this.#judge(one);
        if (one.kind === 'message') told += 1;
        if (one.kind === 'message' && one.via !== 'replayed') live += 1;
        if (told >= life) return live;
        if (this.#isSlow && random() < 0.002) await wait(random() * 300);
        toldAtMs = performance.now();
      }
      return assert.fail(`nothing came for ${SILENCE_MS_MAX} ms while ${subscription.state}`);
    } catch (error) {
      const isStall = error instanceof BackcastError && error.code === 'BACKCAST_RECOVERY_STALLED';
      if (!isStall) throw error;
      tally.stalls += 1;
      return live;
    } finally {
      clearInterval(watch);
    }
  }

  #judge(one: SubscribedItem): void {
    if (one.kind !== 'message' && one.kind !== 'lost') return;
    const { tally } = this.#run;
    const { session } = one;
    const first = one.kind === 'message' ? one.sequence : one.firstSequence;
    const last = one.kind === 'message' ? one.sequence : one.lastSequence;
    const next = this.#nexts.get(session) ?? (this.#wantsAllOf(session) ? 1 : first);
    assert.equal(first, next, `${session} tells ${first} where ${next} is next`);
    this.#nexts.set(session, last + 1);
    if (one.kind === 'lost') {
      this.#losses.push(one);
      tally.lost += last - first + 1;
    } else {
      const isSame = Buffer.compare(one.payload, publishedAs(this.#run, session, first)) === 0;
      assert.ok(isSame, `${first} of ${session} has other bytes`);
      this.#run.position = Math.max(this.#run.position, one.position ?? 0);
      tally.messages += 1;
      if (one.via === 'replayed') tally.replayed += 1;
      if (one.via === 'repaired') tally.repaired += 1;
    }
  }

  /** Of all sessions, or of those that began after it has. */
  #wantsAllOf(session: SessionId): boolean {
    const begunAtMs = this.#run.cluster.begunAtMs.get(session) ?? 0;
    return this.#first === 'start' || (this.#first !== 'live' && begunAtMs > this.#begunAtMs);
  }

  /** What the archive knows and it does not. */
  #behind(known: ReadonlyMap<SessionId, KnownSession>): string | undefined {
    for (const [session, { watermark }] of known) {
      const next = this.#nexts.get(session) ?? (this.#wantsAllOf(session) ? 1 : watermark + 1);
      if (next <= watermark) return `${session} is told before ${next}, and known to ${watermark}`;
    }
    return undefined;
  }
}

/** Declared lost, or never to be had: the archive does not reach to where it was. */
function assertLost(loss: Loss, known: KnownSession | undefined): void {
  const { session, firstSequence, lastSequence, cause } = loss;
  const watermark = known?.watermark ?? 0;
  for (let sequence = firstSequence; sequence <= lastSequence; sequence += 1) {
    const isDeclared = known?.lost.some(({ first, last }) => first <= sequence && sequence <= last);
    const isBeyond = cause === 'not_archived' && sequence > watermark;
    const what = `${sequence} of ${session} is called lost (${cause})`;
    assert.ok(isDeclared === true || isBeyond, `${what}, and was to be had`);
  }
}
