// Fills a channel of a test database with exactly the rows that an archiver would have written for
// a given course of deliveries: segments, index, losses, sessions, bounds, head. Plain INSERTs, so
// that a test of reading does not rest on the code that writes, and can choose every instant.

import { Client } from 'pg';
import {
  type Framing,
  formatInstant,
  type LossCause,
  type SessionId,
  sessionToBigInt,
} from '#base/mod.ts';

/** A message as a publisher sent it. */
export interface SentMessage {
  readonly session: SessionId;
  readonly sequence: number;
  /** In a foreign session, the last of the numbers behind it that name no message. */
  readonly throughSequence?: number;
  readonly publishedAtUs: number;
  readonly payload: Buffer;
  /** A loss had been declared of it; the loss says so too. */
  readonly isHealed?: boolean;
}

/** What the archiver did, in order: archived messages as one segment, or declared a loss. */
export type Delivery =
  | {
      readonly kind: 'segment';
      readonly archivedAtUs: number;
      readonly messages: readonly SentMessage[];
    }
  | {
      readonly kind: 'loss';
      readonly session: SessionId;
      readonly first: number;
      readonly last: number;
      readonly cause: LossCause;
      /** Positions of the segment before that lie behind the hole; none if not given. */
      readonly positionsBehind?: number;
      readonly sqns?: { readonly first: number; readonly next: number };
      readonly packetCount?: number;
      readonly detectedAtUs: number;
      readonly healed?: { readonly atUs: number; readonly by: string };
    };

/** What is said about a session beside its messages. */
export interface SessionFacts {
  readonly source?: string | null;
  readonly state?: 'open' | 'closed' | 'expired';
  readonly lead?: number;
  readonly openedAtUs?: number;
  readonly seenAtUs?: number;
  readonly isForeign?: boolean;
}

/** A channel to fill. */
export interface FilledChannel {
  readonly name: string;
  /** `native` if not given. */
  readonly framing?: Framing;
  readonly deliveries: readonly Delivery[];
  readonly sessions?: ReadonlyMap<SessionId, SessionFacts>;
}

/** An instant for tests: `seconds` after 2026-11-20T12:00:00Z, in microseconds since 1970. */
export function instantAt(seconds: number): number {
  return Date.UTC(2026, 10, 20, 12) * 1000 + Math.round(seconds * 1_000_000);
}

/** A message that was published at instantAt(`seconds`). */
export function sent(
  session: SessionId,
  sequence: number,
  seconds: number,
  payload: Buffer = Buffer.from(`${session}/${sequence}`),
): SentMessage {
  return { session, sequence, publishedAtUs: instantAt(seconds), payload };
}

/** A segment that was archived at instantAt(`seconds`). */
export function segment(seconds: number, messages: readonly SentMessage[]): Delivery {
  return { kind: 'segment', archivedAtUs: instantAt(seconds), messages };
}

/** So many segments of one message each, from sequence 1 on, a second apart. */
export function segmentsOf(session: SessionId, count: number, payload: Buffer): Delivery[] {
  return Array.from({ length: count }, (_, index) =>
    segment(index, [sent(session, index + 1, index, payload)]),
  );
}

/** Writes `channel` into the migrated database at `url`; returns its channel_id. */
export async function fillChannel(url: string, channel: FilledChannel): Promise<number> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query('BEGIN');
    const made = await client.query<{ channel_id: number }>(
      `INSERT INTO channels (name, group_address, port, dport, framing)
       VALUES ($1, '239.255.0.1', 7500, 7500, $2) RETURNING channel_id`,
      [channel.name, channel.framing ?? 'native'],
    );
    const channelId = made.rows[0].channel_id;
    await new Filling(client, channelId, channel).run();
    await client.query('COMMIT');
    return channelId;
  } finally {
    await client.end();
  }
}

interface SessionRange {
  readonly firstSequence: number;
  readonly lastSequence: number;
}

class Filling {
  readonly #client: Client;
  readonly #channelId: number;
  readonly #channel: FilledChannel;
  readonly #sessions = new Map<SessionId, SessionRange>();
  #head = 0;

  constructor(client: Client, channelId: number, channel: FilledChannel) {
    this.#client = client;
    this.#channelId = channelId;
    this.#channel = channel;
  }

