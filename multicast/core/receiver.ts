// The receiving half of the protocol as one machine: tells the publishers of one channel apart by
// TSI, follows each session, asks for what is missing and delivers in order. Reads no clock and
// owns no socket; see machine.ts for the doors. Silent as a subscriber can be: all it sends are
// NAKs and requests for SPMs.
//
// NAKs go to the address and port that the publisher's SPM names, and as a copy to the group, where
// other receivers that miss the same packet hear it and hold theirs back.

import {
  type ChannelAddress,
  type Random,
  randomSessionId,
  RECEIVE_SESSIONS_MAX,
  type SessionId,
  sessionFromWords,
} from '#base/mod.ts';
import { type MalformedReason, PacketReader } from '#multicast/wire/mod.ts';
import { type Authenticator, isBelieved } from './authentication.ts';
import { newReceiverCounters, type ReceiverCounters } from './counters.ts';
import { ForeignSources } from './foreign-sources.ts';
import type { Machine, Remote, Transmit } from './machine.ts';
import { expiryMsOf, Peer, peerKey, type SessionSnapshot, tsiText } from './peer.ts';
import type { ReceiverEvent, ResumePoint } from './receiver-event.ts';
import { RepairLatency } from './repair-latency.ts';
import type { JoinMode } from './session-receiver.ts';

/** What a receiver is made of. */
export interface ReceiverOptions {
  readonly address: ChannelAddress;
  readonly join: JoinMode;
  readonly random: Random;
  readonly messageBytesMax: number;
  /** How long a missing packet is asked for before it is given up. */
  readonly repairTimeoutMs: number;
  /** How long a publisher may be silent before its session counts as expired. */
  readonly sourceExpiryMs: number;
  /**
   * Where to go on with a session that this receiver does not know, or that it is over for good. A
   * receiver remembers a bounded number of sessions; an owner that must not be told anything twice
   * remembers them all.
   */
  readonly recall?: (session: SessionId) => ResumePoint | 'finished' | undefined;
  /** Seals what leaves and judges what arrives; without one, nothing is sealed or judged. */
  readonly authenticator?: Authenticator | undefined;
  /**
   * The same for a publisher of another implementation, which names no session: the last one with
   * this TSI, unless it has ended with FIN.
   */
  readonly recallForeign?: (tsi: string) => ResumePoint | undefined;
}

/** A session that is over for now, or was taken over from an earlier receiver. */
interface Dormant {
  readonly resume: ResumePoint;
  /** Until when it may still be heard before it is reported as expired. */
  readonly expiresAtMs: number;
}

/** A deadline met this late means that the process stood still: stopped, suspended, or starved. */
const ASLEEP_MS_MIN = 1_000;

