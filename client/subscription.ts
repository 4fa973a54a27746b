// A subscription that recovers: joins the channel, reads from the archive what it missed, and goes
// on live; one iteration over all of it. Runs the machine that decides (catch-up): gives it the
// clock, carries its requests to the archive, and hands what it tells to the reader.
//
//   multicast ──► live feed ──┐
//                             ├──► catch-up ──► reader ──► for await (… of subscription)
//   archive ──► pulls ────────┘ ◄── what it wants

import { BackcastError, requireChannelName } from '#base/mod.ts';
import type { LatencySnapshot, ReceiverCounters, ReceiverEvent } from '#multicast/core/mod.ts';
import { monotonicMs, type TransportCounters, wallClockUs } from '#multicast/udp/mod.ts';
import { CatchUp } from './catch-up.ts';
import type { SubscriptionCounters } from './catch-up-counters.ts';
import type {
  CatchUpOptions,
  CatchUpState,
  Fetching,
  Reading,
  Standing,
} from './catch-up-shapes.ts';
import { cursorText, type CursorPlace, parseCursor } from './cursor.ts';
import { instantUs } from './given-instant.ts';
import { LiveFeed } from './live-feed.ts';
import type { SessionBegin } from './merge.ts';
import { Pull } from './replay-pull.ts';
import type { FetchedEntry, ReplaySource, ReplayStart, TailEntry } from './replay-source.ts';
import type { SubscribedItem, SubscribeOptions } from './subscription-items.ts';
import { SubscriptionReader } from './subscription-reader.ts';

/** Longer than an archive takes to restart, shorter than anybody waits without asking why. */
const STALL_MS_DEFAULT = 5_000;
/** Ten seconds of a busy channel: what may come in while the archive is read. */
const BUFFER_BYTES_DEFAULT_MAX = 64 * 1_048_576;
/** Longest wait in one go: far below what setTimeout takes. */
const WAIT_MS_MAX = 60_000;

/** A request of the machine, and what runs it. */
interface Running<Request> {
  readonly request: Request;
  readonly abort: () => void;
  readonly wake: () => void;
}

/** An open subscription: iterate it once. Disposing ends the iteration. */
export class Subscription implements AsyncDisposable, AsyncIterable<SubscribedItem> {
  readonly #channel: string;
  readonly #machine: CatchUp;
  readonly #reader: SubscriptionReader;
  readonly #archive: ReplaySource | undefined;
  readonly #signal: AbortSignal | undefined;
  #feed: LiveFeed | undefined;
  #reading: Running<Reading> | undefined;
  #fetching: Running<Fetching> | undefined;
  #standing: Running<Standing> | undefined;
  #news = Promise.withResolvers<void>();
  #timer: NodeJS.Timeout | undefined;
  #timerDueMs = Number.POSITIVE_INFINITY;
  #isClosed = false;

  private constructor(options: SubscribeOptions, begun: Begun) {
    const { multicast, archive, channel, signal } = options;
    this.#channel = channel;
    this.#archive = archive;
    this.#signal = signal;
    this.#reader = new SubscriptionReader(multicast?.address.framing ?? 'native', begun.place);
    const { position, begin, nexts, ended } = begun.place;
    const machineOptions: CatchUpOptions = {
      start: begun.start,
      position,
      begin,
      nexts,
      ended,
      hasArchive: archive !== undefined,
      hasMulticast: isHeardLive(options),
      stallMs: options.stallMs ?? STALL_MS_DEFAULT,
      whenStalled: options.whenStalled ?? 'fail',
      bufferBytesMax: options.bufferBytesMax ?? BUFFER_BYTES_DEFAULT_MAX,
    };
    this.#machine = new CatchUp(machineOptions, monotonicMs());
  }

