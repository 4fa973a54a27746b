// The publishing half of the protocol as one machine: numbers messages, packs them, paces them,
// keeps them for repair, answers NAKs, shows its state in SPMs, and lingers after its end. Reads no
// clock and owns no socket; see machine.ts for the doors.
//
//   open       accepts messages
//   draining   close() was called; what was accepted is still being sent
//   lingering  all is sent; FIN marks go out and repairs are still answered
//   closed     nothing is held any more
//
// States and packets: RFC 3208, sections 5 (source) and 9 (SPM, NCF, repair). The window advances
// by size.

import {
  assert,
  type ChannelAddress,
  RECEIVE_WINDOW_PACKETS_MAX,
  type SessionId,
  unreachable,
} from '#base/mod.ts';
import { PacketReader, type TransportSession, wrapSqn } from '#multicast/wire/mod.ts';
import { type Authenticator, isBelieved } from './authentication.ts';
import { HeartbeatSchedule } from './heartbeat.ts';
import type { Machine, Remote, Transmit } from './machine.ts';
import { PacketBuilder } from './packet-builder.ts';
import { newPublisherCounters, type PublisherCounters } from './counters.ts';
import { ncfPacket, spmPacket } from './publisher-packets.ts';
import { NakAnswering } from './nak-answering.ts';
import type { PacePolicy } from './pace.ts';
import { wireBytesOf } from './rate-limiter.ts';
import { SendRate } from './send-rate.ts';
import { TransmitWindow } from './transmit-window.ts';
import { largestMessageBytes, smallestWindow } from './window-size.ts';

/** What a publisher is made of. */
export interface PublisherOptions {
  readonly address: ChannelAddress;
  readonly session: SessionId;
  /** Name of the publisher across restarts, as receivers show it. */
  readonly source: string;
  /** The TSI: random per incarnation. `dataDport` is the channel's. */
  readonly transport: TransportSession;
  /** Address at which receivers reach this publisher, and the UDP port where it hears NAKs. */
  readonly nla: string;
  readonly nakPort: number;
  readonly packetBytesMax: number;
  readonly messageBytesMax: number;
  readonly windowPackets: number;
  readonly windowBytes: number;
  readonly rateBytesPerSec: number;
  /** Whether the rate gives way while receivers ask for much again; constant if it is left out. */
  readonly pace?: PacePolicy;
  /** How long a packet waits for more messages to share it. */
  readonly flushMs: number;
  readonly lingerMs: number;
  /** Seals what leaves and judges what arrives; without one, nothing is sealed or judged. */
  readonly authenticator?: Authenticator | undefined;
  /** First packet number, for tests of the 32-bit wrap; 0 otherwise. */
  readonly firstSqn?: number;
}

/** Where a publisher stands at one moment. */
export interface PublisherSnapshot {
  /** What data may use now: the configured rate, or what the pace leaves of it. */
  readonly rateBytesPerSec: number;
  /** Accepted, and not sent for the first time yet. */
  readonly unsentPackets: number;
  readonly unsentBytes: number;
  /** Asked for, and not sent again yet. */
  readonly repairsWaiting: number;
}

/** What a publisher tells its owner. */
export type PublisherEvent = { readonly kind: 'writable' } | { readonly kind: 'closed' };

/** What became of a message handed to `publish`. */
export type PublishOutcome = 'accepted' | 'would_block' | 'too_large' | 'closed';

/** Between two SPMs that somebody asked for. */
const SPM_ASKED_DISTANCE_MS = 20;
/** NAKs extend the linger, but not beyond this many times its length. */
const LINGER_EXTENSIONS_MAX = 10;

