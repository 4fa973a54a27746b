// A recovering subscriber in a simulated world: the real receiver, the real catch-up and the real
// reader, over a modelled archive whose answers take time, break off, or do not come. Crashes and
// comes back from its cursor. Everything told to it is judged as it is told.

import { assert, BackcastError, type Random, type SessionId } from '#base/mod.ts';
import {
  CatchUp,
  type CatchUpOptions,
  type CursorPlace,
  type Fetching,
  type Reading,
  type Standing,
  type SubscribedItem,
  SubscriptionReader,
} from '#client/mod.ts';
import type { ReceiverEvent } from '#multicast/core/mod.ts';
import { isSameBytes } from './account.ts';
import type { ReplayedArchive } from './replayed-archive.ts';
import type { SimulatedReceiver, World } from './world.ts';

/** Where a joiner begins: as `start`, `live`, or behind a position. */
export type JoinFrom = 'start' | 'live' | number;

/** What a joiner is made of. */
export interface JoinerOptions {
  readonly world: World;
  readonly random: Random;
  readonly archive: ReplayedArchive;
  readonly from: JoinFrom;
  readonly payloadOf: (session: SessionId, sequence: number) => Uint8Array | undefined;
  /** Whether the archive answers at the moment. */
  readonly isArchiveUp: () => boolean;
}

/** What happened to joiners, over all of them. */
export interface JoinCounters {
  told: number;
  replayed: number;
  lost: number;
  restarts: number;
  stalls: number;
  fallbacks: number;
  fetches: number;
  failures: number;
}

type Request = Reading | Fetching | Standing;

const STALL_MS = 5_000;
const ANSWER_MS_MAX = 20;
const ENTRY_MS_MAX = 2;
const BROKEN_CHANCE = 0.02;
const READ_MS = 3;
/** Small, so that a slow reader and a long replay meet its end. */
const BUFFER_BYTES_MAX = 30_000;
/** A turn may be late by the distance between two looks. */
const STALL_TOLERANCE_MS = 600;

/** One joiner, over its lives. */
export class Joiner {
  readonly counters: JoinCounters;
  readonly #options: JoinerOptions;
  readonly #nexts = new Map<SessionId, number>();
  readonly #served = new Set<Request>();
  #receiver: SimulatedReceiver;
  #machine: CatchUp;
  #reader: SubscriptionReader;
  #items: Iterator<SubscribedItem> | undefined;
  #slowUntilMs = 0;
  #movedAtMs: number;
  #wakesAtMs = Number.POSITIVE_INFINITY;
  #life = 0;

  constructor(options: JoinerOptions, counters: JoinCounters) {
    this.#options = options;
    this.counters = counters;
    const { from } = options;
    const begin = from === 'start' ? 'one' : from === 'live' ? 'heard' : 'archive';
    const place: CursorPlace = { position: undefined, begin, nexts: new Map(), ended: new Set() };
    const after = from === 'live' ? undefined : from === 'start' ? 0 : from;
    this.#movedAtMs = options.world.nowMs;
    this.#machine = this.#newMachine(place, after);
    this.#reader = new SubscriptionReader('native', place);
    this.#receiver = this.#join();
    this.#keepReading();
  }

  /** The first sequence of a session that was not told. */
  nextOf(session: SessionId): number | undefined {
    return this.#nexts.get(session);
  }

  /** Whether it is where new messages are. */
  get isLive(): boolean {
    return this.#machine.state === 'live';
  }

  /** Whether it begins with the first sequence of every session. */
  get wantsAll(): boolean {
    return this.#options.from === 'start';
  }

  /** Where it is, for a finding. */
  get state(): string {
    return this.#machine.state;
  }

  /** The reader takes nothing for `ms`. */
  pause(ms: number): void {
    this.#slowUntilMs = this.#options.world.nowMs + ms;
  }