  /**
   * Joins the channel and begins. Errors: BACKCAST_USAGE, BACKCAST_CHANNEL_NAME,
   * BACKCAST_CURSOR_INVALID, and those of opening a multicast receiver.
   */
  static async open(options: SubscribeOptions): Promise<Subscription> {
    options.signal?.throwIfAborted();
    const subscription = new Subscription(options, beginning(options));
    if (options.multicast !== undefined && isHeardLive(options)) {
      subscription.#feed = await LiveFeed.open({
        ...options.multicast,
        hasRoom: () => subscription.#machine.mayHear,
        onEvent: (event) => subscription.#hear(event),
        onTurn: () => subscription.#turn(),
      });
    }
    options.signal?.addEventListener('abort', subscription.#onAbort, { once: true });
    subscription.#turn();
    return subscription;
  }

  /** Where it is between the archive and the live stream. */
  get state(): CatchUpState {
    return this.#machine.state;
  }

  /**
   * Where the reader is, behind the last item it was given, as text to begin from later. Undefined
   * only in the first moments of a subscription from `live`, until the archive has answered.
   */
  get cursor(): string | undefined {
    const { place } = this.#reader;
    if (place.position === undefined && this.#archive !== undefined) return undefined;
    return cursorText(this.#channel, place);
  }

  /** Numbers since the subscription was opened. */
  get counters(): Readonly<SubscriptionCounters> {
    return { ...this.#machine.counters, ...this.#reader.counters };
  }

  /** The same of the multicast receiver; undefined without one. */
  get receiverCounters(): Readonly<ReceiverCounters> | undefined {
    return this.#feed?.counters;
  }

  /** How long its repairs took. */
  get repairLatency(): LatencySnapshot | undefined {
    return this.#feed?.repairLatency;
  }

  /** What its sockets, injected faults and capture have counted. */
  get transportCounters(): TransportCounters | undefined {
    return this.#feed?.transportCounters;
  }

  /** What is heard and waits for the reader or the archive. */
  get bufferedBytes(): number {
    return this.#machine.bufferedBytes;
  }

  /** Address and port on which the channel is heard; undefined if it is not. */
  get listensAt(): string | undefined {
    return this.#feed?.listensAt;
  }

  /**
   * Everything in order. Ends when the subscription is disposed. Errors: the reason of the signal;
   * BACKCAST_RECOVERY_STALLED; BACKCAST_HISTORY_GONE; BACKCAST_ARCHIVE_REWOUND; what else the
   * archive says for good.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<SubscribedItem, void, void> {
    for (;;) {
      this.#signal?.throwIfAborted();
      if (this.#isClosed) return;
      const told = this.#machine.pollTold(monotonicMs());
      if (told === undefined) {
        if (this.#machine.failure !== undefined) throw this.#machine.failure;
        this.#settle();
        await this.#news.promise;
        this.#news = Promise.withResolvers();
        continue;
      }
      for (const one of this.#reader.items(told)) {
        if (this.#isClosed) return;
        yield one;
      }
      this.#makeRoom();
      this.#settle();
    }
  }

  /** Leaves the channel. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#onAbort);
    for (const running of [this.#reading, this.#fetching, this.#standing]) running?.abort();
    this.#news.resolve();
    await this.#feed?.[Symbol.asyncDispose]();
  }

  readonly #onAbort = (): void => this.#news.resolve();

  readonly #onTimer = (): void => {
    this.#timerDueMs = Number.POSITIVE_INFINITY;
    this.#machine.handleTimeout(monotonicMs());
    this.#turn();
  };

  #hear(event: ReceiverEvent): void {
    const nowMs = monotonicMs();
    switch (event.kind) {
      case 'messages': {
        const { session, firstSequence: first, lastSequence: last, bytes, start, end } = event;
        const isRepaired = event.isRepaired === true;
        const block = { bytes, start, end, arrivedAtUs: wallClockUs(), isRepaired };
        return this.#machine.handleLive(
          { kind: 'messages', session, first, last, ...block },
          nowMs,
        );
      }
      case 'lost': {
        const { session, firstSequence: first, lastSequence: last, cause } = event;
        return this.#machine.handleLive({ kind: 'lost', session, first, last, cause }, nowMs);
      }
      case 'opened':
        return this.#machine.handleLiveSession({ session: event.session, state: 'open' }, nowMs);
      case 'closed': {
        const state = event.cause === 'fin' ? 'closed' : 'expired';
        return this.#machine.handleLiveSession({ session: event.session, state }, nowMs);
      }
      case 'source':
        return this.#reader.nameSource(event.session, event.source);
      case 'lead':
      case 'conflict':
        return;
      default:
        event satisfies never;
    }
  }

  /** Something happened: the reader may have something to take. */
  #turn(): void {
    this.#settle();
    this.#news.resolve();
  }

  /** Brings about what the machine wants now, and comes back when it is due. */
  #settle(): void {
    if (this.#isClosed) return;
    this.#runRequests();
    const { nextDeadlineMs } = this.#machine;
    // A timer that is due earlier is left alone: it finds nothing to do and arms the next one.
    if (nextDeadlineMs >= this.#timerDueMs) return;
    clearTimeout(this.#timer);
    const waitMs = Math.min(Math.max(0, Math.ceil(nextDeadlineMs - monotonicMs())), WAIT_MS_MAX);
    this.#timerDueMs = monotonicMs() + waitMs;
    this.#timer = setTimeout(this.#onTimer, waitMs);
  }

  #makeRoom(): void {
    this.#reading?.wake();
    this.#fetching?.wake();
  }

  #runRequests(): void {
    const { reading, fetching, standing } = this.#machine;
    if (this.#reading?.request !== reading) {
      this.#reading?.abort();
      this.#reading = reading === undefined ? undefined : this.#read(reading);
    }
    if (this.#fetching?.request !== fetching) {
      this.#fetching?.abort();
      this.#fetching = fetching === undefined ? undefined : this.#fetch(fetching);
    }
    if (this.#standing?.request !== standing) {
      this.#standing?.abort();
      this.#standing = standing === undefined ? undefined : this.#stand(standing);
    }
  }

  #read(request: Reading): Running<Reading> {
    const archive = this.#requireArchive();
    const pull = new Pull<TailEntry>({
      pull: (signal) =>
        request.kind === 'open'
          ? archive.open(request.start, signal)
          : archive.tail(request.afterPosition, signal),
      mayPull: () => this.#machine.mayRead,
      take: (entry) => {
        this.#learnSource(entry);
        this.#after(() => this.#machine.handleEntry(request, entry, monotonicMs()));
      },
      failed: (error) => this.#failed(request, error),
    });
    return { request, abort: () => pull.abort(), wake: () => pull.wake() };
  }

  #fetch(request: Fetching): Running<Fetching> {
    const archive = this.#requireArchive();
    const pull = new Pull<FetchedEntry>({
      pull: (signal) => archive.fetch(request.ranges, signal),
      mayPull: () => this.#machine.mayFetch,
      take: (entry) => {
        this.#learnSource(entry);
        this.#after(() => this.#machine.handleFetched(request, entry, monotonicMs()));
      },
      failed: (error) => this.#failed(request, error),
    });
    return { request, abort: () => pull.abort(), wake: () => pull.wake() };
  }

  /** Known before anything of the session is told, its beginning included. */
  #learnSource(entry: TailEntry | FetchedEntry): void {
    if (entry.kind !== 'messages' && entry.kind !== 'session') return;
    if (entry.source !== null) this.#reader.nameSource(entry.session, entry.source);
  }

  #stand(request: Standing): Running<Standing> {
    const abort = new AbortController();
    void this.#requireArchive()
      .stand(request.sessions, abort.signal)
      .then(
        (stand) => {
          for (const { session, source } of stand.sessions)
            if (source !== undefined) this.#reader.nameSource(session, source);
          return this.#after(() => this.#machine.handleStand(request, stand, monotonicMs()));
        },
        (error: unknown) => this.#failed(request, error),
      );
    return { request, abort: () => abort.abort(), wake: () => undefined };
  }

  #failed(request: Reading | Fetching | Standing, error: unknown): void {
    this.#after(() => this.#machine.handleFailure(request, error, monotonicMs()));
  }

  /** One mutation, then everything that follows from it. */
  #after(mutate: () => void): void {
    if (this.#isClosed) return;
    mutate();
    this.#makeRoom();
    this.#turn();
  }

  #requireArchive(): ReplaySource {
    if (this.#archive !== undefined) return this.#archive;
    throw new BackcastError('BACKCAST_INTERNAL', 'A subscription without an archive asked it.');
  }
}

