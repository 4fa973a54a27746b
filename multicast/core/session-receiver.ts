// Follows one session: finds out which packets are missing, holds what came ahead of a hole, and
// hands packets on in order. Every packet number from `next` to `lead` is exactly one of held,
// missing (being asked for) or lost; below `next` all are accounted for.
//
//   detected by   a data packet beyond lead + 1, or an SPM whose lead lies beyond ours
//   lost when     the publisher's trail passes it, the repair times out, or the source is gone

import {
  assert,
  type ChannelAddress,
  type LossCause,
  type Random,
  type SessionId,
} from '#base/mod.ts';
import { contentDigest, type PacketReader, sqnDistance, unwrapSqn } from '#multicast/wire/mod.ts';
import { newSessionCounters, type ReceiverCounters, type SessionCounters } from './counters.ts';
import { type Delivery, placesPerPacketOf } from './delivery.ts';
import { LeapDoubt } from './leap-doubt.ts';
import { NakScheduler, type SqnRange } from './nak-scheduler.ts';
import { OrderedDelivery } from './ordered-delivery.ts';
import { type HeldFragment, heldFragment, ReceiveWindow } from './receive-window.ts';
import type { ReceiverEvent, ResumePoint } from './receiver-event.ts';
import { RecentPackets } from './recent-packets.ts';
import { RepairLatency } from './repair-latency.ts';
import { StreamDelivery } from './stream-delivery.ts';

/** How a receiver takes up a session it meets. */
export type JoinMode =
  /** From the next message on: what was said before is not asked for. */
  | 'live'
  /**
   * From the oldest packet the publisher still holds; what is older is lost with cause `late_join`.
   */
  | 'window';

/** What a session's receiver needs from the receiver around it. */
export interface SessionReceiverOptions {
  readonly session: SessionId;
  readonly address: ChannelAddress;
  /** The source states no sequences: they are made of its packet numbers. */
  readonly isForeign: boolean;
  readonly join: JoinMode;
  readonly resume: ResumePoint | undefined;
  readonly random: Random;
  readonly repairTimeoutMs: number;
  readonly messageBytesMax: number;
  readonly counters: ReceiverCounters;
  /** Repairs of all sessions. */
  readonly repairLatency: RepairLatency;
  readonly emit: (event: ReceiverEvent) => void;
  readonly ask: (sqns: number[]) => void;
  /** Takes one of the conflicts that the receiver may tell of; false if it may not now. */
  readonly mayTellConflict: () => boolean;
}

interface LostRange extends SqnRange {
  readonly cause: LossCause;
}

/** The receiving state of one session. */
export class SessionReceiver {
  /** What was counted of this session. */
  readonly tally: SessionCounters = newSessionCounters();
  /** How long this session's repairs took. */
  readonly repairLatency: RepairLatency = new RepairLatency();
  readonly #options: SessionReceiverOptions;
  readonly #counters: ReceiverCounters;
  readonly #window = new ReceiveWindow();
  readonly #recent = new RecentPackets();
  readonly #missing: NakScheduler;
  readonly #delivery: Delivery;
  /** Sequences per packet number of a foreign source; 0 of our own. */
  readonly #placesPerPacket: number;
  readonly #lost: LostRange[] = [];
  readonly #leap = new LeapDoubt();
  #hasStarted = false;
  #next = 0;
  /** Before the start nothing lies between `next` and `lead`. */
  #lead = -1;
  #trail = 0;
  #spmSqn: number | undefined;
  #spmLead = Number.NaN;
  #spmSequence = 0;
  #isFin = false;
  /** What is told next holds a packet that had to be sent again. */
  #isRepaired = false;

  constructor(options: SessionReceiverOptions) {
    const { address, isForeign } = options;
    this.#options = options;
    this.#counters = options.counters;
    this.#missing = new NakScheduler(options);
    this.#placesPerPacket = isForeign ? placesPerPacketOf(address.framing) : 0;
    this.#delivery = newDelivery({ ...options, emit: this.#emit }, this.tally);
  }

  /** Whether an SPM was heard, without which nothing can be asked for. */
  get hasSpm(): boolean {
    return this.#spmSqn !== undefined;
  }

  /** Whether the publisher said it ends, and all it sent is accounted for. */
  get isFinished(): boolean {
    return this.#isFin && this.#next > this.#lead;
  }

