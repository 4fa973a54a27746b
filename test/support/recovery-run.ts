// One drawn run of a recovering subscriber in a model: publishers, a live stream, an archive, and
// the reader, who checks everything told to it. Time is a number that steps move on.

import assert from 'node:assert/strict';
import {
  type Random,
  randomBelow,
  randomSessionId,
  seededRandom,
  type SessionId,
} from '#base/mod.ts';
import { CatchUp } from '#client/catch-up.ts';
import type { Fetching, Reading, Standing } from '#client/catch-up-shapes.ts';
import type { CursorPlace } from '#client/cursor.ts';
import type { LiveEntry } from '#client/merge-told.ts';
import type { FetchedEntry, ReplayEntry } from '#client/replay-source.ts';
import type { SubscribedItem } from '#client/subscription-items.ts';
import { SubscriptionReader } from '#client/subscription-reader.ts';
import { BackcastError } from '#base/mod.ts';
import { ModelledArchive, payloadOf } from './modelled-archive.ts';
import { delivered } from './receiver-events.ts';

/** What a run is made of. */
export interface RecoveryRunOptions {
  readonly seed: number;
  readonly begin: 'start' | 'live' | 'position';
  readonly hasMulticast: boolean;
  readonly hasArchive: boolean;
}

interface Publisher {
  readonly session: SessionId;
  published: number;
  /** Published and on its way to the subscriber, if that is there. */
  underWay: number[];
  isHeard: boolean;
}

const SETTLE_STEPS_MAX = 20_000;

/** One run. */
export class RecoveryRun {
  readonly happened: Map<string, number> = new Map();
  readonly #options: RecoveryRunOptions;
  readonly #random: Random;
  readonly #archive = new ModelledArchive();
  readonly #publishers: Publisher[] = [];
  readonly #nexts = new Map<SessionId, number>();
  readonly #messages = new Set<string>();
  #machine: CatchUp;
  #reader: SubscriptionReader;
  #items: Iterator<SubscribedItem> | undefined;
  #reading: { readonly request: Reading; entries: ReplayEntry[] } | undefined;
  #fetching: { readonly request: Fetching; entries: FetchedEntry[] } | undefined;
  #nowMs = 0;
  #isReading = true;
  #isSettling = false;
  #startPosition = 1;

