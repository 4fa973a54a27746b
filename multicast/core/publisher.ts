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

import { assert, RECEIVE_WINDOW_PACKETS_MAX, unreachable } from '#base/mod.ts';
import { PacketReader, type TransportSession, wrapSqn } from '#multicast/wire/mod.ts';
import { ArchivedAccount, type ArchiveState } from './archived-account.ts';
import { isBelieved } from './authentication.ts';
import { HeartbeatSchedule } from './heartbeat.ts';
import type { Machine, Remote, Transmit } from './machine.ts';
import { PacketBuilder } from './packet-builder.ts';
import { newPublisherCounters, type PublisherCounters } from './counters.ts';
import type {
  PublisherEvent,
  PublisherOptions,
  PublisherSnapshot,
  PublishOutcome,
} from './publisher-options.ts';
import { ncfPacket, spmPacket } from './publisher-packets.ts';
import { NakAnswering } from './nak-answering.ts';
import { wireBytesOf } from './rate-limiter.ts';
import { SendRate } from './send-rate.ts';
import { TransmitWindow } from './transmit-window.ts';
import { largestMessageBytes, smallestWindow } from './window-size.ts';

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
  readonly #archived: ArchivedAccount;
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
    this.#archived = new ArchivedAccount(options.session, counters);
    this.#rate = new SendRate({ ...options, counters, sentLead: this.#sentLead }, nowMs);
    const rate = this.#rate;
    this.#answering = new NakAnswering({ ...options, window: this.#window, counters, rate });
  }

  /** The sequence that the next accepted message gets. */
  get nextSequence(): number {
    return this.#nextSequence;
  }

  /** Through which sequence the archive is known to have accounted for everything; 0 if not. */
  get archivedThrough(): number {
    return this.#archived.through;
  }

  /** What is known of the message `sequence` in the archive. */
  archiveStateOf(sequence: number): ArchiveState {
    return this.#archived.stateOf(sequence);
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
      unarchivedBytes: this.#archived.unarchivedBytes,
    };
  }

  /**
   * Takes a message into the stream; its bytes are copied. In the framing `zmq` they are the frames
   * of one message, and nothing else (zmqMessage). `accepted` gives it the next sequence.
   * `would_block` means that as much waits to be sent as half the window holds, or that
   * `unarchivedBytesMax` is reached: a `writable` event says when to try again. `publishedAtUs` is
   * the wall clock in microseconds.
   */
  publish(payload: Uint8Array, publishedAtUs: number, nowMs: number): PublishOutcome {
    if (this.#state !== 'open') return 'closed';
    if (payload.length > this.#messageBytesMax) return 'too_large';
    this.#nowMs = nowMs;
    if (this.#isFull()) {
      this.#isBlocked = true;
      if (this.#isBacklogFull()) this.counters.blocked += 1;
      else this.counters.blockedByArchive += 1;
      return 'would_block';
    }
    if (this.#builder.isInline(payload.length)) this.#appendInline(payload, publishedAtUs, nowMs);
    else this.#appendSplit(payload, publishedAtUs);
    this.#nextSequence += 1;
    if (this.#options.address.framing === 'raw') this.#flush();
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
   * Takes a NAK, an SPMR or an acknowledgement that is meant for this publisher; anything else is
   * counted and dropped.
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
    else if (reader.kind === 'ack') this.#handleAck();
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
    if (this.#flushAtMs === Number.POSITIVE_INFINITY)
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
    if (this.#options.unarchivedBytesMax !== undefined)
      this.#archived.push(packet.length, nextSequence - 1);
    assert(this.#window.trail <= this.#sentLead + 1, 'a packet is sent before the window drops it');
  }

  /** Half the window may wait to be sent; the other half stays for repair. */
  #isBacklogFull(): boolean {
    return (
      (this.#window.lead - this.#sentLead) * 2 >= this.#options.windowPackets ||
      this.#unsentBytes * 2 >= this.#options.windowBytes
    );
  }

  #isFull(): boolean {
    const { unarchivedBytesMax = Number.POSITIVE_INFINITY } = this.#options;
    return this.#isBacklogFull() || this.#archived.unarchivedBytes >= unarchivedBytesMax;
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
    this.#tellWritable();
    this.#advanceState();
    return packet;
  }

  #tellWritable(): void {
    if (!this.#isBlocked || this.#isFull()) return;
    this.#isBlocked = false;
    this.#events.push({ kind: 'writable' });
  }

  #handleAck(): void {
    const outcome = this.#archived.handleAck(this.#reader, this.#sentNextSequence - 1, this.#nowMs);
    const { through } = this.#archived;
    if (outcome === 'news') this.#events.push({ kind: 'archived', through });
    else if (outcome === 'back') this.#events.push({ kind: 'archive_went_back', through });
    this.#tellWritable();
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