  /** Whether the publisher said it ends. */
  get isFin(): boolean {
    return this.#isFin;
  }

  /** Where to resume this session later, or undefined while nothing was told of it. */
  get resumePoint(): ResumePoint | undefined {
    const { nextSequence, resumeSqn } = this.#delivery;
    if (nextSequence === undefined || resumeSqn === undefined) return undefined;
    return { session: this.#options.session, nextSequence, nextSqn: resumeSqn };
  }

  /** The first packet not accounted for; undefined while nothing says which that is. */
  get nextSqn(): number | undefined {
    return this.#hasStarted ? this.#next : this.#options.resume?.nextSqn;
  }

  /** A time at or before the next thing to do here. */
  get nextDeadlineMs(): number {
    return this.#missing.nextDeadlineMs;
  }

  /** Requests that somebody else made unnecessary so far. */
  get naksSuppressed(): number {
    return this.#missing.suppressed;
  }

  /** Takes the data packet that `reader` has read from `bytes`. */
  handleData(reader: PacketReader, bytes: Uint8Array, nowMs: number): void {
    if (!this.#hasStarted) {
      if (this.#isRepairOfThePast(reader)) return;
      this.#start(reader.sqn, reader.trail, reader.sqn);
    }
    const sqn = unwrapSqn(reader.sqn, this.#lead);
    const trail = unwrapSqn(reader.trail, sqn);
    if (trail > sqn) {
      this.#counters.malformed += 1;
      return;
    }
    if (this.#leap.isDoubtful(trail, this.#lead)) {
      this.#counters.beyondWindow += 1;
      return;
    }
    this.#advanceTrail(trail);
    if (sqn < this.#next) this.#repeated(reader, bytes, sqn);
    else if (!this.#window.reaches(sqn, this.#next)) this.#counters.beyondWindow += 1;
    else if (sqn > this.#lead + 1 && this.#missing.isFull) this.#counters.beyondWindow += 1;
    else if (this.#accept(sqn, reader.kind === 'rdata', nowMs)) this.#take(reader, bytes, sqn);
    else this.#repeated(reader, bytes, sqn);
    this.#deliver();
  }

  /** Takes the SPM that `reader` has read; an older one than the last is ignored. */
  handleSpm(reader: PacketReader, nowMs: number): void {
    if (this.#spmSqn !== undefined && sqnDistance(reader.sqn, this.#spmSqn) < 0) return;
    if (!this.#hasStarted) this.#start(reader.lead + 1, reader.trail, reader.lead + 1);
    const lead = unwrapSqn(reader.lead, this.#lead);
    const trail = unwrapSqn(reader.trail, lead);
    if (trail > lead + 1) {
      this.#counters.malformed += 1;
      return;
    }
    const isTooFar = !this.#window.reaches(lead, Math.max(this.#next, trail));
    if (isTooFar || this.#leap.isDoubtful(trail, this.#lead)) {
      this.#counters.beyondWindow += 1;
      return;
    }
    if (this.#spmSqn === undefined) this.#missing.mayAsk(nowMs);
    this.#spmSqn = reader.sqn;
    this.#counters.spmsReceived += 1;
    this.#advanceTrail(trail);
    if (lead > this.#lead && !this.#missing.isFull) {
      this.#detect(this.#lead + 1, lead, nowMs);
      this.#lead = lead;
    }
    if (lead <= this.#lead) {
      this.#spmLead = lead;
      this.#spmSequence =
        this.#placesPerPacket > 0 ? (lead + 1) * this.#placesPerPacket : reader.sequence;
      this.#isFin = reader.isFin;
    }
    this.#deliver();
    this.#tellLead();
  }

  /** Takes a confirmation, or somebody else's NAK, that `reader` has read. */
  handleFeedback(reader: PacketReader, nowMs: number): void {
    if (!this.#hasStarted) return;
    const sqns: number[] = [];
    for (let index = 0; index < reader.sqnCount; index += 1) {
      sqns.push(unwrapSqn(reader.sqnList[index] ?? 0, this.#lead));
    }
    if (reader.kind === 'ncf') this.#missing.confirmed(sqns, nowMs);
    else this.#missing.overheard(sqns, nowMs);
  }

  /** Nothing could be heard for `lateMs`: repairs get that much more time. */
  overslept(lateMs: number): void {
    this.#missing.postponeExpiry(lateMs);
  }

  /** Lets time pass: asks for what is due, gives up what took too long. */
  handleTimeout(nowMs: number): void {
    const givenUp = this.#missing.handleTimeout(nowMs, this.hasSpm, this.#options.ask);
    if (givenUp.length === 0) return;
    this.#lose(givenUp, 'repair_expired');
    this.#deliver();
  }

  /** Nothing more will come: what is still missing is lost with `cause`. */
  abandon(cause: LossCause): void {
    this.#lose(this.#missing.abandonBelow(Number.POSITIVE_INFINITY), cause);
    this.#deliver();
  }

  /** The session is over: a foreign source's last message may have been left unfinished. */
  conclude(): void {
    if (this.#placesPerPacket === 0 || !this.#hasStarted) return;
    this.#delivery.conclude(this.#next * this.#placesPerPacket, this.#next);
  }

  /** First contact: decides which packet number comes first. */
  #start(firstWrapped: number, trailWrapped: number, liveWrapped: number): void {
    const { resume, join } = this.#options;
    const resumeSqn = resume?.nextSqn;
    this.#hasStarted = true;
    const near = resumeSqn ?? (firstWrapped >>> 0) + 0x1_0000_0000;
    const live = unwrapSqn(liveWrapped >>> 0, near);
    if (resumeSqn !== undefined) this.#next = resumeSqn;
    else this.#next = join === 'window' ? unwrapSqn(trailWrapped, live) : live;
    this.#trail = this.#next;
    this.#lead = this.#next - 1;
  }

  /** What another receiver asked for says nothing of where the session stands now. */
  #isRepairOfThePast(reader: PacketReader): boolean {
    const { join, resume } = this.#options;
    if (reader.kind !== 'rdata' || join !== 'live' || resume?.nextSqn !== undefined) return false;
    this.#countDuplicate();
    return true;
  }

  /** Whether `sqn` is wanted; notes what it reveals as missing. */
  #accept(sqn: number, isRepair: boolean, nowMs: number): boolean {
    if (sqn <= this.#lead) {
      if (!this.#missing.arrived(sqn, nowMs)) return false;
      if (isRepair) this.#countRepair(this.#missing.missedForMs);
      return true;
    }
    if (sqn > this.#lead + 1) this.#detect(this.#lead + 1, sqn - 1, nowMs);
    this.#lead = sqn;
    return true;
  }

  #detect(first: number, last: number, nowMs: number): void {
    this.#missing.add(first, last, nowMs);
    this.#countMissed(last - first + 1);
  }

  /** The sequence of what starts in the packet, or that its fragment belongs to. */
  #sequenceOf(reader: PacketReader, sqn: number): number {
    if (this.#placesPerPacket === 0) return reader.sequence;
    const firstSqn = reader.hasFragment ? unwrapSqn(reader.fragmentFirstSqn, sqn) : sqn;
    return firstSqn * this.#placesPerPacket;
  }

  #take(reader: PacketReader, bytes: Uint8Array, sqn: number): void {
    this.#counters.packetsReceived += 1;
    this.tally.packetsReceived += 1;
    if (reader.kind === 'rdata') {
      this.#counters.repairsReceived += 1;
      this.tally.repairsReceived += 1;
    }
    const fragment = reader.hasFragment ? heldFragment(reader, sqn) : undefined;
    const sequence = this.#sequenceOf(reader, sqn);
    const { payloadStart: start, payloadEnd: end } = reader;
    this.#recent.note(sqn, sequence, contentDigest(bytes, start, end));
    const isRepair = reader.kind === 'rdata';
    if (sqn === this.#next) {
      this.#next += 1;
      this.#noteRepair(isRepair, fragment);
      this.#delivery.packet(sqn, sequence, bytes, start, end, fragment);
    } else {
      this.#window.hold(sqn, this.#next, { bytes, start, end, sequence, fragment, isRepair });
    }
  }

  #noteRepair(isRepair: boolean, fragment: HeldFragment | undefined): void {
    this.#isRepaired = isRepair || ((fragment?.startBytes ?? 0) > 0 && this.#isRepaired);
  }

  readonly #emit = (event: ReceiverEvent): void => {
    const isRepaired = event.kind === 'messages' && this.#isRepaired;
    this.#options.emit(isRepaired ? { ...event, isRepaired } : event);
  };

  #advanceTrail(trail: number): void {
    if (trail <= this.#trail) return;
    this.#trail = trail;
    if (trail > this.#lead + 1) {
      const unseen = { first: this.#lead + 1, last: trail - 1 };
      this.#countMissed(trail - 1 - this.#lead);
      this.#lose([...this.#missing.abandonBelow(trail), unseen], 'repair_expired');
      this.#lead = trail - 1;
    } else if (this.#missing.first < trail) {
      this.#lose(this.#missing.abandonBelow(trail), 'repair_expired');
    }
    this.#deliver();
  }

  /** What is missing may be only a part of a message still being sent: then there is no lead. */
  #tellLead(): void {
    const { emit, session } = this.#options;
    const sequence = this.#spmSequence - 1;
    const isUntold = sequence >= (this.#delivery.nextSequence ?? 1);
    if (this.#next <= this.#spmLead && isUntold) emit({ kind: 'lead', session, sequence });
  }

  /** What came first stays, whatever comes after it. */
  #repeated(reader: PacketReader, bytes: Uint8Array, sqn: number): void {
    this.#countDuplicate();
    const digest = contentDigest(bytes, reader.payloadStart, reader.payloadEnd);
    if (!this.#recent.differs(sqn, this.#sequenceOf(reader, sqn), digest)) return;
    this.#counters.conflicts += 1;
    const { emit, mayTellConflict, session } = this.#options;
    if (this.#recent.mayTell() && mayTellConflict())
      emit({ kind: 'conflict', session, sqn, ...this.#recent.sequencesOf(sqn) });
  }

  #countDuplicate(): void {
    this.#counters.duplicates += 1;
    this.tally.duplicates += 1;
  }

  #countMissed(packets: number): void {
    this.#counters.packetsMissed += packets;
    this.tally.packetsMissed += packets;
  }

  #countRepair(latencyMs: number): void {
    this.repairLatency.add(latencyMs);
    this.#options.repairLatency.add(latencyMs);
  }

  /** Holes are given up from the oldest on, so lost ranges come in order. */
  #lose(ranges: readonly SqnRange[], cause: LossCause): void {
    for (const { first, last } of ranges) this.#lost.push({ first, last, cause });
  }

  /** Hands on everything from `next` up to the first packet still missing. */
  #deliver(): void {
    while (this.#next <= this.#lead && this.#next < this.#missing.first) {
      const held = this.#window.release(this.#next);
      if (held !== undefined) {
        const sqn = this.#next;
        this.#next += 1;
        const { sequence, bytes, start, end, fragment } = held;
        this.#noteRepair(held.isRepair, fragment);
        this.#delivery.packet(sqn, sequence, bytes, start, end, fragment);
        continue;
      }
      const lost = this.#lost.shift();
      assert(lost?.first === this.#next, 'a packet is held, missing or lost');
      this.#next = lost.last + 1;
      this.#delivery.hole(lost.cause, lost);
    }
    if (this.#next === this.#spmLead + 1) this.#delivery.settled(this.#spmSequence, this.#next);
  }
}

function newDelivery(options: SessionReceiverOptions, tally: SessionCounters): Delivery {
  const { resume, isForeign, join, address } = options;
  const { framing } = address;
  const deliveryOptions = {
    ...options,
    framing,
    tally,
    placesPerPacket: isForeign ? placesPerPacketOf(framing) : undefined,
    nextSequence: isForeign ? foreignNextSequence(resume) : ownNextSequence(resume, join),
    resumeSqn: resume?.nextSqn,
  };
  return framing === 'zmq'
    ? new StreamDelivery(deliveryOptions)
    : new OrderedDelivery(deliveryOptions);
}

function ownNextSequence(resume: ResumePoint | undefined, join: JoinMode): number | undefined {
  return resume?.nextSequence ?? (join === 'window' ? 1 : undefined);
}

/** Without a packet number nothing was told yet, and the session begins with what comes first. */
function foreignNextSequence(resume: ResumePoint | undefined): number | undefined {
  return resume?.nextSqn === undefined ? undefined : resume.nextSequence;
}
