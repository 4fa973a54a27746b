// A server that follows the primary, for reading. Watches how far it is behind: the primary is
// asked how far its log has got, and the replica's delay is the age of the oldest such answer that
// it has not replayed. No clock is compared with another, and an archive at rest is not behind.
// What the replica shows it answers truthfully, only perhaps of a moment ago: who reads it takes
// the head of a channel from it too, so that nothing beyond its own snapshot is asked of it.

import { sql } from 'kysely';
import { rootMessage } from '#base/mod.ts';
import type { ArchiveDatabase, OpenDatabase } from './connect.ts';
import { explained } from './read-sql.ts';
import { ReplicaMarks } from './replica-marks.ts';

/** A replica that is watched. Disposing ends the watching and closes its connections. */
export interface Replica extends AsyncDisposable {
  readonly opened: OpenDatabase;
  /** Whether to read from it: it answers, is a replica, and not too far behind. */
  readonly isUsable: boolean;
  /** Milliseconds behind the primary; infinite while nothing is known. */
  readonly behindMs: number;
  /** A statement has failed there: not to be read from until it is heard again. */
  lost(error: Error): void;
  /** Looks at once how far it is; otherwise it is looked every CHECK_EVERY_MS. */
  check(): Promise<void>;
}

/** What to watch. */
export interface ReplicaOptions {
  readonly primary: OpenDatabase;
  /** Closed with the watching. */
  readonly replica: OpenDatabase;
  readonly behindMsMax: number;
  readonly log: ReplicaLog;
}

/** Where it is said that a replica is left, and taken again. */
export interface ReplicaLog {
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
}

const CHECK_EVERY_MS = 1_000;

/** Begins to watch; the replica is used once it was found usable. Never throws. */
export function watchReplica(options: ReplicaOptions): Replica {
  return new WatchedReplica(options);
}

class WatchedReplica implements Replica {
  readonly opened: OpenDatabase;
  readonly #options: ReplicaOptions;
  readonly #timer: NodeJS.Timeout;
  readonly #marks = new ReplicaMarks();
  #isHeard = false;
  #wasUsable: boolean | undefined;
  #trouble = 'it has not answered yet';
  #checking: Promise<void> | undefined;

  constructor(options: ReplicaOptions) {
    this.opened = options.replica;
    this.#options = options;
    this.#timer = setInterval(() => void this.check(), CHECK_EVERY_MS);
    void this.check();
  }

  get isUsable(): boolean {
    return this.behindMs <= this.#options.behindMsMax;
  }

  get behindMs(): number {
    return this.#isHeard ? this.#marks.behindMs(performance.now()) : Number.POSITIVE_INFINITY;
  }

  lost(error: Error): void {
    this.#isHeard = false;
    this.#trouble = rootMessage(error);
    this.#tell();
  }

  check(): Promise<void> {
    this.#checking ??= this.#look().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.opened.close();
    await this.#checking;
  }

  async #look(): Promise<void> {
    await this.#mark();
    try {
      const replayed = await replayedBy(this.opened.database);
      this.#isHeard = replayed !== undefined;
      if (replayed === undefined) this.#trouble = 'it is no replica';
      else this.#marks.replayed(replayed);
    } catch (error) {
      this.lost(error as Error);
    }
    this.#tell();
  }

  /** While the primary is away, nothing new can be missing on the replica. */
  async #mark(): Promise<void> {
    const takenAtMs = performance.now();
    const lsn = await writtenBy(this.#options.primary.database).catch(() => undefined);
    if (lsn !== undefined) this.#marks.add(lsn, takenAtMs);
  }

  #tell(): void {
    const { isUsable } = this;
    if (isUsable === this.#wasUsable) return;
    const isNew = this.#wasUsable === undefined;
    this.#wasUsable = isUsable;
    const { log } = this.#options;
    if (isUsable) log.info({}, 'history is read from the replica');
    else if (!this.#isHeard) {
      log.warn({ trouble: this.#trouble }, 'replica away, history is read from the primary');
    } else if (!isNew) {
      const behindMs = Math.round(this.behindMs);
      log.warn({ behindMs }, 'replica behind, history is read from the primary');
    }
  }
}

async function writtenBy(primary: ArchiveDatabase): Promise<bigint | undefined> {
  const statement = sql<{ lsn: string | null }>`
    SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                ELSE pg_current_wal_lsn() END::text AS lsn`;
  const { rows } = await explained(statement.execute(primary));
  return toLsn(rows[0].lsn);
}

/** How far the replica has replayed; undefined if it is none. */
async function replayedBy(replica: ArchiveDatabase): Promise<bigint | undefined> {
  const statement = sql<{ lsn: string | null }>`
    SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END::text AS lsn`;
  const { rows } = await explained(statement.execute(replica));
  return toLsn(rows[0].lsn);
}

/** A place in the log, which PostgreSQL writes as two hexadecimal numbers of 32 bits. */
function toLsn(text: string | null): bigint | undefined {
  if (text === null) return undefined;
  const [high, low] = text.split('/').map((word) => BigInt(`0x${word}`));
  return (high << 32n) | low;
}
