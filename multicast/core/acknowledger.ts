// Tells publishers what of their sessions is archived: one unicast packet at a time, soon after
// there is news, and again at growing distances, since any may be lost. What is archived its owner
// says; where publishers hear, the receiver around it. Pure.
//
// A session that is over is still acknowledged for a while: its publisher lingers, and what it sent
// last may be committed only now.

import {
  ACKS_PER_SEC_MAX,
  RECEIVE_SESSIONS_MAX,
  type SessionId,
  sessionToWords,
} from '#base/mod.ts';
import {
  CONTROL_PACKET_BYTES_MAX,
  type TransportSession,
  wrapSqn,
  writeAck,
} from '#multicast/wire/mod.ts';
import type { ArchiveStatement } from './archived-account.ts';
import type { Authenticator } from './authentication.ts';
import type { ReceiverCounters } from './counters.ts';
import type { Remote, Transmit } from './machine.ts';
import { RateLimiter } from './rate-limiter.ts';

/** What the archive has of a session, and the packet in which what follows begins. */
export interface Acknowledgement extends ArchiveStatement {
  readonly nextSqn: number;
}

/** Where a publisher hears, and as whom it is addressed. */
export interface AckContact {
  readonly transport: TransportSession;
  readonly to: Remote;
}

/** A publisher that is followed. */
export interface AckPeer {
  /** Undefined while nothing has said where it hears. */
  readonly contact: AckContact | undefined;
}

/** What an acknowledger needs from the receiver around it. */
export interface AcknowledgerOptions {
  /** The publisher of a session that is followed. */
  readonly peerOf: (session: SessionId) => AckPeer | undefined;
  readonly authenticator: Authenticator | undefined;
  readonly counters: ReceiverCounters;
  readonly transmit: (transmit: Transmit) => void;
}

interface Entry {
  /** What to say; undefined while nothing is archived. */
  news: Acknowledgement | undefined;
  dueAtMs: number;
  sentAtMs: number;
  repeatMs: number;
  /** Set when the session is over: where its publisher heard, and until when it is told. */
  last: { readonly contact: AckContact; readonly untilMs: number } | undefined;
}

/** Between two acknowledgements of a session: a busy publisher learns soon enough. */
const DISTANCE_MS = 10;
/** An acknowledgement is repeated after this, then after twice as long each time, */
const REPEAT_MS_MIN = 250;
/** up to this: of thousands of quiet sessions, a few dozen a second. */
const REPEAT_MS_MAX = 30_000;
/** How long the publisher of a session that is over is told what was committed since. */
const ENDED_MS = 30_000;

