// The account of one session's sequences at a receiver: what is told of them goes through here, and
// each is told exactly once, in order, as messages or as lost. Does not look into packets (the
// deliveries) nor know why they are missing.
//
// Sources of ours number their messages: 1, 2, 3 … without holes. Foreign sources number packets
// only, so a sequence there is a place in the stream of packets: packet number × places per packet
// + index. A place at which no message starts is unused; it is accounted for with the message
// before it, so that every receiver counts alike whenever it joined.

import { type LossCause, SEQUENCE_MAX, type SessionId } from '#base/mod.ts';
import type { ReceiverCounters, SessionCounters } from './counters.ts';
import type { SqnRange } from './nak-scheduler.ts';
import type { MessagesDelivered, ReceiverEvent } from './receiver-event.ts';

/** What an account is opened with. */
export interface SequenceAccountOptions {
  readonly session: SessionId;
  /** Sequences per packet number of a foreign source; undefined for our own. */
  readonly placesPerPacket?: number | undefined;
  /** The first sequence not accounted for; undefined starts with whatever comes first. */
  readonly nextSequence: number | undefined;
  /** The packet in which it starts, if it is known: what lies before is then no late join. */
  readonly resumeSqn: number | undefined;
  readonly counters: ReceiverCounters;
  /** The same for this session alone. */
  readonly tally: SessionCounters;
  readonly emit: (event: ReceiverEvent) => void;
}

/** What has been told of one session. */
export class SequenceAccount {
  readonly #options: SequenceAccountOptions;
  #nextSequence: number | undefined;
  #resumeSqn: number | undefined;
  #holeCause: LossCause | undefined;
  /**
   * Of a hole that nothing else explains. Before the first message it lies in how the session
   * began.
   */
  #plainCause: LossCause;
  /** Packets in the hole that is not told yet; of a foreign source it is all there is to count. */
  #holePackets = 0;

  constructor(options: SequenceAccountOptions) {
    this.#options = options;
    this.#nextSequence = options.nextSequence;
    this.#resumeSqn = options.resumeSqn;
    this.#plainCause = options.resumeSqn === undefined ? 'late_join' : 'repair_expired';
  }

  /** The first sequence not accounted for, once known. */
  get nextSequence(): number | undefined {
    return this.#nextSequence;
  }

  /**
   * The packet from which on a later receiver needs everything; undefined while that is not known.
   */
  get resumeSqn(): number | undefined {
    return this.#resumeSqn;
  }

  /**
   * Packets were given up here. The sequences they held become known with the next message or SPM.
   */
  hole(cause: LossCause, packets: SqnRange): void {
    const { placesPerPacket } = this.#options;
    if (placesPerPacket !== undefined) {
      this.#nextSequence ??= packets.first * placesPerPacket;
      this.#resumeSqn ??= packets.first;
    }
    this.#holePackets += packets.last - packets.first + 1;
    if (this.#resumeSqn !== undefined) this.#holeCause ??= cause;
  }

  /** What packet `sqn` held cannot be read. */
  corrupt(sqn: number): void {
    this.#options.counters.corruptBlocks += 1;
    this.hole('corrupt', { first: sqn, last: sqn });
  }

  /**
   * All packets before `nextSqn` are accounted for, and `sequence` is the first message after them.
   * What a foreign source said before its first message that we know is not ours to account for.
   */
  settled(sequence: number, nextSqn: number): void {
    if (this.#options.placesPerPacket === undefined) this.#nextSequence ??= sequence;
    if (this.#nextSequence === undefined) return;
    if (this.#nextSequence < sequence) this.reach(sequence, nextSqn);
    else if (this.#nextSequence === sequence) this.#resumeSqn ??= nextSqn;
  }

  /**
   * Declares what lies between the last message and `sequence`; false if `sequence` lies behind it.
   */
  reach(sequence: number, nextSqn: number): boolean {
    const expected = this.#nextSequence ?? sequence;
    if (sequence < expected) {
      this.#options.counters.corruptBlocks += 1;
      return false;
    }
    if (sequence > expected) this.#lose(expected, sequence - 1, nextSqn);
    this.#nextSequence = sequence;
    this.#resumeSqn = nextSqn;
    this.#holeCause = undefined;
    this.#holePackets = 0;
    this.#plainCause = 'corrupt';
    return true;
  }

  /**
   * Tells the messages of `block`, which starts in packet `firstSqn`, and the loss before it;
   * false, and nothing told, if its sequences cannot be.
   */
  tell(block: MessagesDelivered, firstSqn: number): boolean {
    const { firstSequence, lastSequence, messageCount, nextSqn } = block;
    if (firstSequence > SEQUENCE_MAX - messageCount + 1 || lastSequence > SEQUENCE_MAX) {
      this.corrupt(firstSqn);
      return false;
    }
    if (!this.reach(firstSequence, firstSqn)) return false;
    this.#nextSequence = lastSequence + 1;
    this.#resumeSqn = nextSqn;
    this.#options.counters.messagesDelivered += messageCount;
    this.#options.tally.messagesDelivered += messageCount;
    this.#options.emit(block);
    return true;
  }

  #lose(firstSequence: number, lastSequence: number, nextSqn: number): void {
    const { counters, tally, emit, session, placesPerPacket } = this.#options;
    const isForeign = placesPerPacket !== undefined;
    const count = isForeign ? Math.max(1, this.#holePackets) : lastSequence - firstSequence + 1;
    const cause = this.#holeCause ?? this.#plainCause;
    counters.messagesLost += count;
    tally.messagesLost += count;
    emit({ kind: 'lost', session, firstSequence, lastSequence, cause, nextSqn });
  }
}