  async run(): Promise<void> {
    for (const delivery of this.#channel.deliveries) {
      if (delivery.kind === 'segment')
        await this.#segment(delivery.archivedAtUs, delivery.messages);
      else await this.#loss(delivery);
    }
    for (const [session, range] of this.#sessions) await this.#session(session, range);
    await this.#insert('leases', {
      commits: 0,
      epoch: 1,
      head: this.#head,
      expires_at: instant(instantAt(0)),
    });
    await this.#client.query(BOUNDS, [this.#channelId]);
  }

  async #segment(archivedAtUs: number, messages: readonly SentMessage[]): Promise<void> {
    const firstPosition = this.#head + 1;
    const instants = messages.map((message) => message.publishedAtUs);
    const runs = runsOf(messages);
    await this.#insert('segments', {
      first_position: firstPosition,
      message_count: messages.length,
      payload_bytes: messages.reduce((sum, { payload }) => sum + payload.length, 0),
      run_session: runs.map((run) => key(run[0].session)),
      run_first: runs.map((run) => run[0].sequence),
      run_length: runs.map((run) => run.length),
      run_last: messages.every(isDense) ? null : runs.map((run) => throughOf(run[run.length - 1])),
      min_published_at: instant(Math.min(...instants)),
      max_published_at: instant(Math.max(...instants)),
      archived_at: instant(archivedAtUs),
      published_at: instants.map(instant),
      payload: messages.map((message) => message.payload),
    });
    for (const session of new Set(messages.map((message) => message.session))) {
      const own = messages.filter((message) => message.session === session);
      for (const message of own) this.#cover(session, message.sequence, throughOf(message));
      for (const stretch of stretchesOf(own)) {
        await this.#insert('segment_sessions', {
          session_id: key(session),
          first_sequence: stretch[0].sequence,
          last_sequence: throughOf(stretch[stretch.length - 1]),
          first_position: firstPosition,
          archived_at: instant(archivedAtUs),
          is_healed: stretch[0].isHealed ?? false,
        });
      }
    }
    this.#head += messages.length;
  }

  async #loss(loss: Extract<Delivery, { kind: 'loss' }>): Promise<void> {
    this.#cover(loss.session, loss.first, loss.last);
    await this.#insert('losses', {
      session_id: key(loss.session),
      first_sequence: loss.first,
      last_sequence: loss.last,
      cause: loss.cause,
      after_position: this.#head - (loss.positionsBehind ?? 0),
      first_sqn: loss.sqns?.first,
      next_sqn: loss.sqns?.next ?? 2 ** 32,
      packet_count: loss.packetCount,
      detected_at: instant(loss.detectedAtUs),
      declared_at: instant(loss.detectedAtUs + 1_000_000),
      healed_position: loss.healed && this.#head,
      healed_at: loss.healed && instant(loss.healed.atUs),
      healed_by: loss.healed?.by,
    });
  }

  #cover(session: SessionId, first: number, last: number): void {
    const range = this.#sessions.get(session);
    this.#sessions.set(session, {
      firstSequence: Math.min(first, range?.firstSequence ?? first),
      lastSequence: Math.max(last, range?.lastSequence ?? last),
    });
  }

  async #session(session: SessionId, range: SessionRange): Promise<void> {
    const facts = this.#channel.sessions?.get(session) ?? {};
    await this.#insert('sessions', {
      session_id: key(session),
      source: facts.source === undefined ? `source-${session.slice(-4)}` : facts.source,
      tsi: '010203040506:7500',
      is_foreign: facts.isForeign ?? false,
      state: facts.state ?? 'open',
      first_archived: range.firstSequence,
      watermark: range.lastSequence,
      lead: facts.lead ?? range.lastSequence,
      resume_sqn: 0,
      opened_at: instant(facts.openedAtUs ?? instantAt(0)),
      seen_at: instant(facts.seenAtUs ?? instantAt(3600)),
    });
  }

  async #insert(table: string, values: Readonly<Record<string, unknown>>): Promise<void> {
    const columns = ['channel_id', ...Object.keys(values)];
    const places = columns.map((_, index) => `$${index + 1}`);
    await this.#client.query(
      `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${places.join(', ')})`,
      [this.#channelId, ...Object.values(values)],
    );
  }
}

const BOUNDS = `INSERT INTO partition_bounds (channel_id, partition_start, first_position,
    last_position, min_published_at, max_published_at, message_count, payload_bytes)
  SELECT channel_id, date_trunc('day', archived_at AT TIME ZONE 'UTC') AT TIME ZONE 'UTC',
    min(first_position), max(first_position + message_count - 1),
    min(min_published_at), max(max_published_at), sum(message_count), sum(payload_bytes)
  FROM segments WHERE channel_id = $1 GROUP BY 1, 2`;

/** Runs of messages of one session with consecutive sequences. */
function runsOf(messages: readonly SentMessage[]): SentMessage[][] {
  const runs: SentMessage[][] = [];
  for (const message of messages) {
    const previous = runs.at(-1)?.at(-1);
    const continues =
      previous?.session === message.session &&
      isDense(previous) &&
      previous.sequence + 1 === message.sequence;
    if (continues) runs.at(-1)?.push(message);
    else runs.push([message]);
  }
  return runs;
}

/** The messages of one session, cut where sequences are missing and at the edges of healed ones. */
function stretchesOf(messages: readonly SentMessage[]): SentMessage[][] {
  const stretches: SentMessage[][] = [];
  for (const message of messages.toSorted((one, other) => one.sequence - other.sequence)) {
    const stretch = stretches.at(-1);
    const previous = stretch?.at(-1);
    const continues =
      previous !== undefined &&
      throughOf(previous) + 1 === message.sequence &&
      previous.isHealed === message.isHealed;
    if (continues) stretch?.push(message);
    else stretches.push([message]);
  }
  return stretches;
}

function throughOf({ sequence, throughSequence = sequence }: SentMessage): number {
  return throughSequence;
}

function isDense(message: SentMessage): boolean {
  return throughOf(message) === message.sequence;
}

function key(session: SessionId): string {
  return sessionToBigInt(session).toString();
}

function instant(us: number): string {
  return formatInstant(us);
}
