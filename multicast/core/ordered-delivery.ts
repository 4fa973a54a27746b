// The last step of a receiver: takes a session's packets in packet order, puts big messages
// together and tells messages and losses in sequence order. Does not know which packets are missing
// or why time passes (session-receiver). Holds one unfinished big message at most.

import { type LossCause, PACKET_BYTES_MAX, SEQUENCE_MAX, type SessionId } from '#base/mod.ts';
import { countMessages } from '#multicast/wire/mod.ts';
import type { ReceiverCounters, SessionCounters } from './counters.ts';
import type { HeldFragment } from './receive-window.ts';
import type { ReceiverEvent } from './receiver-event.ts';

/** A big message of which the first pieces have come. */
interface Reassembly {
  readonly firstSqn: number;
  readonly apduBytes: number;
  readonly sequence: number;
  readonly pieces: Uint8Array[];
  filledBytes: number;
}

/** Turns one session's packets into messages and losses. */
export class OrderedDelivery {
  readonly #session: SessionId;
  readonly #counters: ReceiverCounters;
  readonly #tally: SessionCounters;
  readonly #emit: (event: ReceiverEvent) => void;
  readonly #apduBytesMax: number;
  #nextSequence: number | undefined;
  #resumeSqn: number | undefined;
  #holeCause: LossCause | undefined;
  /**
   * Of a hole that nothing else explains. Before the first message it lies in how the session
   * began.
   */
  #plainCause: LossCause;
  #reassembly: Reassembly | undefined;

  constructor(options: {
    readonly session: SessionId;
    /** The first sequence not accounted for; undefined starts with whatever comes first. */
    readonly nextSequence: number | undefined;
    /** The packet in which it starts, if it is known: what lies before is then no late join. */
    readonly resumeSqn: number | undefined;
    readonly messageBytesMax: number;
    readonly counters: ReceiverCounters;
    /** The same for this session alone. */
    readonly tally: SessionCounters;
    readonly emit: (event: ReceiverEvent) => void;
  }) {
    this.#session = options.session;
    this.#nextSequence = options.nextSequence;
    this.#resumeSqn = options.resumeSqn;
    this.#plainCause = options.resumeSqn === undefined ? 'late_join' : 'repair_expired';
    this.#apduBytesMax = options.messageBytesMax + PACKET_BYTES_MAX;
    this.#counters = options.counters;
    this.#tally = options.tally;
    this.#emit = options.emit;
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
   * The next packet in order. `sqn` is unwrapped; `bytes` are kept only while a big message needs
   * them.
   */
  packet(
    sqn: number,
    sequence: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    fragment: HeldFragment | undefined,
  ): void {
    if (fragment === undefined) {
      this.#reassembly = undefined;
      this.#block(sqn, sqn + 1, sequence, bytes, start, end);
    } else {
      this.#piece(sqn, sequence, bytes.subarray(start, end), fragment);
    }
  }

  /**
   * Packets were given up here. The sequences they held become known with the next packet or SPM.
   */
  hole(cause: LossCause): void {
    this.#reassembly = undefined;
    if (this.#resumeSqn !== undefined) this.#holeCause ??= cause;
  }

  /**
   * All packets before `nextSqn` are accounted for, and `sequence` is the first message after them.
   */
  settled(sequence: number, nextSqn: number): void {
    this.#nextSequence ??= sequence;
    if (this.#nextSequence < sequence) this.#reconcile(sequence, nextSqn);
    else if (this.#nextSequence === sequence) this.#resumeSqn ??= nextSqn;
  }

  #block(
    firstSqn: number,
    nextSqn: number,
    sequence: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const messageCount = countMessages(bytes, start, end);
    const isSound = messageCount > 0 && sequence <= SEQUENCE_MAX - messageCount + 1;
    if (!isSound) {
      this.#counters.corruptBlocks += 1;
      this.hole('corrupt');
      return;
    }
    if (!this.#reconcile(sequence, firstSqn)) return;
    this.#nextSequence = sequence + messageCount;
    this.#resumeSqn = nextSqn;
    this.#counters.messagesDelivered += messageCount;
    this.#tally.messagesDelivered += messageCount;
    this.#emit({
      kind: 'messages',
      session: this.#session,
      firstSequence: sequence,
      messageCount,
      lastSequence: sequence + messageCount - 1,
      bytes,
      start,
      end,
      nextSqn,
    });
  }

  #piece(sqn: number, sequence: number, bytes: Uint8Array, fragment: HeldFragment): void {
    if (fragment.startBytes === 0) this.#startReassembly(sqn, sequence, fragment.apduBytes);
    const reassembly = this.#reassembly;
    const isNext =
      reassembly !== undefined &&
      reassembly.firstSqn === fragment.firstSqn &&
      reassembly.apduBytes === fragment.apduBytes &&
      reassembly.filledBytes === fragment.startBytes;
    if (!isNext || bytes.length === 0) {
      this.#reassembly = undefined;
      return;
    }
    reassembly.pieces.push(bytes);
    reassembly.filledBytes += bytes.length;
    if (reassembly.filledBytes < reassembly.apduBytes) return;
    this.#reassembly = undefined;
    const apdu = joined(reassembly);
    this.#block(reassembly.firstSqn, sqn + 1, reassembly.sequence, apdu, 0, apdu.length);
  }

  /** A big message begins: what is missing before it is known now. */
  #startReassembly(firstSqn: number, sequence: number, apduBytes: number): void {
    this.#reassembly = undefined;
    if (!this.#reconcile(sequence, firstSqn) || apduBytes > this.#apduBytesMax) return;
    this.#reassembly = { firstSqn, apduBytes, sequence, pieces: [], filledBytes: 0 };
  }

  /**
   * Declares what lies between the last message and `sequence`; false if `sequence` lies behind it.
   */
  #reconcile(sequence: number, nextSqn: number): boolean {
    const expected = this.#nextSequence ?? sequence;
    if (sequence < expected) {
      this.#counters.corruptBlocks += 1;
      return false;
    }
    if (sequence > expected) {
      this.#counters.messagesLost += sequence - expected;
      this.#tally.messagesLost += sequence - expected;
      this.#emit({
        kind: 'lost',
        session: this.#session,
        firstSequence: expected,
        lastSequence: sequence - 1,
        cause: this.#holeCause ?? this.#plainCause,
        nextSqn,
      });
    }
    this.#nextSequence = sequence;
    this.#resumeSqn = nextSqn;
    this.#holeCause = undefined;
    this.#plainCause = 'corrupt';
    return true;
  }
}

function joined(reassembly: Reassembly): Uint8Array {
  const apdu = new Uint8Array(reassembly.apduBytes);
  let end = 0;
  for (const piece of reassembly.pieces) {
    apdu.set(piece, end);
    end += piece.length;
  }
  return apdu;
}
