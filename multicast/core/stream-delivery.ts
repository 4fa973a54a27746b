// The last step of a receiver, for the framing zmq: a session's packets are slices of one stream of
// messages, which may straddle them. Takes packets in packet order and tells messages and losses in
// sequence order. Where a hole or anything unreadable has cut the stream, it is taken up again at
// the next packet that says where a message starts; the message that was cut is part of the loss.
// Holds one unfinished message at most.
//
//   out of step   no message is under way, and where the next starts is not known
//   in step       between two messages, or within `unfinished`

import {
  type LossCause,
  PACKET_BYTES_MAX,
  PACKET_MESSAGES_MAX,
  type SessionId,
} from '#base/mod.ts';
import {
  readZmqOffset,
  ZMQ_CORRUPT,
  ZMQ_NO_START,
  ZMQ_OFFSET_BYTES,
  ZMQ_UNFINISHED,
  ZmqMessageScanner,
} from '#multicast/wire/mod.ts';
import type { Delivery, DeliveryOptions } from './delivery.ts';
import { grow, type GrowingBytes, newGrowingBytes } from './growing-bytes.ts';
import type { SqnRange } from './nak-scheduler.ts';
import type { HeldFragment } from './receive-window.ts';
import type { MessagesDelivered } from './receiver-event.ts';
import { SequenceAccount } from './sequence-account.ts';

/** A message whose first bytes have come. */
interface Unfinished extends GrowingBytes {
  readonly sequence: number;
  readonly firstSqn: number;
}

/** One packet being read. */
interface Slice {
  readonly sqn: number;
  /** Of the first message that starts in it. */
  readonly sequence: number;
  readonly bytes: Uint8Array;
  readonly end: number;
}

/** Room for an unfinished message at first. */
const ROOM_BYTES = 4_096;

/** Delivery of the framing zmq. */
export class StreamDelivery implements Delivery {
  readonly #account: SequenceAccount;
  readonly #session: SessionId;
  readonly #placesPerPacket: number | undefined;
  readonly #scanner: ZmqMessageScanner;
  readonly #resumedAtSqn: number | undefined;
  #isInStep = false;
  #unfinished: Unfinished | undefined;

  constructor(options: DeliveryOptions) {
    this.#account = new SequenceAccount(options);
    this.#session = options.session;
    this.#placesPerPacket = options.placesPerPacket;
    this.#resumedAtSqn = options.resumeSqn;
    this.#scanner = new ZmqMessageScanner(options.messageBytesMax + PACKET_BYTES_MAX);
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
    const at = start + ZMQ_OFFSET_BYTES;
    if (fragment !== undefined || at >= end) return this.#fallOutOfStep(sqn);
    const offset = readZmqOffset(bytes, start);
    const firstStart = offset === ZMQ_NO_START ? end : at + offset;
    if (firstStart > end) return this.#fallOutOfStep(sqn);
    const slice = { sqn, sequence, bytes, end };
    if (this.#isInStep && this.#unfinished !== undefined) {
      this.#continue(this.#unfinished, slice, at, firstStart);
    } else if (this.#isInStep && firstStart !== at) {
      this.#fallOutOfStep(sqn);
    } else if (firstStart < end) {
      this.#isInStep = true;
      this.#read(slice, firstStart);
    }
  }

  /** Packets were given up here. */
  hole(cause: LossCause, packets: SqnRange): void {
    this.#forget();
    this.#account.hole(cause, packets);
  }

