// The connection of the Redis registry: bounded waiting, one kind of error, and a word to the owner
// when Redis goes away or comes back. ioredis reconnects by itself in the background; commands are
// never queued for it, so that nobody waits on an outage. Knows nothing of channels.

import { Redis } from 'ioredis';
import { BackcastError, rootMessage } from '#base/mod.ts';

/** How long the first command waits for a connection. */
const CONNECT_MS_MAX = 3_000;
/** How long an answer may take before Redis counts as unreachable. */
const ANSWER_MS_MAX = 2_000;
const RECONNECT_MS_MIN = 100;
const RECONNECT_MS_MAX = 5_000;

/** Redis went away or came back. */
export interface ReachabilityChange {
  readonly isReachable: boolean;
  /** Why, when it went away. */
  readonly reason?: string;
}

/** Runs commands on one Redis, or says within bounded time that it cannot be reached. */
export class RedisConnection implements AsyncDisposable {
  readonly where: string;
  readonly #redis: Redis;
  readonly #onNews = new Map<string, Set<() => void>>();
  #listener: Redis | undefined;
  readonly #onChange: (change: ReachabilityChange) => void;
  #firstConnect: Promise<void> | undefined;
  #isReachable: boolean | undefined;
  #lastProblem: unknown;

  constructor(url: string, onChange: (change: ReachabilityChange) => void) {
    this.where = describeRedisUrl(url);
    this.#onChange = onChange;
    this.#redis = new Redis(toIoredisUrl(url), {
      lazyConnect: true,
      connectionName: 'backcast-registry',
      connectTimeout: CONNECT_MS_MAX,
      commandTimeout: ANSWER_MS_MAX,
      enableOfflineQueue: false,
      enableReadyCheck: true,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      keepAlive: 30_000,
      noDelay: true,
      retryStrategy: (attempt) =>
        Math.min(RECONNECT_MS_MIN * 2 ** Math.min(attempt, 10), RECONNECT_MS_MAX),
      reconnectOnError: (error) => error.message.startsWith('READONLY'),
    });
    this.#redis.on('error', (error) => {
      this.#lastProblem = error;
    });
    this.#redis.on('ready', () => this.#change({ isReachable: true }));
    this.#redis.on('close', () => this.#changeToUnreachable());
  }

  /**
   * What `command` answers. Throws BACKCAST_REDIS_UNREACHABLE within CONNECT_MS_MAX (first call) or
   * ANSWER_MS_MAX (later) when Redis is away, refuses to log in or cannot write;
   * BACKCAST_REGISTRY_INVALID when it holds something else under our keys.
   */
  async run<Answer>(command: (redis: Redis) => Promise<Answer>): Promise<Answer> {
    this.#firstConnect ??= this.#connect();
    await this.#firstConnect;
    try {
      return await command(this.#redis);
    } catch (error) {
      throw this.#explain(error);
    }
  }

  /**
   * Calls `onNews` after each message that anybody publishes on `topic`, until the answer is
   * disposed. What is published while Redis is away is not heard: this is a hint to look, no more.
   */
  listen(topic: string, onNews: () => void): Disposable {
    const listener = (this.#listener ??= this.#openListener());
    const listeners = this.#onNews.get(topic) ?? new Set();
    if (listeners.size === 0) void listener.subscribe(topic).catch(() => undefined);
    this.#onNews.set(topic, listeners.add(onNews));
    return {
      [Symbol.dispose]: () => {
        if (!listeners.delete(onNews) || listeners.size > 0) return;
        void listener.unsubscribe(topic).catch(() => undefined);
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#redis.disconnect(false);
    this.#listener?.disconnect(false);
  }

  /** A connection that listens can do nothing else. It waits for Redis however long that takes. */
  #openListener(): Redis {
    const listener = this.#redis.duplicate({
      connectionName: 'backcast-registry-news',
      enableOfflineQueue: true,
      lazyConnect: false,
      commandTimeout: undefined,
      maxRetriesPerRequest: null,
    });
    listener.on('error', () => undefined);
    listener.on('message', (topic: string) => {
      for (const onNews of this.#onNews.get(topic) ?? []) onNews();
    });
    return listener;
  }

  /**
   * Waits until the first attempt has come to an end, good or bad; later attempts are ioredis's.
   */
  async #connect(): Promise<void> {
    const patience = Promise.withResolvers<void>();
    const timer = setTimeout(patience.resolve, CONNECT_MS_MAX);
    const attempt = this.#redis.connect().catch((error: unknown) => {
      this.#lastProblem ??= error;
    });
    await Promise.race([attempt, patience.promise]);
    clearTimeout(timer);
  }

  #change(change: ReachabilityChange): void {
    if (this.#isReachable === change.isReachable) return;
    this.#isReachable = change.isReachable;
    this.#onChange(change);
  }

  #changeToUnreachable(): void {
    if (this.#redis.status === 'end') return;
    this.#change({ isReachable: false, reason: this.#problem() });
  }

  #problem(): string {
    return this.#lastProblem === undefined
      ? 'the connection was closed'
      : rootMessage(this.#lastProblem);
  }

  #explain(error: unknown): BackcastError {
    const said = rootMessage(error);
    if (/^(WRONGTYPE|OVERFULL)/.test(said) || said.includes('WRONGTYPE'))
      return new BackcastError(
        'BACKCAST_REGISTRY_INVALID',
        `Redis at ${this.where} holds something else under the keys of the registry (${said}); ` +
          'set another registry.prefix or remove those keys',
        { cause: error },
      );
    const reason = this.#redis.status === 'ready' ? said : this.#problem();
    return new BackcastError(
      'BACKCAST_REDIS_UNREACHABLE',
      `Redis at ${this.where} cannot be used: ${reason}; start it or correct REDIS_URL`,
      { cause: error },
    );
  }
}

/**
 * Throws BACKCAST_CONFIG_INVALID unless `url` is redis://, rediss://, unix:/// or the path of a
 * socket.
 */
function toIoredisUrl(url: string): string {
  if (url.startsWith('unix:///')) return url.slice('unix://'.length);
  if (url.startsWith('/')) return url;
  if (/^rediss?:\/\//.test(url) && URL.canParse(url)) return url;
  throw new BackcastError(
    'BACKCAST_CONFIG_INVALID',
    'REDIS_URL is not of the form redis://host:6379, rediss://host:6379 or unix:///path/to/socket',
  );
}

/** Where `url` points, without user and password. */
function describeRedisUrl(url: string): string {
  const path = toIoredisUrl(url);
  if (path.startsWith('/')) return path.replace(/\?.*$/, '');
  const { protocol, host, pathname } = new URL(path);
  return `${protocol}//${host}${pathname === '/' ? '' : pathname}`;
}