/** One receiver on one channel. */
export class Receiver implements Machine {
  readonly counters: ReceiverCounters = newReceiverCounters();
  /** How long repairs took, over all sessions. */
  readonly repairLatency: RepairLatency = new RepairLatency();
  /** Why datagrams were malformed, by reason. */
  readonly malformedReasons: Map<MalformedReason, number> = new Map();
  readonly #options: ReceiverOptions;
  readonly #reader = new PacketReader();
  readonly #peers = new Map<number, Peer[]>();
  readonly #dormant = new Map<SessionId, Dormant>();
  readonly #followed = new Set<SessionId>();
  readonly #finished = new Set<SessionId>();
  readonly #foreign = new ForeignSources();
  readonly #transmits: Transmit[] = [];
  #events: ReceiverEvent[] = [];
  #eventHead = 0;
  #lastPeer: Peer | undefined;
  #nextDeadlineMs = Number.POSITIVE_INFINITY;
  #rejectedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: ReceiverOptions) {
    this.#options = options;
  }

  /**
   * Takes over a session that an earlier receiver was following, to be continued where that one
   * stopped. It is reported as expired if it is not heard in time. Sessions that were over then are
   * for `recall` to know.
   */
  restore(resume: ResumePoint, nowMs: number): void {
    const { isForeign } = resume;
    const { sourceExpiryMs } = this.#options;
    const expiresAtMs = nowMs + expiryMsOf({ isForeign, sourceExpiryMs });
    this.#dormant.set(resume.session, { resume, expiresAtMs });
    this.#wakeAt(expiresAtMs);
  }

  /**
   * What was counted of each session that is followed now, since it was taken up. Copies: costs in
   * proportion to the sessions.
   */
  sessions(): SessionSnapshot[] {
    return [...this.#peers.values()].flat().map((peer) => peer.snapshot());
  }

  /** Sessions being followed. */
  get sessionCount(): number {
    return this.#followed.size;
  }

  /**
   * Sessions that are over and remembered, so that they go on where they were left, or open
   * nothing.
   */
  get rememberedCount(): number {
    return this.#finished.size + this.#dormant.size;
  }

  /**
   * Takes any datagram: nothing in it can do more than move a counter unless it is a packet of
   * ours.
   */
  handleDatagram(bytes: Uint8Array, remote: Remote, nowMs: number): void {
    const reader = this.#reader;
    const reason = reader.read(bytes);
    if (reason !== undefined) {
      this.counters.malformed += 1;
      this.malformedReasons.set(reason, (this.malformedReasons.get(reason) ?? 0) + 1);
    } else if (reader.dataDport !== this.#options.address.dport) {
      this.counters.otherChannel += 1;
    } else if (!isBelieved(this.#options.authenticator, bytes, reader, this.counters)) {
      this.#reject(nowMs);
    } else if (reader.kind === 'odata' || reader.kind === 'rdata' || reader.kind === 'spm') {
      this.#handleDownstream(bytes, remote, nowMs);
    } else if (reader.kind === 'ncf' || reader.kind === 'nak') {
      const peer = this.#findPeer();
      if (peer === undefined) return;
      peer.handleFeedback(reader, nowMs);
      this.#wakeAt(peer.nextDeadlineMs);
    } else if (reader.kind === 'other') {
      this.counters.unsupported += 1;
    }
  }

  /** Lets time pass. */
  handleTimeout(nowMs: number): void {
    if (nowMs < this.#nextDeadlineMs) return;
    const lateMs = nowMs - this.#nextDeadlineMs;
    if (lateMs >= ASLEEP_MS_MIN) this.#overslept(lateMs, nowMs);
    this.#nextDeadlineMs = Number.POSITIVE_INFINITY;
    let isAnyOver = false;
    for (const peers of this.#peers.values()) {
      for (const peer of peers) {
        peer.handleTimeout(nowMs);
        isAnyOver ||= peer.isOver;
        this.#wakeAt(peer.nextDeadlineMs);
      }
    }
    if (isAnyOver) this.#retire();
    this.#expireDormant(nowMs);
  }

  /** The next datagram to send. */
  pollTransmit(): Transmit | undefined {
    return this.#transmits.shift();
  }

  /** The next thing that happened, in order. */
  pollEvent(): ReceiverEvent | undefined {
    const event = this.#events[this.#eventHead];
    if (event === undefined) {
      if (this.#eventHead > 0) {
        this.#events = [];
        this.#eventHead = 0;
      }
      return undefined;
    }
    this.#eventHead += 1;
    return event;
  }

  /** A time at or before the next thing to do. */
  get nextDeadlineMs(): number {
    return this.#nextDeadlineMs;
  }

  #handleDownstream(bytes: Uint8Array, remote: Remote, nowMs: number): void {
    const reader = this.#reader;
    const peer = reader.hasSession
      ? this.#ownPeer(remote, nowMs)
      : this.#foreignPeer(remote, nowMs);
    if (peer === undefined) return;
    if (reader.kind === 'spm') peer.handleSpm(reader, remote, nowMs);
    else peer.handleData(reader, bytes, nowMs);
    this.#wakeAt(peer.nextDeadlineMs);
    if (peer.isOver) this.#retire();
  }

  /** What does not prove where it comes from may at most explain why something is missing. */
  #reject(nowMs: number): void {
    this.#rejectedAtMs = nowMs;
    this.#findPeer()?.rejected(nowMs);
  }

  /** The publisher of ours that the packet is from; undefined if it may not be followed. */
  #ownPeer(remote: Remote, nowMs: number): Peer | undefined {
    const peer = this.#findPeer();
    if (peer === undefined || peer.isSameSession(this.#reader)) {
      return peer ?? this.#admit(remote, nowMs);
    }
    this.#succeed(peer);
    return this.#admit(remote, nowMs);
  }

  /** The source of another implementation that the packet is from, which names no session. */
  #foreignPeer(remote: Remote, nowMs: number): Peer | undefined {
    const known = this.#findPeer();
    if (this.#options.address.framing === 'native' || known?.isForeign === false) {
      this.counters.foreign += 1;
      return undefined;
    }
    const peer = known ?? this.#admitForeign(remote, nowMs);
    const incarnation = peer?.incarnationOf(this.#reader, nowMs);
    if (peer === undefined || incarnation === 'same') return peer;
    if (incarnation === 'stray') {
      this.counters.beyondWindow += 1;
      return undefined;
    }
    this.#replace(peer);
    return this.#open({ session: randomSessionId(this.#options.random), remote, nowMs });
  }

  #findPeer(): Peer | undefined {
    const reader = this.#reader;
    if (this.#lastPeer?.isSameTransport(reader)) return this.#lastPeer;
    const peers = this.#peers.get(peerKey(reader));
    if (peers === undefined) return undefined;
    for (const peer of peers) {
      if (!peer.isSameTransport(reader)) continue;
      this.#lastPeer = peer;
      return peer;
    }
    return undefined;
  }

  /**
   * Another session on the same TSI: the publisher restarted, and the old session will not come
   * back.
   */
  #succeed(peer: Peer): void {
    const session = sessionFromWords(this.#reader.sessionHigh, this.#reader.sessionLow);
    if (!this.#finished.has(session)) this.#replace(peer);
  }

  #replace(peer: Peer): void {
    peer.expire();
    this.#retire();
    this.#dormant.delete(peer.session);
    this.#finish(peer.session);
  }

  /** Takes up a session never heard, or heard again; undefined if it may not be followed. */
  #admit(remote: Remote, nowMs: number): Peer | undefined {
    const reader = this.#reader;
    const session = sessionFromWords(reader.sessionHigh, reader.sessionLow);
    const resume = this.#remembered(session);
    if (resume !== 'finished') return this.#open({ session, resume, remote, nowMs });
    this.counters.late += 1;
    return undefined;
  }

  /** Takes up a foreign source, in a new session if its TSI is not known to have one. */
  #admitForeign(remote: Remote, nowMs: number): Peer | undefined {
    const tsi = tsiText(this.#reader);
    if (this.#foreign.isOver(tsi, this.#reader, nowMs)) {
      this.counters.late += 1;
      return undefined;
    }
    const known = this.#foreign.sessionOf(tsi);
    const dormant = known === undefined ? undefined : this.#dormant.get(known);
    const resume = dormant?.resume ?? this.#options.recallForeign?.(tsi);
    const session = resume?.session ?? randomSessionId(this.#options.random);
    return this.#open({ session, resume, remote, nowMs });
  }

  #open(found: {
    readonly session: SessionId;
    readonly resume?: ResumePoint | undefined;
    readonly remote: Remote;
    readonly nowMs: number;
  }): Peer | undefined {
    const { session, resume } = found;
    const reader = this.#reader;
    if (this.#followed.has(session) || this.#followed.size >= RECEIVE_SESSIONS_MAX) {
      this.counters.sessionsRefused += 1;
      return undefined;
    }
    this.#dormant.delete(session);
    const isForeign = !reader.hasSession;
    const peer = new Peer({
      ...this.#options,
      ...found,
      resume,
      isForeign,
      transport: {
        gsiHigh: reader.gsiHigh,
        gsiLow: reader.gsiLow,
        tsiSport: reader.tsiSport,
        dataDport: reader.dataDport,
        hasAuthentication: this.#options.authenticator !== undefined,
      },
      rejectedAtMs: this.#rejectedAtMs,
      counters: this.counters,
      repairLatency: this.repairLatency,
      emit: (event) => this.#events.push(event),
      transmit: (transmit) => this.#transmits.push(transmit),
    });
    const key = peerKey(reader);
    this.#peers.set(key, [...(this.#peers.get(key) ?? []), peer]);
    this.#followed.add(session);
    this.counters.sessionsOpened += 1;
    this.#events.push({ kind: 'opened', session, tsi: peer.tsi, isForeign });
    return peer;
  }

  #remembered(session: SessionId): ResumePoint | 'finished' | undefined {
    if (this.#finished.has(session)) return 'finished';
    return this.#dormant.get(session)?.resume ?? this.#options.recall?.(session);
  }

  /** Lets go of peers whose session is over. */
  #retire(): void {
    for (const [key, peers] of this.#peers) {
      const over = peers.filter((peer) => peer.isOver);
      if (over.length === 0) continue;
      for (const peer of over) this.#end(peer);
      const rest = peers.filter((peer) => !over.includes(peer));
      if (rest.length > 0) this.#peers.set(key, rest);
      else this.#peers.delete(key);
    }
  }

  #end(peer: Peer): void {
    const cause = peer.isFinished ? 'fin' : 'expired';
    if (cause === 'expired') peer.abandon();
    peer.conclude();
    this.#followed.delete(peer.session);
    if (this.#lastPeer === peer) this.#lastPeer = undefined;
    this.#events.push({ kind: 'closed', session: peer.session, cause });
    if (peer.isForeign && cause === 'fin') this.#foreign.end(peer.tsi, peer.heardAtMs);
    else if (peer.isForeign) this.#foreign.rest(peer.tsi, peer.session);
    if (cause === 'fin') {
      this.#finish(peer.session);
    } else if (peer.resumePoint !== undefined) {
      const expiresAtMs = Number.POSITIVE_INFINITY;
      this.#dormant.set(peer.session, { resume: peer.resumePoint, expiresAtMs });
      trimOldest(this.#dormant);
    }
  }

  /** Packets of this session open nothing any more. */
  #finish(session: SessionId): void {
    this.#finished.add(session);
    trimOldest(this.#finished);
  }

  /** The process stood still: what was not heard meanwhile is nobody's fault. */
  #overslept(lateMs: number, nowMs: number): void {
    for (const peers of this.#peers.values()) {
      for (const peer of peers) peer.overslept(lateMs, nowMs);
    }
    for (const [session, { resume, expiresAtMs }] of this.#dormant) {
      this.#dormant.set(session, { resume, expiresAtMs: expiresAtMs + lateMs });
    }
  }

  /** Restored sessions that were never heard again are over too. */
  #expireDormant(nowMs: number): void {
    for (const [session, { resume, expiresAtMs }] of this.#dormant) {
      if (expiresAtMs <= nowMs) {
        this.#events.push({ kind: 'closed', session, cause: 'expired' });
        this.#dormant.set(session, { resume, expiresAtMs: Number.POSITIVE_INFINITY });
      } else {
        this.#wakeAt(expiresAtMs);
      }
    }
  }

  #wakeAt(deadlineMs: number): void {
    if (deadlineMs < this.#nextDeadlineMs) this.#nextDeadlineMs = deadlineMs;
  }
}

function trimOldest(sessions: Set<SessionId> | Map<SessionId, unknown>): void {
  if (sessions.size <= RECEIVE_SESSIONS_MAX) return;
  const [oldest] = sessions.keys();
  if (oldest !== undefined) sessions.delete(oldest);
}
