// The receiving half of the protocol as one machine: tells the publishers of one channel apart by
// TSI, follows each session, asks for what is missing and delivers in order. Reads no clock and
// owns no socket; see machine.ts for the doors. Silent as a subscriber can be: all it sends are
// NAKs, requests for SPMs, and where its owner archives, what is archived.
//
// NAKs go to the address and port that the publisher's SPM names, and as a copy to the group, where
// other receivers that miss the same packet hear it and hold theirs back.

import {
  NAKS_PER_SEC_MAX,
  randomSessionId,
  RECEIVE_SESSIONS_MAX,
  type SessionId,
  sessionFromWords,
} from '#base/mod.ts';
import { type MalformedReason, PacketReader } from '#multicast/wire/mod.ts';
import { Acknowledger, type Acknowledgement } from './acknowledger.ts';
import { Admission } from './admission.ts';
import { isBelieved } from './authentication.ts';
import { newReceiverCounters, type ReceiverCounters } from './counters.ts';
import { ForeignSources } from './foreign-sources.ts';
import type { Machine, Remote, Transmit } from './machine.ts';
import { expiryMsOf, Peer, peerKey, type SessionSnapshot, tsiText } from './peer.ts';
import { RateLimiter } from './rate-limiter.ts';
import { newConflictLimiter } from './recent-packets.ts';
import type { ReceiverEvent, ResumePoint } from './receiver-event.ts';
import type { ReceiverOptions } from './receiver-options.ts';
import { RememberedSessions } from './remembered-sessions.ts';
import { RepairLatency } from './repair-latency.ts';