  constructor(options: RecoveryRunOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
    for (let n = 0; n <= randomBelow(this.#random, 3); n += 1) this.#addPublisher();
    for (let n = 0; n < randomBelow(this.#random, 40); n += 1) this.#publish();
    this.#archive.commit(randomBelow(this.#random, 40));
    this.#startPosition = 1 + randomBelow(this.#random, this.#archive.head + 1);
    const nexts = new Map<SessionId, number>();
    const begin =
      options.begin === 'start' ? 'one' : options.begin === 'live' ? 'heard' : 'archive';
    const place: CursorPlace = { position: undefined, begin, nexts, ended: new Set() };
    const from = { start: 0, position: this.#startPosition - 1, live: undefined }[options.begin];
    this.#machine = this.#newMachine(place, from);
    this.#reader = new SubscriptionReader('native', place);
  }

  /** Something happens. */
  step(): void {
    this.#nowMs += this.#random() * 20;
    const chance = this.#random();
    if (chance < 0.2) this.#publish();
    else if (chance < 0.25) this.#archive.commit(1 + randomBelow(this.#random, 10));
    else if (chance < 0.45) this.#deliverLive();
    else if (chance < 0.6) this.#serve();
    else if (chance < 0.8) this.#read(1 + randomBelow(this.#random, 4));
    else if (chance < 0.9) this.#passTime();
    else if (chance < 0.92) this.#fail();
    else if (chance < 0.94) this.#isReading = this.#random() < 0.5;
    else if (chance < 0.95) this.#restart();
    else if (chance < 0.96) this.#addPublisher();
    else if (chance < 0.97) this.#heal();
    else if (chance < 0.972) this.#delete();
    this.#checkMachine();
  }

  /** Faults end: everything must come to be told, and what is published then as well. */
  settle(): void {
    this.#isSettling = true;
    this.#isReading = true;
    this.#archive.commit(Number.POSITIVE_INFINITY);
    this.#settleUntil(() => this.#isJoined());
    for (const publisher of this.#publishers) this.#publishOf(publisher);
    this.#archive.commit(Number.POSITIVE_INFINITY);
    this.#settleUntil(() => this.#isSettled());
    this.#count('fallback', this.#machine.counters.fallbacks);
    this.#checkHistory();
  }

  #settleUntil(isDone: () => boolean): void {
    for (let steps = 0; !isDone(); steps += 1) {
      if (steps >= SETTLE_STEPS_MAX) assert.fail(`it does not settle: ${this.#describe()}`);
      this.#nowMs += 5;
      this.#deliverLive();
      this.#serve();
      this.#passTime();
      this.#read(10);
      this.#checkMachine();
    }
  }

  #isJoined(): boolean {
    const { state } = this.#machine;
    return state === 'live' || state === 'following';
  }

  #addPublisher(): void {
    if (this.#publishers.length >= 5) return;
    const session = randomSessionId(this.#random);
    this.#publishers.push({ session, published: 0, underWay: [], isHeard: false });
  }

  #publish(): void {
    const publisher = this.#publishers[randomBelow(this.#random, this.#publishers.length)];
    if (publisher !== undefined) this.#publishOf(publisher);
  }

  #publishOf(publisher: Publisher): void {
    publisher.published += 1;
    const sequence = publisher.published;
    this.#archive.hear(publisher.session, sequence, !this.#isSettling && this.#random() < 0.05);
    publisher.underWay.push(sequence);
  }

  /** Some of what is under way is heard: in order, without a hole, or with one that is told. */
  #deliverLive(): void {
    if (!this.#options.hasMulticast) return;
    const publisher = this.#publishers[randomBelow(this.#random, this.#publishers.length)];
    const count = 1 + randomBelow(this.#random, 6);
    if (publisher === undefined || publisher.underWay.length === 0) return;
    const [first = 0, ...others] = publisher.underWay.splice(0, count);
    const { session } = publisher;
    // Who joins hears from the middle on.
    if (!publisher.isHeard && !this.#isSettling && this.#random() < 0.3) return;
    if (!publisher.isHeard)
      this.#machine.handleLiveSession({ session, state: 'open' }, this.#nowMs);
    publisher.isHeard = true;
    const last = first + others.length;
    const isLost = !this.#isSettling && this.#random() < 0.1;
    this.#machine.handleLive(
      isLost ? lostEntry(session, first, last) : runEntry(session, first, last),
      this.#nowMs,
    );
    if (isLost) this.#count('lost');
  }

  /** The archive answers with the next entry of whatever was asked of it. */
  #serve(): void {
    const { reading, fetching, standing } = this.#machine;
    if (standing !== undefined)
      this.#machine.handleStand(standing, this.#archive.stand(), this.#nowMs);
    if (fetching !== undefined) this.#serveFetch(fetching);
    if (reading !== undefined) this.#serveReading(reading);
  }

  #serveFetch(request: Fetching): void {
    if (this.#fetching?.request !== request) {
      this.#fetching = { request, entries: this.#archive.fetch(request.ranges) };
      this.#count('fetch');
    }
    const entry = this.#machine.mayFetch ? this.#fetching.entries.shift() : undefined;
    if (entry !== undefined) this.#machine.handleFetched(request, entry, this.#nowMs);
  }

  #serveReading(request: Reading): void {
    if (this.#reading?.request !== request)
      this.#reading = { request, entries: this.#archive.read(afterOf(request)) };
    if (!this.#machine.mayRead) return;
    const { entries } = this.#reading;
    if (entries.length === 0 && request.kind === 'tail') {
      const after = this.#tailAfter;
      if (this.#archive.head > after || this.#random() < 0.1)
        entries.push(...this.#archive.read(after));
    }
    const entry = entries.shift();
    if (entry === undefined) return;
    if (entry.kind === 'end') this.#tailAfter = entry.archivedThrough;
    this.#machine.handleEntry(request, entry, this.#nowMs);
  }

  #tailAfter = 0;

  #fail(): void {
    const { reading, fetching, standing } = this.#machine;
    const request: Reading | Fetching | Standing | undefined = reading ?? fetching ?? standing;
    if (request === undefined) return;
    this.#count('failure');
    const error = new BackcastError('BACKCAST_API_UNREACHABLE', 'The API is away.');
    this.#machine.handleFailure(request, error, this.#nowMs);
  }

  #passTime(): void {
    this.#machine.handleTimeout(this.#nowMs);
  }

  #heal(): void {
    this.#count('heal');
    this.#archive.heal(this.#random);
  }

  #delete(): void {
    this.#count('deletion');
    this.#archive.delete(randomBelow(this.#random, this.#archive.head + 1));
  }

  /** The process dies and comes back with its cursor; what was not read is told again. */
  #restart(): void {
    const { place } = this.#reader;
    const { begin, hasArchive } = this.#options;
    if (hasArchive && place.position === undefined) return;
    this.#count('restart');
    this.#count('fallback', this.#machine.counters.fallbacks);
    this.#count('slid', this.#machine.counters.entriesSlid);
    const resumed: CursorPlace = {
      position: place.position,
      begin: hasArchive && begin === 'live' ? 'archive' : place.begin,
      nexts: new Map(place.nexts),
      ended: new Set(place.ended),
    };
    for (const publisher of this.#publishers) {
      publisher.isHeard = false;
      publisher.underWay = [];
    }
    this.#items = undefined;
    this.#machine = this.#newMachine(resumed, place.position);
    this.#reader = new SubscriptionReader('native', resumed);
  }

