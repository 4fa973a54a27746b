// One life of one receiver, as an observer beside it sees it: which datagrams reached it and when,
// and therefore what it may declare lost, ask for, and take for over. A fault in the world excuses
// exactly what it touched: a message may be lost only if a packet of it did not come before one of
//
//   the publisher told that its window holds the packet no more
//   the packet had been sent, and the session heard, for as long as a repair may take
//   the session had been silent for as long as a session may be
//
// and by no other cause than that. Counts from the last time that the session was opened: what came
// before then may be forgotten.

import { assert, type LossCause, type SessionId } from '#base/mod.ts';
import type { MessagesLost, ReceiverEvent, SessionClosed } from '#multicast/core/mod.ts';
import type { PacketReader } from '#multicast/wire/mod.ts';
import type { Account } from './account.ts';
import type { SentPackets } from './sent-packets.ts';

/** What is true of a session, whoever heard it. */
export interface SessionFacts {
  readonly payloads: Uint8Array[];
  readonly sent: SentPackets;
  fate: 'alive' | 'crashed' | 'ended';
}

/** What a life is judged by. */
export interface LifeRules {
  readonly name: string;
  readonly join: 'window' | 'live';
  readonly account: Account;
  readonly startedAtMs: number;
  readonly repairTimeoutMs: number;
  readonly sourceExpiryMs: number;
  readonly factsOf: (session: SessionId) => SessionFacts | undefined;
}

/** A session as this life hears it. */
interface Heard {
  openedAtMs: number;
  /** When it was first heard where the session stands; NaN before. Repairs do not tell. */
  standsSinceMs: number;
  /** The last data packet or SPM. */
  atMs: number;
  /** When each packet came first since the session was opened. */
  readonly arrivedAtMs: Map<number, number>;
}

/** After a FIN a session need not be waited for any longer than this. */
const FIN_EXPIRY_MS = 10_000;
/** Sums of fractions of a millisecond differ in the last bits. */
const ROUNDING_MS = 1e-6;

/** The observer of one life. */
export class Life {
  readonly #rules: LifeRules;
  readonly #heard = new Map<SessionId, Heard>();

  constructor(rules: LifeRules) {
    this.#rules = rules;
  }

  /** A data packet, a repair or an SPM of `session` reached the receiver. */
  hear(session: SessionId, reader: PacketReader, nowMs: number): void {
    const facts = this.#rules.factsOf(session);
    if (facts === undefined) return;
    const heard = this.#heard.get(session) ?? newHeard(nowMs);
    this.#heard.set(session, heard);
    heard.atMs = nowMs;
    if (reader.kind !== 'rdata' && Number.isNaN(heard.standsSinceMs)) heard.standsSinceMs = nowMs;
    if (reader.kind === 'spm' || this.#isIgnored(session, reader)) return;
    const sqn = facts.sent.unwrap(reader.sqn);
    const arrivedAtMs = heard.arrivedAtMs.get(sqn) ?? Number.NEGATIVE_INFINITY;
    if (arrivedAtMs < heard.openedAtMs) heard.arrivedAtMs.set(sqn, nowMs);
  }

  /** The receiver told something, which its account is yet to take. */
  judge(event: ReceiverEvent, nowMs: number): void {
    const heard = this.#heard.get(event.session);
    if (event.kind === 'opened' && heard !== undefined) heard.openedAtMs = nowMs;
    else if (event.kind === 'lost') this.#judgeLoss(event, nowMs);
    else if (event.kind === 'closed') this.#judgeEnd(event, nowMs);
  }

  /** The receiver asks for packet `wrapped` of `session`. */
  judgeRequest(session: SessionId, wrapped: number): void {
    const facts = this.#rules.factsOf(session);
    const heard = this.#heard.get(session);
    const what = `asks for packet ${wrapped} of ${session}`;
    this.#expect(facts !== undefined && heard !== undefined, `${what}, of which it knows nothing`);
    const sqn = facts.sent.unwrap(wrapped);
    this.#expect(facts.sent.sentAtMs(sqn) !== undefined, `${what}, which was never sent`);
    const arrivedAtMs = heard.arrivedAtMs.get(sqn) ?? Number.NEGATIVE_INFINITY;
    this.#expect(arrivedAtMs < heard.openedAtMs, `${what}, which it has`);
    const told = this.#rules.account.sessions.get(session);
    if (told === undefined || told.nextSequence === 1) return;
    const nextSqn = facts.sent.unwrap(told.nextSqn);
    this.#expect(sqn >= nextSqn, `${what}, where ${nextSqn} is next`);
  }

  /** A live joiner takes repairs only once it knows where the session stands. */
  #isIgnored(session: SessionId, reader: PacketReader): boolean {
    const { account, join } = this.#rules;
    return join === 'live' && reader.kind === 'rdata' && !account.sessions.has(session);
  }