interface Begun {
  readonly start: ReplayStart | undefined;
  readonly place: CursorPlace;
}

/** Foreign publishers number no messages: what is heard of them cannot be joined to the archive. */
function isHeardLive({ multicast, archive }: SubscribeOptions): boolean {
  if (multicast === undefined) return false;
  return archive === undefined || multicast.address.framing === 'native';
}

function beginning(options: SubscribeOptions): Begun {
  const { channel, from = 'live', multicast, archive } = options;
  requireChannelName(channel);
  if (multicast === undefined && archive === undefined)
    throw new BackcastError('BACKCAST_USAGE', 'A subscription needs multicast or an archive.');
  if (from === 'live') return begun(undefined, 'heard');
  if (from !== 'start' && !isObject(from)) throw noPlace(from);
  if (typeof from === 'object' && 'cursor' in from)
    return resumed(parseCursor(channel, from.cursor), archive !== undefined);
  if (archive === undefined)
    throw new BackcastError(
      'BACKCAST_USAGE',
      'To begin in the past, give an archive to read from.',
    );
  if (from === 'start') return begun({ afterPosition: 0 }, 'one');
  if ('position' in from) return begunAt(from.position);
  if ('time' in from) return begun({ publishedFromUs: instantUs(from.time) }, 'archive');
  throw noPlace(from);
}

/** From JavaScript anything may come. */
function isObject(from: unknown): from is object {
  return typeof from === 'object' && from !== null;
}

function noPlace(from: unknown): BackcastError {
  return new BackcastError(
    'BACKCAST_USAGE',
    `${JSON.stringify(from)} is no place to begin at: give "live", "start", { cursor }, ` +
      '{ position } or { time }.',
  );
}

function begun(start: ReplayStart | undefined, begin: SessionBegin): Begun {
  return { start, place: { position: undefined, begin, nexts: new Map(), ended: new Set() } };
}

function begunAt(position: number): Begun {
  if (!Number.isSafeInteger(position) || position < 1)
    throw new BackcastError('BACKCAST_USAGE', `${position} is no position: they begin with 1.`);
  return begun({ afterPosition: position - 1 }, position === 1 ? 'one' : 'archive');
}

/** What began while nobody listened is wanted as well. */
function resumed(place: CursorPlace, hasArchive: boolean): Begun {
  const { position } = place;
  const isPlaced = hasArchive && position !== undefined;
  const begin = isPlaced && place.begin === 'heard' ? 'archive' : place.begin;
  return { start: isPlaced ? { afterPosition: position } : undefined, place: { ...place, begin } };
}