/** The acknowledgements of one channel. */
export class Acknowledger {
  readonly #options: AcknowledgerOptions;
  /** Whoever was told longest ago comes first. */
  readonly #entries = new Map<SessionId, Entry>();
  readonly #limiter = new RateLimiter({
    rateBytesPerSec: ACKS_PER_SEC_MAX,
    burstBytes: ACKS_PER_SEC_MAX / 10,
  });
  #nextAtMs = Number.POSITIVE_INFINITY;

  constructor(options: AcknowledgerOptions) {
    this.#options = options;
  }

  /**
   * The archive has this of `session`; its publisher is told as soon as it may be, if it is
   * followed or has just ended. Returns a time at or before the next thing to do.
   */
  acknowledge(session: SessionId, news: Acknowledgement, nowMs: number): number {
    const isFollowed = this.#options.peerOf(session) !== undefined;
    if (!isFollowed && !this.#entries.has(session)) return this.#nextAtMs;
    const entry = this.#entryOf(session);
    entry.news = news;
    entry.repeatMs = REPEAT_MS_MIN;
    entry.dueAtMs = Math.max(nowMs, entry.sentAtMs + DISTANCE_MS);
    this.#nextAtMs = Math.min(this.#nextAtMs, entry.dueAtMs);
    return this.#nextAtMs;
  }

  /** What was said is no longer for this archiver to say. */
  forget(): void {
    for (const entry of this.#entries.values()) {
      entry.news = undefined;
      entry.dueAtMs = Number.POSITIVE_INFINITY;
    }
  }

  /** The session is over; `contact` is where its publisher lingers. */
  ended(session: SessionId, contact: AckContact | undefined, nowMs: number): void {
    if (contact === undefined) {
      this.#entries.delete(session);
      return;
    }
    const untilMs = nowMs + ENDED_MS;
    this.#entryOf(session).last = { contact, untilMs };
    this.#nextAtMs = Math.min(this.#nextAtMs, untilMs);
    this.#forgetOldest();
  }

  /** The session is heard again. */
  reopened(session: SessionId): void {
    const entry = this.#entries.get(session);
    if (entry !== undefined) entry.last = undefined;
  }

  /** Sends what is due; returns a time at or before the next thing to do. */
  handleTimeout(nowMs: number): number {
    if (nowMs < this.#nextAtMs) return this.#nextAtMs;
    this.#limiter.refill(nowMs);
    this.#nextAtMs = Number.POSITIVE_INFINITY;
    // Who is told goes to the end, and is passed once more: nothing of it is due then.
    for (const [session, entry] of this.#entries) {
      if (entry.last !== undefined && entry.last.untilMs <= nowMs) {
        this.#entries.delete(session);
        continue;
      }
      if (entry.dueAtMs <= nowMs) this.#tell(session, entry, nowMs);
      this.#nextAtMs = Math.min(this.#nextAtMs, entry.dueAtMs, this.#endOf(entry));
    }
    return this.#nextAtMs;
  }

  #endOf({ last }: Entry): number {
    return last?.untilMs ?? Number.POSITIVE_INFINITY;
  }

  #entryOf(session: SessionId): Entry {
    const known = this.#entries.get(session);
    if (known !== undefined) return known;
    const entry: Entry = {
      news: undefined,
      dueAtMs: Number.POSITIVE_INFINITY,
      sentAtMs: Number.NEGATIVE_INFINITY,
      repeatMs: REPEAT_MS_MIN,
      last: undefined,
    };
    this.#entries.set(session, entry);
    return entry;
  }

  #tell(session: SessionId, entry: Entry, nowMs: number): void {
    if (!this.#limiter.take(1)) {
      entry.dueAtMs = this.#limiter.readyAtMs;
      return;
    }
    const contact = this.#options.peerOf(session)?.contact ?? entry.last?.contact;
    const { news } = entry;
    if (contact !== undefined && news !== undefined) this.#send(session, news, contact);
    entry.sentAtMs = nowMs;
    entry.dueAtMs = nowMs + entry.repeatMs;
    entry.repeatMs = Math.min(REPEAT_MS_MAX, 2 * entry.repeatMs);
    this.#entries.delete(session);
    this.#entries.set(session, entry);
  }

  #send(session: SessionId, news: Acknowledgement, { transport, to }: AckContact): void {
    const { authenticator, counters, transmit } = this.#options;
    const { high, low } = sessionToWords(session);
    const into = new Uint8Array(CONTROL_PACKET_BYTES_MAX);
    const packetBytes = writeAck(into, {
      ...transport,
      sqn: wrapSqn(news.nextSqn - 1),
      session: { sessionHigh: high, sessionLow: low, sequence: news.through },
      archived: news,
    });
    const bytes = into.subarray(0, packetBytes);
    authenticator?.seal(bytes);
    counters.acksSent += 1;
    transmit({ bytes, address: to.address, port: to.port });
  }

  /** Of sessions that are over; those that are followed are bounded by the receiver. */
  #forgetOldest(): void {
    if (this.#entries.size <= 2 * RECEIVE_SESSIONS_MAX) return;
    for (const [session, { last }] of this.#entries) {
      if (last === undefined) continue;
      this.#entries.delete(session);
      return;
    }
  }
}