/** A deadline met this late means that the process stood still: stopped, suspended, or starved. */
const ASLEEP_MS_MIN = 1_000;
const NEVER_MS = Number.POSITIVE_INFINITY;

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
  readonly #followed = new Map<SessionId, Peer>();
  readonly #remembered = new RememberedSessions();
  readonly #admission = new Admission<Peer>();
  readonly #naks = new RateLimiter({
    rateBytesPerSec: NAKS_PER_SEC_MAX,
    burstBytes: NAKS_PER_SEC_MAX / 10,
  });
  readonly #conflicts = newConflictLimiter();
  readonly #foreign = new ForeignSources();
  readonly #transmits: Transmit[] = [];
  readonly #acknowledger: Acknowledger | undefined;
  #events: ReceiverEvent[] = [];
  #eventHead = 0;
  #lastPeer: Peer | undefined;
  #nextDeadlineMs = NEVER_MS;
  #rejectedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: ReceiverOptions) {
    this.#options = options;
    if (options.acknowledges !== true) return;
    this.#acknowledger = new Acknowledger({
      authenticator: options.authenticator,
      counters: this.counters,
      peerOf: (session) => this.#followed.get(session),
      transmit: (transmit) => this.#transmits.push(transmit),
    });
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
    this.#remembered.restore(resume, expiresAtMs);
    this.#wakeAt(expiresAtMs);
  }

  /**
   * What was counted of each session that is followed now, since it was taken up. Copies: costs in
   * proportion to the sessions.
   */
  sessions(): SessionSnapshot[] {
    return [...this.#peers.values()].flat().map((peer) => peer.snapshot());
  }

  /**
   * The archive has this of a session of ours that is followed or has just ended: its publisher is
   * told, now and again, if `acknowledges` is set. To be called after the commit, never before.
   */
  acknowledge(session: SessionId, news: Acknowledgement, nowMs: number): void {
    this.#wakeAt(this.#acknowledger?.acknowledge(session, news, nowMs) ?? NEVER_MS);
  }

  /** Somebody else archives from now on: nothing that was told is repeated. */
  ceaseToAcknowledge(): void {
    this.#acknowledger?.forget();
  }

  /** Whether a session is followed, or remembered to go on where it was left. */
  knows(session: SessionId): boolean {
    return this.#followed.has(session) || this.#remembered.resumeOf(session) !== undefined;
  }

  /** Sessions being followed. */
  get sessionCount(): number {
    return this.#followed.size;
  }

  /** Sessions that are over and remembered: they go on where they were left, or open nothing. */
  get rememberedCount(): number {
    return this.#remembered.count;
  }

  /** Takes any datagram: unless it is a packet of ours, it can do no more than move a counter. */
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
    } else if (reader.kind === 'other' || reader.kind === 'ack') {
      this.counters.unsupported += 1;
    }
  }

  /** Lets time pass. */
  handleTimeout(nowMs: number): void {
    if (nowMs < this.#nextDeadlineMs) return;
    this.#naks.refill(nowMs);
    this.#conflicts.refill(nowMs);
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
    this.#expireRestored(nowMs);
    this.#wakeAt(this.#acknowledger?.handleTimeout(nowMs) ?? NEVER_MS);
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
    this.#admission.heard(peer);
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
    if (!this.#remembered.isFinished(session)) this.#replace(peer);
  }

  #replace(peer: Peer): void {
    peer.expire();
    this.#retire();
    this.#remembered.finish(peer.session);
  }

  /** Takes up a session never heard, or heard again; undefined if it may not be followed. */
  #admit(remote: Remote, nowMs: number): Peer | undefined {
    const reader = this.#reader;
    const session = sessionFromWords(reader.sessionHigh, reader.sessionLow);
    const resume = this.#recall(session);
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
    const dormant = known === undefined ? undefined : this.#remembered.resumeOf(known);
    const resume = dormant ?? this.#options.recallForeign?.(tsi);
    const session = resume?.session ?? randomSessionId(this.#options.random);
    return this.#open({ session, resume, remote, nowMs });
  }

  #open(found: {
    readonly session: SessionId;
    readonly resume?: ResumePoint | undefined;
    readonly remote: Remote;
    readonly nowMs: number;
  }): Peer | undefined {
    const { session, resume, nowMs } = found;
    const reader = this.#reader;
    if (this.#followed.has(session) || !this.#hasRoom(resume !== undefined, nowMs)) {
      this.counters.sessionsRefused += 1;
      return undefined;
    }
    this.#remembered.wake(session);
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
      mayAsk: () => this.#naks.take(1),
      mayTellConflict: () => this.#conflicts.take(1),
      emit: (event) => this.#events.push(event),
      transmit: (transmit) => this.#transmits.push(transmit),
    });
    const key = peerKey(reader);
    this.#peers.set(key, [...(this.#peers.get(key) ?? []), peer]);
    this.#followed.set(session, peer);
    this.#acknowledger?.reopened(session);
    if (resume === undefined) this.#admission.entered(peer);
    this.counters.sessionsOpened += 1;
    this.#events.push({ kind: 'opened', session, tsi: peer.tsi, isForeign });
    return peer;
  }

  /** Whether the session in the reader may be taken up; may give up another for it. */
  #hasRoom(isRemembered: boolean, nowMs: number): boolean {
    const { size } = this.#followed;
    if (!isRemembered && !this.#admission.mayEnter(this.#reader, size, nowMs)) return false;
    if (size < RECEIVE_SESSIONS_MAX) return true;
    const stranger = this.#admission.replaceable(nowMs);
    if (stranger === undefined) return false;
    this.counters.sessionsReplaced += 1;
    stranger.expire();
    this.#retire();
    return true;
  }

  #recall(session: SessionId): ResumePoint | 'finished' | undefined {
    if (this.#remembered.isFinished(session)) return 'finished';
    return this.#remembered.resumeOf(session) ?? this.#options.recall?.(session);
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
    this.#acknowledger?.ended(peer.session, peer.contact, peer.heardAtMs);
    this.#admission.left(peer);
    if (this.#lastPeer === peer) this.#lastPeer = undefined;
    this.#events.push({ kind: 'closed', session: peer.session, cause });
    if (peer.isForeign && cause === 'fin') this.#foreign.end(peer.tsi, peer.heardAtMs);
    else if (peer.isForeign) this.#foreign.rest(peer.tsi, peer.session);
    if (cause === 'fin') this.#remembered.finish(peer.session);
    else if (peer.resumePoint !== undefined) this.#remembered.rest(peer.resumePoint);
  }

  /** The process stood still: what was not heard meanwhile is nobody's fault. */
  #overslept(lateMs: number, nowMs: number): void {
    for (const peers of this.#peers.values()) {
      for (const peer of peers) peer.overslept(lateMs, nowMs);
    }
    this.#remembered.overslept(lateMs);
  }

  /** Restored sessions that were never heard again are over too. */
  #expireRestored(nowMs: number): void {
    const { expired, nextAtMs } = this.#remembered.expire(nowMs);
    for (const session of expired) {
      this.#events.push({ kind: 'closed', session, cause: 'expired' });
    }
    this.#wakeAt(nextAtMs);
  }

  #wakeAt(deadlineMs: number): void {
    if (deadlineMs < this.#nextDeadlineMs) this.#nextDeadlineMs = deadlineMs;
  }
}
