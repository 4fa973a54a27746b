// Puts an observer beside every receiver of a world: each datagram that a publisher sends goes to
// what is known of its session, each that reaches a receiver to the observer of its present life,
// and each request is judged before it leaves.

import { type SessionId, sessionFromWords } from '#base/mod.ts';
import { PacketReader } from '#multicast/wire/mod.ts';
import type { Life, SessionFacts } from './life.ts';
import type { InFlight } from './network.ts';

/** The observers of one world. */
export class Observers {
  readonly #factsOf: (session: SessionId) => SessionFacts | undefined;
  readonly #lives = new Map<number, Life>();
  readonly #sessions = new Map<string, SessionId>();
  readonly #reader = new PacketReader();

  constructor(factsOf: (session: SessionId) => SessionFacts | undefined) {
    this.#factsOf = factsOf;
  }

  /** From now on `life` watches the receiver at `node`. */
  watch(node: number, life: Life): void {
    this.#lives.set(node, life);
  }

  /** A node sends a datagram. Throws if it is a request that cannot be right. */
  onSend(bytes: Uint8Array, from: number, nowMs: number): void {
    const reader = this.#reader;
    if (reader.read(bytes) !== undefined) return;
    if (isOfPublisher(reader)) {
      const session = sessionFromWords(reader.sessionHigh, reader.sessionLow);
      this.#sessions.set(transportOf(reader), session);
      this.#factsOf(session)?.sent.take(reader, bytes, nowMs);
    } else if (reader.kind === 'nak') {
      const session = this.#sessions.get(transportOf(reader));
      if (session === undefined) return;
      for (const sqn of reader.sqnList.subarray(0, reader.sqnCount)) {
        this.#lives.get(from)?.judgeRequest(session, sqn);
      }
    }
  }

  /** A datagram reaches a node that listens. */
  onDelivery({ bytes, to }: InFlight, nowMs: number): void {
    const life = this.#lives.get(to);
    const reader = this.#reader;
    if (life === undefined || reader.read(bytes) !== undefined || !isOfPublisher(reader)) return;
    life.hear(sessionFromWords(reader.sessionHigh, reader.sessionLow), reader, nowMs);
  }
}

function isOfPublisher({ kind, hasSession }: PacketReader): boolean {
  return hasSession && (kind === 'odata' || kind === 'rdata' || kind === 'spm');
}

function transportOf({ gsiHigh, gsiLow, tsiSport }: PacketReader): string {
  return `${gsiHigh} ${gsiLow} ${tsiSport}`;
}
