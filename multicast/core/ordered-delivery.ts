// The last step of a receiver, for the framings whose packets each hold an APDU or a fragment of
// one (native and raw): takes a session's packets in packet order, puts big messages together and
// tells messages and losses in sequence order. Does not know which packets are missing or why time
// passes (session-receiver). Holds one unfinished big message at most.

import { type Framing, type LossCause, PACKET_BYTES_MAX, type SessionId } from '#base/mod.ts';
import { countMessages } from '#multicast/wire/mod.ts';
import type { Delivery, DeliveryOptions } from './delivery.ts';
import { grow, type GrowingBytes, newGrowingBytes } from './growing-bytes.ts';
import type { SqnRange } from './nak-scheduler.ts';
import type { HeldFragment } from './receive-window.ts';
import type { MessagesDelivered } from './receiver-event.ts';
import { SequenceAccount } from './sequence-account.ts';

/** A big message of which the first pieces have come. */
interface Reassembly extends GrowingBytes {
  readonly firstSqn: number;
  readonly apduBytes: number;
  readonly sequence: number;
}

/** Room for a big message at first: what it claims may be forged. */
const ROOM_BYTES_MAX = 65_536;

/** Delivery of the framings native and raw. */
export class OrderedDelivery implements Delivery {
  readonly #account: SequenceAccount;
  readonly #session: SessionId;
  readonly #framing: Framing;
  readonly #isForeign: boolean;
  readonly #apduBytesMax: number;
  #reassembly: Reassembly | undefined;

  constructor(options: DeliveryOptions) {
    this.#account = new SequenceAccount(options);
    this.#session = options.session;
    this.#framing = options.framing;
    this.#isForeign = options.placesPerPacket !== undefined;
    this.#apduBytesMax = options.messageBytesMax + PACKET_BYTES_MAX;
  }

  /** The first sequence not accounted for, once known. */
  get nextSequence(): number | undefined {
    return this.#account.nextSequence;
  }

  /**
   * The packet from which on a later receiver needs everything; undefined while that is not known.
   */
  get resumeSqn(): number | undefined {
    return this.#account.resumeSqn;
  }

  /** The next packet in order. `bytes` are not kept beyond what is told of them. */
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
  hole(cause: LossCause, packets: SqnRange): void {
    this.#reassembly = undefined;
    this.#account.hole(cause, packets);
  }

  /**
   * All packets before `nextSqn` are accounted for, and `sequence` is the first message after them.
   * A foreign source does not say of what it sends that a message is unfinished.
   */
  settled(sequence: number, nextSqn: number): void {
    if (this.#isForeign && this.#reassembly !== undefined) return;
    this.#account.settled(sequence, nextSqn);
  }

  /** What is unfinished is not completed any more. */
  conclude(sequence: number, nextSqn: number): void {
    if (this.#reassembly !== undefined) {
      this.#reassembly = undefined;
      this.#account.hole('source_gone', { first: nextSqn - 1, last: nextSqn - 1 });
    }
    this.#account.settled(sequence, nextSqn);
  }

  #block(
    firstSqn: number,
    nextSqn: number,
    sequence: number,
    bytes: Uint8Array,
    start: number,
    end: number,
  ): void {
    const messageCount = this.#framing === 'raw' ? 1 : countMessages(bytes, start, end);
    if (messageCount <= 0) {
      this.#reassembly = undefined;
      this.#account.corrupt(firstSqn);
      return;
    }
    const block: MessagesDelivered = {
      kind: 'messages',
      session: this.#session,
      firstSequence: sequence,
      messageCount,
      lastSequence: this.#isForeign ? nextSqn - 1 : sequence + messageCount - 1,
      bytes,
      start,
      end,
      nextSqn,
    };
    this.#account.tell(block, firstSqn);
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
    grow(reassembly, bytes);
    const { firstSqn, apduBytes, sequence: first, filledBytes } = reassembly;
    if (filledBytes < apduBytes) return;
    this.#reassembly = undefined;
    this.#block(firstSqn, sqn + 1, first, reassembly.bytes, 0, apduBytes);
  }

  /** A big message begins: what is missing before it is known now. */
  #startReassembly(firstSqn: number, sequence: number, apduBytes: number): void {
    this.#reassembly = undefined;
    if (!this.#account.reach(sequence, firstSqn) || apduBytes > this.#apduBytesMax) return;
    const room = newGrowingBytes(Math.min(apduBytes, ROOM_BYTES_MAX));
    this.#reassembly = { firstSqn, apduBytes, sequence, ...room };
  }
}