  /** The process dies and begins again from its cursor, if it has one. */
  restart(): void {
    const { world, from } = this.#options;
    const { place } = this.#reader;
    if (place.position === undefined) return;
    this.#countLife();
    this.counters.restarts += 1;
    this.#life += 1;
    world.stop(this.#receiver.node);
    this.#items = undefined;
    this.#wakesAtMs = Number.POSITIVE_INFINITY;
    const begin = from === 'start' ? 'one' : 'archive';
    const resumed: CursorPlace = { ...place, begin, nexts: new Map(place.nexts) };
    this.#movedAtMs = world.nowMs;
    this.#machine = this.#newMachine(resumed, place.position);
    this.#reader = new SubscriptionReader('native', resumed);
    this.#receiver = this.#join();
    this.#keepReading();
  }

  /** It leaves. */
  leave(): void {
    this.#countLife();
    this.#life += 1;
    this.#options.world.stop(this.#receiver.node);
  }

  #countLife(): void {
    const { fallbacks, fetches, failures } = this.#machine.counters;
    this.counters.fallbacks += fallbacks;
    this.counters.fetches += fetches;
    this.counters.failures += failures;
  }

  #newMachine(place: CursorPlace, after: number | undefined): CatchUp {
    const options: CatchUpOptions = {
      ...place,
      start: after === undefined ? undefined : { afterPosition: after },
      hasArchive: true,
      hasMulticast: true,
      stallMs: STALL_MS,
      whenStalled: 'fail',
      bufferBytesMax: BUFFER_BYTES_MAX,
    };
    return new CatchUp(options, this.#options.world.nowMs);
  }

  #join(): SimulatedReceiver {
    const { world } = this.#options;
    const life = this.#life;
    const receiver = world.addReceiver({ join: 'live' }, [], (event) => {
      if (life === this.#life) this.#hear(event);
    });
    this.#turn();
    return receiver;
  }

