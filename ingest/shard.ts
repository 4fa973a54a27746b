// A share of the archiver's channels: for each a recorder, for all of them one writer and one
// connection to PostgreSQL. Runs in a worker thread (shard-worker.ts), shares nothing with other
// shards. Takes a channel by its lease, goes on where the archive ends, keeps the lease, and lets
// go in order.

import {
  acquireLease,
  Appender,
  type ArchiveDatabase,
  ensureChannel,
  findSessions,
  type HeldLease,
  loadSessions,
  openDatabase,
  releaseLease,
  renewLeases,
} from '#archive/mod.ts';
import { SegmentBuilderPool } from '#archive/segment/mod.ts';
import { BackcastError, type ChannelAddress } from '#base/mod.ts';
import type { ReceiverEvent } from '#multicast/core/mod.ts';
import { type AuthenticationKey, monotonicMs } from '#multicast/udp/mod.ts';
import { ChannelRecorder, type RecorderCounters } from './channel-recorder.ts';
import type { ShardReport, ShardStart } from './shard-messages.ts';
import { ShardWriter } from './shard-writer.ts';

/** How long a lease stands; it is renewed three times within. */
const LEASE_MS = 9_000;
/**
 * Between two attempts to take a channel that somebody else holds, or while the database is away.
 */
const RETRY_MS = 1_000;
/** How often the channels look at what waits for the database. */
const TICK_MS = 250;
/** After a stop, how long what was heard may take to be committed. */
const DRAIN_MS_MAX = 3_000;

/** The channels of one worker thread. */
export class Shard {
  readonly #settings: ShardStart;
  readonly #keySource: { keys: readonly AuthenticationKey[] } | undefined;
  readonly #report: (report: ShardReport) => void;
  readonly #resources = new AsyncDisposableStack();
  readonly #database: ArchiveDatabase;
  readonly #writer: ShardWriter;
  readonly #recorders = new Map<string, ChannelRecorder>();
  readonly #leases = new Map<string, HeldLease>();
  readonly #stopping = new AbortController();
  readonly #drainDeadline = new AbortController();
  readonly #takes: Promise<void>[] = [];
  readonly #builders = new SegmentBuilderPool();