  #judgeLoss({ session, cause, firstSequence, lastSequence }: MessagesLost, nowMs: number): void {
    const what = `${session} lost ${firstSequence}-${lastSequence} by ${cause}`;
    const excuses = new Set<LossCause>();
    for (let sequence = firstSequence; sequence <= lastSequence; sequence += 1) {
      const found = this.#excusesOf(session, sequence, nowMs);
      this.#expect(found.size > 0, `${what}, but ${sequence} was to be had`);
      for (const excuse of found) excuses.add(excuse);
    }
    // What a new receiver misses at its beginning it calls a late join, however it came to miss it.
    const isFirst = (this.#rules.account.sessions.get(session)?.nextSequence ?? 1) === 1;
    const isTrue = excuses.has(cause) || (cause === 'late_join' && isFirst);
    this.#expect(isTrue, `${what}, but only ${[...excuses].join(' or ')} can be true`);
  }

  /** By which causes this receiver may have lost a message. */
  #excusesOf(session: SessionId, sequence: number, nowMs: number): Set<LossCause> {
    const excuses = new Set<LossCause>();
    const facts = this.#rules.factsOf(session);
    const heard = this.#heard.get(session);
    if (facts === undefined || heard === undefined) return excuses;
    const { sent } = facts;
    const isGone = nowMs - heard.atMs >= this.#expiryMs(facts);
    for (const sqn of sent.packetsOf(sequence)) {
      const sentAtMs = sent.sentAtMs(sqn) ?? Number.POSITIVE_INFINITY;
      const arrivedAtMs = heard.arrivedAtMs.get(sqn) ?? Number.POSITIVE_INFINITY;
      const isMissingAt = (ms: number): boolean => ms <= nowMs && arrivedAtMs >= ms;
      const sinceMs = Math.max(sentAtMs, heard.openedAtMs) - ROUNDING_MS;
      const givenUpAtMs = sinceMs + this.#rules.repairTimeoutMs;
      if (isMissingAt(sent.leftWindowAtMs(sqn))) excuses.add('repair_expired');
      if (isMissingAt(givenUpAtMs)) excuses.add('repair_expired');
      if (isGone && isMissingAt(nowMs)) excuses.add('source_gone');
      const isBefore = sentAtMs <= heard.standsSinceMs && isMissingAt(heard.standsSinceMs);
      if (isBefore && this.#rules.join === 'live') excuses.add('late_join');
    }
    return excuses;
  }

  #judgeEnd({ session, cause }: SessionClosed, nowMs: number): void {
    const facts = this.#rules.factsOf(session);
    const what = `${session} is closed by ${cause}`;
    this.#expect(facts !== undefined, `${what}, which nobody ever published`);
    if (cause === 'expired') {
      const sinceMs = this.#heard.get(session)?.atMs ?? this.#rules.startedAtMs;
      const isSilent = nowMs - sinceMs >= this.#expiryMs(facts);
      this.#expect(isSilent, `${what}, and was heard ${nowMs - sinceMs} ms ago`);
      return;
    }
    const { account, join } = this.#rules;
    const told = (account.sessions.get(session)?.nextSequence ?? 1) - 1;
    const isWhole = told === facts.payloads.length || (join === 'live' && told === 0);
    this.#expect(isWhole, `${what} after ${told} of ${facts.payloads.length}`);
    this.#expect(facts.fate === 'ended', `${what}, but its publisher did not end in order`);
  }

  #expiryMs({ fate }: SessionFacts): number {
    const { sourceExpiryMs } = this.#rules;
    const expiryMs = fate === 'ended' ? Math.min(FIN_EXPIRY_MS, sourceExpiryMs) : sourceExpiryMs;
    return expiryMs - ROUNDING_MS;
  }

  #expect(isTrue: boolean, sentence: string): asserts isTrue {
    assert(isTrue, `${this.#rules.name}: ${sentence}`);
  }
}

function newHeard(nowMs: number): Heard {
  return {
    openedAtMs: nowMs,
    standsSinceMs: Number.NaN,
    atMs: nowMs,
    arrivedAtMs: new Map(),
  };
}
