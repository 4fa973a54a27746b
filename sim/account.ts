// What one receiver, over all its lives, has told of each session, judged as it is told: every
// sequence exactly once and in order, as message with the published bytes or as loss. Whether a
// loss had to be is for life.ts to judge. A receiver that crashed and came back continues the same
// account.

import { assert, type Framing, type LossCause, type SessionId } from '#base/mod.ts';
import type { SessionProgress } from '#archive/mod.ts';
import type {
  LeadKnown,
  MessagesDelivered,
  MessagesLost,
  ReceiverEvent,
  ResumePoint,
} from '#multicast/core/mod.ts';
import { type BlockReader, newBlockReader } from '#multicast/wire/mod.ts';

/** What an account is judged by. */
export interface AccountRules {
  /** The reader of the account, as it appears in findings. */
  readonly name: string;
  /** Whether every session must be accounted for from sequence 1 on. */
  readonly startsAtOne: boolean;
  readonly framing: Framing;
  /** The bytes that sequence `sequence` was published with; undefined if it never was. */
  readonly payloadOf: (session: SessionId, sequence: number) => Uint8Array | undefined;
}

/** The account of one session. */
export interface SessionAccount {
  readonly firstSequence: number;
  nextSequence: number;
  nextSqn: number;
  delivered: number;
  lost: number;
  /** Whether a message was the last thing told. */
  endsInMessage: boolean;
}

/** All sessions that one receiver has told of. */
export class Account {
  readonly sessions: Map<SessionId, SessionAccount> = new Map();
  readonly causes: Map<LossCause, number> = new Map();
  readonly #rules: AccountRules;
  readonly #open = new Set<SessionId>();
  readonly #closed = new Map<SessionId, 'fin' | 'expired'>();
  readonly #past = new Map<SessionId, ResumePoint | 'finished'>();
  readonly #reader: BlockReader;

  constructor(rules: AccountRules) {
    this.#rules = rules;
    this.#reader = newBlockReader(rules.framing);
  }

  /** The reader of the account, as it appears in findings. */
  get name(): string {
    return this.#rules.name;
  }

  /** Sessions heard and not over. */
  get open(): ReadonlySet<SessionId> {
    return this.#open;
  }

  /** How the session was closed, or undefined while it is not. */
  closedBy(session: SessionId): 'fin' | 'expired' | undefined {
    return this.#closed.get(session);
  }

  /** Takes the next thing told. Throws, naming the place, at what breaks the promise. */
  take(event: ReceiverEvent): void {
    const { session } = event;
    switch (event.kind) {
      case 'opened':
        this.#expect(!this.#open.has(session), `${session} opens twice`);
        this.#expect(this.#closed.get(session) !== 'fin', `${session} opens after its end`);
        this.#open.add(session);
        this.#closed.delete(session);
        break;
      case 'source':
        break;
      case 'closed':
        this.#open.delete(session);
        this.#closed.set(session, event.cause);
        break;
      case 'lead':
        this.#checkLead(event);
        break;
      case 'messages':
        this.#checkBytes(event);
        this.#advance(event, event.messageCount, true);
        break;
      case 'lost':
        this.#checkCause(event);
        this.#advance(event, event.lastSequence - event.firstSequence + 1, false);
        break;
      case 'conflict':
        this.#expect(false, `${session} has two contents for ${event.firstSequence}`);
        break;
      default:
        event satisfies never;
    }
  }

  /** Goes on from what is durable, where only that is left of an earlier life. */
  restore(sessions: readonly SessionProgress[]): void {
    for (const { session, watermark, resumeSqn, state } of sessions) {
      if (state === 'closed') this.#closed.set(session, 'fin');
      this.sessions.set(session, {
        firstSequence: watermark + 1,
        nextSequence: watermark + 1,
        nextSqn: resumeSqn,
        delivered: 0,
        lost: 0,
        endsInMessage: false,
      });
    }
  }