  /**
   * All packets before `nextSqn` are accounted for, and `sequence` is the first message after them.
   */
  settled(sequence: number, nextSqn: number): void {
    if (this.#unfinished === undefined) this.#account.settled(sequence, nextSqn);
  }

  /** What is unfinished is not completed any more. */
  conclude(sequence: number, nextSqn: number): void {
    if (this.#unfinished !== undefined) {
      this.#forget();
      this.#account.hole('source_gone', { first: nextSqn - 1, last: nextSqn - 1 });
    }
    this.#account.settled(sequence, nextSqn);
  }

  /** The slice goes on with a message that began in an earlier packet. */
  #continue(unfinished: Unfinished, slice: Slice, at: number, firstStart: number): void {
    const { sqn, sequence, bytes, end } = slice;
    const messageEnd = this.#scanner.scan(bytes, at, end);
    if (messageEnd === ZMQ_CORRUPT) return this.#fallOutOfStep(sqn);
    const isAgreed = (messageEnd === ZMQ_UNFINISHED ? end : messageEnd) === firstStart;
    const isNumbered = this.#placesPerPacket !== undefined || sequence === unfinished.sequence + 1;
    if (!isAgreed || !isNumbered) return this.#fallOutOfStep(sqn);
    grow(unfinished, bytes.subarray(at, firstStart));
    if (messageEnd === ZMQ_UNFINISHED) return;
    this.#unfinished = undefined;
    const isLast = messageEnd === end;
    const block: MessagesDelivered = {
      kind: 'messages',
      session: this.#session,
      firstSequence: unfinished.sequence,
      messageCount: 1,
      lastSequence: isLast ? this.#lastSequence(slice, 0) : sequence - 1,
      bytes: unfinished.bytes,
      start: 0,
      end: unfinished.filledBytes,
      nextSqn: isLast ? sqn + 1 : sqn,
    };
    if (!this.#account.tell(block, unfinished.firstSqn)) this.#forget();
    else if (!isLast) this.#read(slice, messageEnd);
  }

  /** Takes the messages that start in the slice, the first of them at `firstStart`. */
  #read(slice: Slice, firstStart: number): void {
    const { sqn, bytes, end } = slice;
    this.#scanner.reset();
    let blockStart = firstStart;
    let blockIndex = 0;
    let index = 0;
    let at = firstStart;
    while (at < end) {
      const messageEnd = this.#scanner.scan(bytes, at, end);
      if (messageEnd < 0) {
        if (!this.#tell(slice, blockStart, at, blockIndex, index)) return;
        if (messageEnd === ZMQ_CORRUPT) this.#fallOutOfStep(sqn);
        else this.#begin(slice, at, index);
        return;
      }
      index += 1;
      at = messageEnd;
      if (index - blockIndex < PACKET_MESSAGES_MAX && at < end) continue;
      if (!this.#tell(slice, blockStart, at, blockIndex, index)) return;
      blockStart = at;
      blockIndex = index;
    }
  }

  /** Tells the messages [fromIndex, toIndex) of the slice; false if that cannot be. */
  #tell(slice: Slice, start: number, end: number, fromIndex: number, toIndex: number): boolean {
    const told = this.#toldBefore(slice);
    if (toIndex <= Math.max(fromIndex, told)) return true;
    let blockStart = start;
    for (let index = fromIndex; index < told; index += 1) {
      blockStart = new ZmqMessageScanner().scan(slice.bytes, blockStart, end);
    }
    const first = Math.max(fromIndex, told);
    const isLast = end === slice.end;
    const block: MessagesDelivered = {
      kind: 'messages',
      session: this.#session,
      firstSequence: slice.sequence + first,
      messageCount: toIndex - first,
      lastSequence: isLast ? this.#lastSequence(slice, toIndex) : slice.sequence + toIndex - 1,
      bytes: slice.bytes,
      start: blockStart,
      end,
      nextSqn: isLast ? slice.sqn + 1 : slice.sqn,
    };
    const isTold = this.#account.tell(block, slice.sqn);
    if (!isTold) this.#forget();
    return isTold;
  }

  /** Messages of the slice that an earlier receiver has told, when it was left in the middle. */
  #toldBefore({ sqn, sequence }: Slice): number {
    if (sqn !== this.#resumedAtSqn) return 0;
    return Math.max(0, (this.#account.nextSequence ?? 0) - sequence);
  }

  /** A message begins in this packet and ends in a later one; what is missing before is known. */
  #begin(slice: Slice, at: number, index: number): void {
    const { sqn, sequence, bytes, end } = slice;
    if (!this.#account.reach(sequence + index, sqn)) return this.#forget();
    const place = { sequence: sequence + index, firstSqn: sqn };
    const unfinished = { ...place, ...newGrowingBytes(Math.max(ROOM_BYTES, end - at)) };
    grow(unfinished, bytes.subarray(at, end));
    this.#unfinished = unfinished;
  }

  /** The last sequence of a slice in which `started` messages start and nothing is left over. */
  #lastSequence({ sqn, sequence }: Slice, started: number): number {
    const places = this.#placesPerPacket;
    return (places === undefined ? sequence + started : (sqn + 1) * places) - 1;
  }

  #fallOutOfStep(sqn: number): void {
    this.#forget();
    this.#account.corrupt(sqn);
  }

  #forget(): void {
    this.#isInStep = false;
    this.#unfinished = undefined;
  }
}
