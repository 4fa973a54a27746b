// Notes who reads which messages. A reading is written when it has begun and again when it has
// ended, in batches and in the background: no reader waits for it. What cannot be written waits,
// and beyond a bound it is given up and counted.

import type { FastifyBaseLogger, FastifyRequest } from 'fastify';
import {
  type Channel,
  forgetAccesses,
  type MessagePage,
  type NewAccess,
  type OpenDatabase,
  writeAccesses,
} from '#archive/mod.ts';
import { toError } from '#base/mod.ts';
import type { AccessCounters } from './access-metrics.ts';
import type { AnswerEnd } from './answer-under-way.ts';
import type { Principal } from './principal.ts';

/** Where notes go. */
export interface AccessLogOptions {
  readonly database: OpenDatabase;
  readonly logger: FastifyBaseLogger;
  /** How long notes are kept; for ever if not given. */
  readonly keptMs?: number | undefined;
}

/** What was handed over of a reading so far. */
export interface Served {
  readonly messageCount: number;
  readonly firstPosition: number;
  readonly lastPosition: number;
}

/** The note of one reading. It is ended by itself, with the answer. */
export interface AccessNote {
  /** These messages were handed over to be sent. */
  served(range: Served): void;
  /** The messages of a page were. */
  servedPage(page: MessagePage): void;
}

/** What a reading is noted with. */
export interface Reading {
  readonly request: FastifyRequest;
  readonly principal: Principal;
  readonly channel: Pick<Channel, 'channelId'>;
  /** What was asked for; the query of the URL if not given. */
  readonly asked?: string | undefined;
}

type Mutable<Value> = { -readonly [Key in keyof Value]: Value[Key] };

const WRITE_EVERY_MS = 1_000;
const FORGET_EVERY_MS = 3_600_000;
/** Rows in one statement: far below what a statement can have parameters for. */
const BATCH_ROWS_MAX = 500;
/** Notes that wait to be written, some 500 bytes each; those of further readings are given up. */
const WAITING_MAX = 20_000;
/** How much of what was asked for is kept. */
const ASKED_CHARACTERS_MAX = 1_000;
const WHO_CHARACTERS_MAX = 256;

/** Writes notes until it is closed. */
export class AccessLog {
  readonly #options: AccessLogOptions;
  readonly #counters: AccessCounters;
  readonly #waiting = new Map<string, NewAccess>();
  readonly #timers: readonly NodeJS.Timeout[];
  #writing: Promise<void> | undefined;
  #isAway = false;

  constructor(options: AccessLogOptions, counters: AccessCounters) {
    this.#options = options;
    this.#counters = counters;
    this.#timers = [
      setInterval(() => void this.write(), WRITE_EVERY_MS),
      setInterval(() => void this.forget(), FORGET_EVERY_MS),
    ];
    for (const timer of this.#timers) timer.unref();
  }

  /** Begins the note of a reading; `end` is to be called when its answer has ended. */
  begin({ request, principal, channel, asked }: Reading): {
    readonly note: AccessNote;
    readonly end: (outcome: AnswerEnd) => void;
  } {
    const access: Mutable<NewAccess> = {
      id: request.id,
      channelId: channel.channelId,
      startedAtUs: Date.now() * 1_000,
      endedAtUs: null,
      outcome: 'running',
      operation: request.routeOptions.schema?.operationId ?? request.method,
      who: storable(principal.who, WHO_CHARACTERS_MAX),
      remote: request.ip,
      request: storable(asked ?? queryOf(request.url), ASKED_CHARACTERS_MAX),
      messageCount: 0,
      firstPosition: null,
      lastPosition: null,
    };
    this.#enqueue(access);
    const end = (outcome: AnswerEnd): void => {
      access.endedAtUs = Date.now() * 1_000;
      access.outcome = outcome;
      this.#enqueue(access);
    };
    const served = ({ messageCount, firstPosition, lastPosition }: Served): void => {
      if (messageCount === 0) return;
      access.messageCount += messageCount;
      access.firstPosition = Math.min(access.firstPosition ?? firstPosition, firstPosition);
      access.lastPosition = Math.max(access.lastPosition ?? lastPosition, lastPosition);
    };
    return { note: { served, servedPage: (page) => servePage(page, served) }, end };
  }

  /** Writes what waits, as the timer does. Never rejects. */
  write(): Promise<void> {
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  /** Forgets what is old enough, as the timer does. Never rejects. */
  async forget(): Promise<void> {
    const { database, keptMs, logger } = this.#options;
    if (keptMs === undefined) return;
    try {
      await forgetAccesses(database.database, (Date.now() - keptMs) * 1_000);
    } catch (error) {
      logger.warn({ reason: toError(error).message }, 'old notes of readings stay for now');
    }
  }

  /** Writes what waits once more, and no more after that. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.write();
    await this.write();
  }

  #enqueue(access: NewAccess): void {
    if (this.#waiting.has(access.id) || this.#waiting.size < WAITING_MAX)
      this.#waiting.set(access.id, access);
    else if (access.endedAtUs !== null) this.#counters.unnotedReads += 1;
  }

  async #writeAll(): Promise<void> {
    const { database, logger } = this.#options;
    while (this.#waiting.size > 0) {
      const batch = [...this.#waiting.values()].slice(0, BATCH_ROWS_MAX);
      for (const { id } of batch) this.#waiting.delete(id);
      try {
        await writeAccesses(database.database, batch);
        this.#isAway = false;
      } catch (error) {
        for (const access of batch) this.#enqueue(access);
        const reason = toError(error).message;
        if (!this.#isAway) logger.warn({ reason }, 'notes of readings wait to be written');
        this.#isAway = true;
        return;
      }
    }
  }
}

/** No note is taken. */
export const NO_NOTE: AccessNote = { served: () => undefined, servedPage: () => undefined };

function servePage({ entries }: MessagePage, served: (range: Served) => void): void {
  for (const entry of entries) {
    if (entry.kind !== 'messages') continue;
    const { messageCount } = entry;
    const firstPosition = entry.segment.firstPosition + entry.firstIndex;
    served({ messageCount, firstPosition, lastPosition: firstPosition + messageCount - 1 });
  }
}

function queryOf(url: string): string {
  const at = url.indexOf('?');
  return at < 0 ? '' : url.slice(at + 1);
}

/** The beginning of a text as the database takes it, which has no zero characters. */
function storable(text: string, charactersMax: number): string {
  return text.slice(0, charactersMax).replaceAll('\0', '').toWellFormed();
}