/** One publisher on one channel. */
export class Publisher implements Machine {
  readonly counters: PublisherCounters = newPublisherCounters();
  readonly #options: PublisherOptions;
  readonly #window: TransmitWindow;
  readonly #builder: PacketBuilder;
  readonly #messageBytesMax: number;
  readonly #answering: NakAnswering;
  readonly #heartbeat: HeartbeatSchedule;
  readonly #rate: SendRate;
  readonly #reader = new PacketReader();
  readonly #events: PublisherEvent[] = [];
  #state: 'open' | 'draining' | 'lingering' | 'closed' = 'open';
  #nowMs: number;
  #nextSequence = 1;
  #sentLead: number;
  #sentNextSequence = 1;
  #unsentBytes = 0;
  #spmSqn = 0;
  #spmAskedAtMs = Number.POSITIVE_INFINITY;
  #spmSentAtMs = Number.NEGATIVE_INFINITY;
  #flushAtMs = Number.POSITIVE_INFINITY;
  #lingerUntilMs = Number.POSITIVE_INFINITY;
  #lingerEndMs = Number.POSITIVE_INFINITY;
  #isBlocked = false;

  constructor(options: PublisherOptions, nowMs: number) {
    const firstSqn = options.firstSqn ?? 0;
    const hasAuthentication = options.authenticator !== undefined;
    const transport = { ...options.transport, hasAuthentication };
    const smallest = smallestWindow({ ...options, hasAuthentication });
    assert(
      options.windowPackets >= smallest.packets && options.windowBytes >= smallest.bytes,
      'half the window holds the largest message',
    );
    assert(
      options.windowPackets <= RECEIVE_WINDOW_PACKETS_MAX,
      'receivers can hold all that a publisher can repair',
    );
    this.#options = { ...options, transport };
    this.#nowMs = nowMs;
    this.#window = new TransmitWindow({
      firstSqn,
      packetsMax: options.windowPackets,
      bytesMax: options.windowBytes,
    });
    this.#messageBytesMax = largestMessageBytes(options);
    this.#builder = new PacketBuilder({ ...options, transport, framing: options.address.framing });
    this.#heartbeat = new HeartbeatSchedule(nowMs);
    this.#sentLead = firstSqn - 1;
    const { counters } = this;
    this.#rate = new SendRate({ ...options, counters, sentLead: this.#sentLead }, nowMs);
    const rate = this.#rate;
    this.#answering = new NakAnswering({ ...options, window: this.#window, counters, rate });
  }

  /** The sequence that the next accepted message gets. */
  get nextSequence(): number {
    return this.#nextSequence;
  }

  /** Where this publisher stands; see the head of the file. */
  get state(): 'open' | 'draining' | 'lingering' | 'closed' {
    return this.#state;
  }

  /** Where this publisher stands now. */
  snapshot(): PublisherSnapshot {
    return {
      rateBytesPerSec: this.#rate.bytesPerSec,
      unsentPackets: this.#window.lead - this.#sentLead,
      unsentBytes: this.#unsentBytes,
      repairsWaiting: this.#answering.repairCount,
    };
  }

  /**
   * Takes a message into the stream; its bytes are copied. In the framing `zmq` they are the frames
   * of one message, and nothing else (zmqMessage). `accepted` gives it the next sequence.
   * `would_block` means that as much waits to be sent as half the window holds: a `writable` event
   * says when to try again. `publishedAtUs` is the wall clock in microseconds.
   */
  publish(payload: Uint8Array, publishedAtUs: number, nowMs: number): PublishOutcome {
    if (this.#state !== 'open') return 'closed';
    if (payload.length > this.#messageBytesMax) return 'too_large';
    this.#nowMs = nowMs;
    if (this.#isBacklogFull()) {
      this.#isBlocked = true;
      this.counters.blocked += 1;
      return 'would_block';
    }
    if (this.#builder.isInline(payload.length)) this.#appendInline(payload, publishedAtUs, nowMs);
    else this.#appendSplit(payload, publishedAtUs);
    this.#nextSequence += 1;
    this.counters.messagesAccepted += 1;
    return 'accepted';
  }

  /**
   * Ends the stream in order: sends what was accepted, marks the end, answers repairs, then closes.
   */
  close(nowMs: number): void {
    if (this.#state !== 'open') return;
    this.#nowMs = nowMs;
    this.#flush();
    this.#state = 'draining';
    this.#advanceState();
  }

  /**
   * Takes a NAK or an SPMR that is meant for this publisher; anything else is counted and dropped.
   */
  handleDatagram(bytes: Uint8Array, remote: Remote, nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    const reader = this.#reader;
    if (reader.read(bytes) !== undefined) {
      this.counters.malformed += 1;
      return;
    }
    const { transport, authenticator } = this.#options;
    if (!isSameTransport(reader, transport)) this.counters.notOurs += 1;
    else if (!isBelieved(authenticator, bytes, reader, this.counters)) return;
    else if (reader.kind === 'nak') this.#handleNak(remote);
    else if (reader.kind === 'spmr') this.#askForSpm();
  }

  /** Somebody new listens, who is shown the state soon instead of at the next heartbeat. */
  handleNewListener(nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    this.#askForSpm();
  }

  /** Lets time pass. */
  handleTimeout(nowMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, nowMs);
    if (this.#flushAtMs <= this.#nowMs) this.#flush();
    this.#answering.handleTimeout(this.#nowMs);
    this.#advanceState();
  }

  /** The next datagram that may leave now: control before repairs before data. */
  pollTransmit(): Transmit | undefined {
    if (this.#state === 'closed') return undefined;
    this.#rate.refill(this.#nowMs);
    this.#answering.adapt(this.#sentLead, this.#nowMs);
    const bytes =
      this.#pollNcf() ??
      this.#pollSpm() ??
      this.#answering.pollRepair(this.#spareRate, this.#nowMs) ??
      this.#pollData();
    if (bytes === undefined) return undefined;
    this.#options.authenticator?.seal(bytes);
    this.counters.bytesSent += bytes.length;
    return { bytes, address: this.#options.address.group, port: this.#options.address.port };
  }

  /** What the owner should know next. */
  pollEvent(): PublisherEvent | undefined {
    return this.#events.shift();
  }

  /** The earliest time at which something is due. */
  get nextDeadlineMs(): number {
    if (this.#state === 'closed') return Number.POSITIVE_INFINITY;
    let deadlineMs = Math.min(this.#heartbeat.nextAtMs, this.#flushAtMs, this.#spmAskedAtMs);
    const hasRepairs = this.#answering.repairCount > 0;
    const spare = this.#spareRate;
    if (this.#heartbeat.hasShownEnd)
      deadlineMs = Math.min(deadlineMs, hasRepairs ? this.#lingerEndMs : this.#lingerUntilMs);
    deadlineMs = Math.min(deadlineMs, this.#answering.readyAtMs(spare));
    return spare === undefined ? Math.min(deadlineMs, this.#rate.readyAtMs) : deadlineMs;
  }

  #appendInline(payload: Uint8Array, publishedAtUs: number, nowMs: number): void {
    if (!this.#builder.append(payload, publishedAtUs, this.#nextSequence)) {
      this.#flush();
      const isAppended = this.#builder.append(payload, publishedAtUs, this.#nextSequence);
      assert(isAppended, 'an inline message fits an empty packet');
    }
    if (this.#options.address.framing === 'raw') this.#flush();
    else if (this.#flushAtMs === Number.POSITIVE_INFINITY)
      this.#flushAtMs = nowMs + this.#options.flushMs;
  }

  #appendSplit(payload: Uint8Array, publishedAtUs: number): void {
    this.#flush();
    const sequence = this.#nextSequence;
    const firstSqn = this.#window.lead + 1;
    const packets = this.#builder.split(payload, publishedAtUs, {
      sequence,
      firstSqn,
      trail: this.#window.trail,
    });
    for (const [index, packet] of packets.entries()) {
      this.#push(packet, index === packets.length - 1 ? sequence + 1 : sequence);
    }
  }

  #flush(): void {
    const packet = this.#builder.take(this.#window.lead + 1, this.#window.trail);
    if (packet !== undefined) this.#push(packet, this.#nextSequence);
    this.#flushAtMs = Number.POSITIVE_INFINITY;
  }

  #push(packet: Uint8Array, nextSequence: number): void {
    this.#window.push(packet, nextSequence);
    this.#unsentBytes += packet.length;
    assert(this.#window.trail <= this.#sentLead + 1, 'a packet is sent before the window drops it');
  }

  /** Half the window may wait to be sent; the other half stays for repair. */
  #isBacklogFull(): boolean {
    return (
      (this.#window.lead - this.#sentLead) * 2 >= this.#options.windowPackets ||
      this.#unsentBytes * 2 >= this.#options.windowBytes
    );
  }

  /** What data leaves of its rate: all of it while none waits. */
  get #spareRate(): SendRate | undefined {
    return this.#sentLead === this.#window.lead ? this.#rate : undefined;
  }

  #pollNcf(): Uint8Array | undefined {
    const confirmed = this.#answering.pollConfirmed(this.#nowMs);
    if (confirmed === undefined) return undefined;
    this.counters.ncfsSent += 1;
    return ncfPacket(this.#options, confirmed, confirmed.length);
  }

  #pollSpm(): Uint8Array | undefined {
    const dueAtMs = Math.min(this.#heartbeat.nextAtMs, this.#spmAskedAtMs);
    if (dueAtMs > this.#nowMs) return undefined;
    const packet = spmPacket(this.#options, {
      spmSqn: this.#spmSqn,
      trail: this.#window.trail,
      lead: this.#sentLead,
      nextSequence: this.#sentNextSequence,
      isFin: this.#state === 'lingering',
    });
    this.#spmSqn = wrapSqn(this.#spmSqn + 1);
    this.#spmAskedAtMs = Number.POSITIVE_INFINITY;
    this.#spmSentAtMs = this.#nowMs;
    this.#heartbeat.spmSent(this.#nowMs);
    this.counters.spmsSent += 1;
    return packet;
  }

  #pollData(): Uint8Array | undefined {
    if (this.#sentLead >= this.#window.lead) return undefined;
    const packet = this.#window.get(this.#sentLead + 1);
    assert(packet !== undefined, 'an unsent packet is in the window');
    const { group } = this.#options.address;
    if (!this.#rate.take(wireBytesOf(packet, group))) return undefined;
    this.#sentLead += 1;
    this.#sentNextSequence = this.#window.nextSequenceAfter(this.#sentLead);
    this.#unsentBytes -= packet.length;
    this.#heartbeat.dataSent(this.#nowMs);
    this.counters.packetsSent += 1;
    if (this.#isBlocked && !this.#isBacklogFull()) {
      this.#isBlocked = false;
      this.#events.push({ kind: 'writable' });
    }
    this.#advanceState();
    return packet;
  }

  #handleNak(remote: Remote): void {
    const reader = this.#reader;
    const isBehind = this.#answering.handleNak(reader, remote, this.#sentLead, this.#nowMs);
    if (isBehind) this.#askForSpm();
    if (this.#state === 'lingering') {
      this.#lingerUntilMs = Math.min(this.#nowMs + this.#options.lingerMs, this.#lingerEndMs);
    }
  }

  #askForSpm(): void {
    const earliestMs = this.#spmSentAtMs + SPM_ASKED_DISTANCE_MS;
    this.#spmAskedAtMs = Math.min(this.#spmAskedAtMs, Math.max(this.#nowMs, earliestMs));
  }

  #advanceState(): void {
    switch (this.#state) {
      case 'open':
      case 'closed':
        return;
      case 'draining':
        if (this.#sentLead < this.#window.lead) return;
        this.#state = 'lingering';
        this.#heartbeat.close(this.#nowMs);
        this.#lingerUntilMs = this.#nowMs + this.#options.lingerMs;
        this.#lingerEndMs = this.#nowMs + this.#options.lingerMs * LINGER_EXTENSIONS_MAX;
        return;
      case 'lingering':
        if (this.#nowMs < this.#lingerUntilMs || !this.#heartbeat.hasShownEnd) return;
        if (this.#answering.repairCount > 0 && this.#nowMs < this.#lingerEndMs) return;
        this.#state = 'closed';
        this.#window.clear();
        this.#events.push({ kind: 'closed' });
        return;
      default:
        unreachable(this.#state);
    }
  }
}

function isSameTransport(a: TransportSession, b: TransportSession): boolean {
  return (
    a.gsiLow === b.gsiLow &&
    a.tsiSport === b.tsiSport &&
    a.gsiHigh === b.gsiHigh &&
    a.dataDport === b.dataDport
  );
}