  /** The receiver crashed: where its successor goes on with the sessions that were open. */
  crash(): ResumePoint[] {
    const open: ResumePoint[] = [];
    for (const [session, { nextSequence, nextSqn }] of this.sessions) {
      const point = { session, nextSequence, nextSqn };
      this.#past.set(session, point);
      if (this.#open.has(session)) open.push(point);
    }
    for (const [session, cause] of this.#closed) {
      if (cause === 'fin') this.#past.set(session, 'finished');
    }
    this.#open.clear();
    return open;
  }

  /**
   * What earlier lives know of a session. Nothing of the present one: what is over in it is for the
   * receiver itself to remember.
   */
  recall(session: SessionId): ResumePoint | 'finished' | undefined {
    return this.#past.get(session);
  }

  #advance(event: MessagesDelivered | MessagesLost, count: number, endsInMessage: boolean): void {
    const { session, firstSequence } = event;
    this.#expect(this.#open.has(session), `${event.kind} of ${session}, which is not open`);
    let account = this.sessions.get(session);
    if (account === undefined) {
      const isAtStart = firstSequence === 1 || !this.#rules.startsAtOne;
      this.#expect(isAtStart, `${session} begins with ${firstSequence}`);
      account = {
        firstSequence,
        nextSequence: firstSequence,
        nextSqn: event.nextSqn,
        delivered: 0,
        lost: 0,
        endsInMessage,
      };
      this.sessions.set(session, account);
    }
    const isNext = firstSequence === account.nextSequence && count >= 1;
    const what = `${event.kind} ${firstSequence} (${count})`;
    this.#expect(isNext, `${session}: ${what} where ${account.nextSequence} is next`);
    this.#expect(event.nextSqn >= account.nextSqn, `${session}: the resume point went back`);
    account.nextSequence += count;
    account.nextSqn = event.nextSqn;
    account.endsInMessage = endsInMessage;
    if (endsInMessage) account.delivered += count;
    else account.lost += count;
  }

  /** More is there than was told, and never more than was published. */
  #checkLead({ session, sequence }: LeadKnown): void {
    this.#expect(this.#open.has(session), `the lead of ${session}, which is not open`);
    const nextSequence = this.sessions.get(session)?.nextSequence ?? 1;
    const what = `the lead of ${session} is ${sequence}`;
    this.#expect(sequence >= nextSequence, `${what} where ${nextSequence} is next`);
    const isPublished = this.#rules.payloadOf(session, sequence) !== undefined;
    this.#expect(isPublished, `${what}, which was never published`);
  }

  #checkBytes(event: MessagesDelivered): void {
    const reason = this.#reader.open(event.bytes, event.start, event.end);
    this.#expect(reason === undefined, `a block of ${event.session}: ${reason}`);
    for (let sequence = event.firstSequence; this.#reader.next(); sequence += 1) {
      const payload = event.bytes.subarray(this.#reader.payloadStart, this.#reader.payloadEnd);
      const original = this.#rules.payloadOf(event.session, sequence);
      const isSame = original !== undefined && isSameBytes(original, payload);
      this.#expect(isSame, `message ${sequence} of ${event.session} has other bytes`);
    }
  }

  #checkCause({ session, cause, firstSequence, lastSequence }: MessagesLost): void {
    const what = `${session} lost ${firstSequence}-${lastSequence} by ${cause}`;
    const isKnown = (this.sessions.get(session)?.nextSequence ?? 1) > 1;
    this.#expect(cause !== 'late_join' || !isKnown, `${what}, but it had joined before`);
    this.causes.set(cause, (this.causes.get(cause) ?? 0) + lastSequence - firstSequence + 1);
  }

  #expect(isTrue: boolean, sentence: string): void {
    assert(isTrue, `${this.#rules.name}: ${sentence}`);
  }
}

/** Whether two arrays hold the same bytes. */
export function isSameBytes(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  for (let at = 0; at < one.length; at += 1) if (one[at] !== other[at]) return false;
  return true;
}