  #newMachine(place: CursorPlace, after: number | undefined): CatchUp {
    const { hasMulticast, hasArchive } = this.#options;
    return new CatchUp(
      {
        ...place,
        start: hasArchive && after !== undefined ? { afterPosition: after } : undefined,
        hasMulticast,
        hasArchive,
        stallMs: Number.POSITIVE_INFINITY,
        whenStalled: 'fail',
        bufferBytesMax: hasArchive ? 4_000 : Number.POSITIVE_INFINITY,
      },
      this.#nowMs,
    );
  }

  /** The reader takes some of what is told. */
  #read(count: number): void {
    if (!this.#isReading) return;
    for (let taken = 0; taken < count; taken += 1) {
      const next = this.#items?.next();
      if (next !== undefined && next.done !== true) {
        this.#take(next.value);
        continue;
      }
      const told = this.#machine.pollTold(this.#nowMs);
      if (told === undefined) return;
      this.#items = this.#reader.items(told);
    }
  }

  #take(one: SubscribedItem): void {
    if (one.kind === 'message') {
      const { session, sequence } = one;
      assert.equal(
        Buffer.from(one.payload).toString(),
        Buffer.from(payloadOf(session, sequence)).toString(),
      );
      this.#advance(session, sequence, sequence);
      this.#messages.add(`${session} ${sequence}`);
    } else if (one.kind === 'lost') {
      const { session, firstSequence, lastSequence } = one;
      this.#advance(session, firstSequence, lastSequence);
      for (let sequence = firstSequence; sequence <= lastSequence; sequence += 1) {
        const isTrue = !this.#options.hasArchive || this.#archive.isMissing(session, sequence);
        assert.ok(
          isTrue,
          `${session} ${sequence} is called lost (${one.cause}), and was to be had`,
        );
      }
    }
  }

  #advance(session: SessionId, first: number, last: number): void {
    const begins = this.#options.begin === 'start' ? 1 : first;
    const next = this.#nexts.get(session) ?? begins;
    assert.equal(first, next, `${session}: ${first} comes where ${next} is next`);
    this.#nexts.set(session, last + 1);
  }

  #checkMachine(): void {
    assert.equal(this.#machine.failure, undefined);
    if (this.#machine.nextDeadlineMs < this.#nowMs) this.#machine.handleTimeout(this.#nowMs);
    assert.ok(!(this.#machine.nextDeadlineMs < this.#nowMs), 'a deadline that was met is over');
  }

  #isSettled(): boolean {
    const { hasMulticast } = this.#options;
    return this.#publishers.every(({ session, published, underWay }) => {
      const isToldAll = this.#nexts.get(session) === published + 1;
      return isToldAll && (!hasMulticast || underWay.length === 0);
    });
  }

  /** Everything that stood in the archive from the start on was told. */
  #checkHistory(): void {
    if (this.#options.begin !== 'position') return;
    for (const entry of this.#archive.read(this.#startPosition - 1)) {
      if (entry.kind !== 'messages') continue;
      for (let n = 0; n < entry.messageCount; n += 1) {
        const sequence = entry.firstSequence + n;
        const wasTold =
          this.#messages.has(`${entry.session} ${sequence}`) ||
          this.#archive.isMissing(entry.session, sequence);
        assert.ok(wasTold, `${entry.session} ${sequence} was never told`);
      }
    }
  }

  #count(name: string, by = 1): void {
    this.happened.set(name, (this.happened.get(name) ?? 0) + by);
  }

  #describe(): string {
    const sessions = this.#publishers.map(({ session, published }) => {
      return `${session} told before ${this.#nexts.get(session)} of ${published}`;
    });
    return `${this.#machine.state}; ${sessions.join('; ')}`;
  }
}

function afterOf(request: Reading): number {
  if (request.kind === 'tail') return request.afterPosition;
  return 'afterPosition' in request.start ? request.start.afterPosition : 0;
}

function runEntry(session: SessionId, first: number, last: number): LiveEntry {
  const payloads = [];
  for (let sequence = first; sequence <= last; sequence += 1)
    payloads.push(payloadOf(session, sequence));
  const { bytes, start, end } = delivered(session, first, payloads);
  return {
    kind: 'messages',
    session,
    first,
    last,
    bytes,
    start,
    end,
    arrivedAtUs: 1,
    isRepaired: false,
  };
}

function lostEntry(session: SessionId, first: number, last: number): LiveEntry {
  return { kind: 'lost', session, first, last, cause: 'repair_expired' };
}