  #hear(event: ReceiverEvent): void {
    const { nowMs } = this.#options.world;
    const { session } = event;
    if (event.kind === 'opened') this.#machine.handleLiveSession({ session, state: 'open' }, nowMs);
    if (event.kind === 'closed') {
      const state = event.cause === 'fin' ? 'closed' : 'expired';
      this.#machine.handleLiveSession({ session, state }, nowMs);
    }
    if (event.kind === 'lost') {
      const { firstSequence: first, lastSequence: last, cause } = event;
      this.#machine.handleLive({ kind: 'lost', session, first, last, cause }, nowMs);
    }
    if (event.kind === 'messages') {
      const { firstSequence: first, lastSequence: last, bytes, start, end } = event;
      const run = { session, first, last, bytes, start, end, arrivedAtUs: 0, isRepaired: false };
      this.#machine.handleLive({ kind: 'messages', ...run }, nowMs);
    }
    this.#turn();
  }

  /** Brings about what the machine wants, and comes back when it is due. */
  #turn(): void {
    const { world } = this.#options;
    const { reading, fetching, standing } = this.#machine;
    for (const request of [reading, fetching, standing]) {
      if (request === undefined || this.#served.has(request)) continue;
      this.#served.add(request);
      this.#after(this.#options.random() * ANSWER_MS_MAX, () => this.#answer(request));
    }
    const atMs = Math.max(world.nowMs, this.#machine.nextDeadlineMs);
    if (atMs >= this.#wakesAtMs || atMs === Number.POSITIVE_INFINITY) return;
    this.#wakesAtMs = atMs;
    this.#after(atMs - world.nowMs, () => {
      if (this.#wakesAtMs === atMs) this.#wakesAtMs = Number.POSITIVE_INFINITY;
      this.#machine.handleTimeout(world.nowMs);
    });
  }

  #after(ms: number, action: () => void): void {
    const { world } = this.#options;
    const life = this.#life;
    world.schedule(world.nowMs + ms, () => {
      if (life !== this.#life) return;
      action();
      this.#turn();
    });
  }

  #answer(request: Request): void {
    const { archive, isArchiveUp, world } = this.#options;
    if (!isArchiveUp()) return this.#refuse(request);
    if (request.kind === 'stand') {
      this.#machine.handleStand(request, archive.stand(), world.nowMs);
    } else if (request.kind === 'fetch') {
      this.#serve(request, archive.fetch(request.ranges), (entry) =>
        this.#machine.handleFetched(request, entry, world.nowMs),
      );
    } else {
      const after = request.kind === 'open' && 'afterPosition' in request.start;
      assert(after, 'a joiner reads by position');
      this.#serve(request, archive.read(request.start.afterPosition), (entry) =>
        this.#machine.handleEntry(request, entry, world.nowMs),
      );
    }
  }

  #serve<Entry>(request: Reading | Fetching, entries: Entry[], take: (entry: Entry) => void): void {
    const { isArchiveUp, random } = this.#options;
    const isWanted = request === this.#machine.reading || request === this.#machine.fetching;
    if (!isWanted || entries.length === 0) return;
    const mayTake = request.kind === 'fetch' ? this.#machine.mayFetch : this.#machine.mayRead;
    if (!isArchiveUp() || random() < BROKEN_CHANCE) return this.#refuse(request);
    const [entry] = entries;
    if (mayTake && entry !== undefined) {
      entries.shift();
      this.#movedAtMs = this.#options.world.nowMs;
      take(entry);
    }
    this.#after(random() * ENTRY_MS_MAX, () => this.#serve(request, entries, take));
  }

  #refuse(request: Request): void {
    const error = new BackcastError('BACKCAST_API_UNREACHABLE', 'The archive is away.');
    this.#machine.handleFailure(request, error, this.#options.world.nowMs);
  }

  /** The reader takes what there is, again and again, unless it is slow. */
  #keepReading(): void {
    this.#after(READ_MS, () => {
      const { nowMs } = this.#options.world;
      if (nowMs >= this.#slowUntilMs) this.#read();
      else this.#movedAtMs = nowMs;
      const { failure } = this.#machine;
      if (failure !== undefined) return this.#stalled(failure);
      const isWaiting = this.#machine.state !== 'live';
      const waitedMs = isWaiting ? nowMs - this.#movedAtMs : 0;
      if (!isWaiting) this.#movedAtMs = nowMs;
      assert(
        waitedMs <= STALL_MS + STALL_TOLERANCE_MS,
        `joiner hangs: ${waitedMs} ms in ${this.state}`,
      );
      this.#keepReading();
    });
  }

  #stalled(failure: Error): void {
    const isTyped =
      failure instanceof BackcastError && failure.code === 'BACKCAST_RECOVERY_STALLED';
    assert(isTyped, `joiner: fails with ${failure.message}`);
    this.counters.stalls += 1;
    this.#read();
    if (this.#reader.place.position === undefined) this.leave();
    else this.restart();
  }

  #read(): void {
    const { world } = this.#options;
    for (;;) {
      const next = this.#items?.next();
      if (next !== undefined && next.done !== true) {
        this.#take(next.value);
        continue;
      }
      const told = this.#machine.pollTold(world.nowMs);
      if (told === undefined) return;
      this.#items = this.#reader.items(told);
    }
  }

  #take(one: SubscribedItem): void {
    this.#movedAtMs = this.#options.world.nowMs;
    if (one.kind === 'message') {
      const { session, sequence } = one;
      const original = this.#options.payloadOf(session, sequence);
      const isSame = original !== undefined && isSameBytes(original, one.payload);
      assert(isSame, `joiner: message ${sequence} of ${session} has other bytes`);
      this.#advance(session, sequence, sequence);
      this.counters.told += 1;
      if (one.via === 'replayed') this.counters.replayed += 1;
    } else if (one.kind === 'lost') {
      this.#judgeLoss(one);
      this.#advance(one.session, one.firstSequence, one.lastSequence);
    }
  }

  /** Lost is what the archive has declared, or will never have: its session is over there. */
  #judgeLoss({
    session,
    firstSequence,
    lastSequence,
    cause,
  }: SubscribedItem & { kind: 'lost' }): void {
    const { archive } = this.#options;
    for (let sequence = firstSequence; sequence <= lastSequence; sequence += 1) {
      this.counters.lost += 1;
      const isOver = archive.progressOf(session)?.state !== 'open' && cause === 'not_archived';
      const what = `joiner: ${sequence} of ${session} is called lost (${cause})`;
      assert(archive.isLost(session, sequence) || isOver, `${what}, and was to be had`);
    }
  }

  #advance(session: SessionId, first: number, last: number): void {
    const next = this.#nexts.get(session) ?? (this.wantsAll ? 1 : first);
    assert(first === next, `joiner: ${session} tells ${first} where ${next} is next`);
    this.#nexts.set(session, last + 1);
  }
}