  constructor(settings: ShardStart, report: (report: ShardReport) => void) {
    this.#settings = settings;
    this.#keySource = settings.keys && { keys: settings.keys };
    this.#report = report;
    const applicationName = `backcast archiver ${settings.holder}`;
    const url = settings.databaseUrl;
    const open = this.#resources.use(
      openDatabase({ url, applicationName, statementTimeoutMs: 10_000, poolConnectionsMax: 2 }),
    );
    const appender = this.#resources.use(new Appender({ url, applicationName }));
    this.#database = open.database;
    this.#writer = new ShardWriter({
      append: (batch) => appender.append(batch),
      nowMs: monotonicMs,
      onDatabase: (state, error) => {
        if (state === 'back') this.#log('info', 'database is back', {});
        else this.#log('warn', 'database is away', { reason: error?.message });
      },
    });
  }

  /** Runs until `stop`. Rejects with what no retry mends. */
  async run(): Promise<void> {
    const renewal = setInterval(() => void this.#renew(), LEASE_MS / 3);
    const ticking = setInterval(() => {
      for (const recorder of this.#recorders.values()) recorder.handleTimeout(monotonicMs());
    }, TICK_MS);
    try {
      const isDrained = await this.#writer.run(this.#drainDeadline.signal);
      if (!isDrained) {
        const hint =
          'what was heard last is not committed; the next start reads it from the spool, or asks ' +
          'the publishers for it';
        this.#log('warn', 'stopped before the database had taken everything', { hint });
      }
    } finally {
      clearInterval(renewal);
      clearInterval(ticking);
      this.#stopping.abort();
      await Promise.allSettled(this.#takes);
      await Promise.all([...this.#recorders.values()].map((recorder) => recorder.close()));
      for (const lease of this.#leases.values()) {
        await releaseLease(this.#database, lease).catch(() => undefined);
      }
      await this.#resources.disposeAsync();
    }
  }

  /** Starts to record a channel as soon as its lease is free. */
  record(channel: string, address: ChannelAddress): void {
    const take = this.#take(channel, address).catch((error: unknown) => this.#fail(error));
    this.#takes.push(take);
  }

  /** Packets are sealed and checked with these keys from now on. */
  useKeys(keys: readonly AuthenticationKey[]): void {
    if (this.#keySource !== undefined) this.#keySource.keys = keys;
  }

  /** Stops listening, commits what was heard, gives the leases back; `run` then returns. */
  stop(): void {
    this.#stopping.abort();
    const timer = setTimeout(() => this.#drainDeadline.abort(), DRAIN_MS_MAX);
    timer.unref();
    void Promise.allSettled(
      [...this.#recorders.values()].map((it) => it[Symbol.asyncDispose]()),
    ).then(() => this.#writer.drain());
  }

  /** Numbers per channel. */
  counters(): Record<string, RecorderCounters> {
    const databaseAway = this.#writer.isAway;
    const numbers = [...this.#recorders].map(([name, { counters }]) => {
      return [name, { ...counters, databaseAway }] as const;
    });
    return Object.fromEntries(numbers);
  }

  async #take(channel: string, address: ChannelAddress): Promise<void> {
    const { signal } = this.#stopping;
    let waitingFor = '';
    while (!signal.aborted) {
      try {
        const channelId = await ensureChannel(this.#database, channel, address);
        const { holder } = this.#settings;
        const lease = await acquireLease(this.#database, channelId, holder, LEASE_MS);
        if (lease.outcome === 'acquired') {
          await this.#open(channel, address, { channelId, ...lease });
          return;
        }
        if (waitingFor !== lease.holder) {
          this.#log('info', 'channel is written by another archiver, waiting', {
            channel,
            holder: lease.holder,
          });
        }
        waitingFor = lease.holder;
      } catch (error) {
        if (!(error instanceof BackcastError)) throw error;
        if (error.code === 'BACKCAST_FRAMING_CHANGED') {
          this.#log('warn', 'channel not recorded', { channel, reason: error.message });
          return;
        }
        if (!error.isRetryable) throw error;
        if (waitingFor !== error.code) {
          this.#log('warn', 'channel cannot be taken yet', { channel, reason: error.message });
        }
        waitingFor = error.code;
      }
      await waitMs(RETRY_MS, signal);
    }
  }

  async #open(
    channel: string,
    address: ChannelAddress,
    lease: { readonly channelId: number; readonly epoch: number; readonly head: number },
  ): Promise<void> {
    const sessions = await loadSessions(this.#database, lease.channelId);
    this.#leases.set(channel, lease);
    const recorder = await ChannelRecorder.open({
      ...this.#settings,
      channel,
      address,
      channelId: lease.channelId,
      epoch: lease.epoch,
      head: lease.head,
      sessions,
      findSessions: (asked) => findSessions(this.#database, lease.channelId, asked),
      builders: this.#builders,
      keys: this.#keySource,
      onListening: (at) => this.#report({ kind: 'listening', channel, at }),
      onWork: () => this.#writer.wake(),
      onSession: (event) => this.#logSession(channel, event),
      onFenced: () => this.#lose(channel),
      onSpool: (problem) => {
        if (problem === undefined) this.#log('info', 'the spool can be used again', { channel });
        else this.#log('warn', 'the spool cannot be used', { channel, reason: problem.message });
      },
    });
    this.#recorders.set(channel, recorder);
    this.#writer.add(recorder);
    const { group, port, dport } = address;
    const { head, epoch } = lease;
    this.#log('info', 'recording', { channel, group, port, dport, head, epoch });
    this.#report({ kind: 'recording', channel });
  }

  /**
   * Somebody else has the channel now: what waits here was heard by them too, or is theirs to
   * declare.
   */
  #lose(channel: string): void {
    const recorder = this.#recorders.get(channel);
    if (recorder === undefined) return;
    this.#recorders.delete(channel);
    this.#leases.delete(channel);
    this.#writer.remove(recorder);
    void recorder.close();
    this.#fail(
      new BackcastError(
        'BACKCAST_FENCED',
        `Another archiver has taken the channel ${channel} over. Give each archiver a name of ` +
          'its own (archiver.name), or run only one.',
      ),
    );
  }

  /** Channels that are taken while this runs are not among those that were asked for. */
  async #renew(): Promise<void> {
    const held = [...this.#leases];
    try {
      const leases = held.map(([, lease]) => lease);
      const kept = new Set(await renewLeases(this.#database, leases, LEASE_MS));
      for (const [channel, { channelId }] of held) if (!kept.has(channelId)) this.#lose(channel);
    } catch {
      // The writer notices and reports a database that is away; the epoch protects the archive
      // meanwhile.
    }
  }

  #logSession(channel: string, event: Exclude<ReceiverEvent, { kind: 'messages' }>): void {
    const { kind, ...rest } = event;
    if (kind === 'source' || kind === 'lead') return;
    const level = kind === 'lost' ? 'warn' : 'info';
    const what = { opened: 'session heard', lost: 'messages lost', closed: 'session over' }[kind];
    this.#log(level, what, { channel, ...rest });
  }

  #fail(error: unknown): void {
    if (error instanceof BackcastError) {
      this.#report({ kind: 'failed', code: error.code, message: error.message });
    } else throw error;
  }

  #log(level: 'info' | 'warn', message: string, fields: Record<string, unknown>): void {
    this.#report({ kind: 'log', level, message, fields });
  }
}

/** Waits, or returns early when `signal` fires. */
async function waitMs(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener('abort', () => resolve(), { once: true });
  await promise;
  clearTimeout(timer);
}
