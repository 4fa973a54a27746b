// One publisher as a receiver sees it: its transport identity, where its NAKs go, when it was last
// heard, and the session it is in. Writes the packets that go back to it.

import { familyOf, hasSources, randomBelow, type SessionId, sessionToWords } from '#base/mod.ts';
import {
  CONTROL_PACKET_BYTES_MAX,
  type PacketReader,
  toNetworkAddress,
  type TransportSession,
  wrapSqn,
  writeNak,
  writeSpmr,
} from '#multicast/wire/mod.ts';
import type { AckContact } from './acknowledger.ts';
import type { Authenticator } from './authentication.ts';
import type { SessionCounters } from './counters.ts';
import { placesPerPacketOf } from './delivery.ts';
import type { Remote, Transmit } from './machine.ts';
import type { ReceiverEvent, ResumePoint } from './receiver-event.ts';
import type { LatencySnapshot } from './repair-latency.ts';
import { type Incarnation, ReuseWatch } from './reuse-watch.ts';
import { SessionReceiver, type SessionReceiverOptions } from './session-receiver.ts';

/** A session as it stands at one moment. */
export interface SessionSnapshot {
  readonly session: SessionId;
  /** 12 hex digits of GSI, a dot, the source port. */
  readonly tsi: string;
  /** The publisher's name; empty while it has told none. */
  readonly source: string;
  readonly counters: Readonly<SessionCounters>;
  readonly repairLatency: LatencySnapshot;
}

/** What a peer is made of. */
export interface PeerOptions extends Omit<SessionReceiverOptions, 'ask'> {
  readonly transport: TransportSession;
  /** Where its first packet came from: the only place to ask for an SPM before one is heard. */
  readonly remote: Remote;
  readonly nowMs: number;
  /** When a packet of the channel was last not believed; −Infinity if never. */
  readonly rejectedAtMs: number;
  readonly sourceExpiryMs: number;
  readonly authenticator?: Authenticator | undefined;
  /** Takes one NAK of what the receiver may send; false if it may not now. */
  readonly mayAsk: () => boolean;
  readonly transmit: (transmit: Transmit) => void;
}

/** A request for an SPM waits a random part of this, so that many newcomers do not ask at once. */
const SPMR_BACKOFF_MS = 250;
/**
 * Unanswered, each waits twice as long as the one before, up to this: of a publisher that is gone,
 * or was forged to have somebody else asked, few are sent.
 */
const SPMR_BACKOFF_MS_MAX = 2_000;
/** With 30 s for our publishers, 300 s for others, as OpenPGM and ZeroMQ have it. */
const FOREIGN_EXPIRY_FACTOR = 10;
/** After a FIN the publisher lingers for seconds, not for ever. */
const FIN_EXPIRY_MS_MAX = 10_000;
/** A hole given up this long after a packet was not believed is put down to that. */
const REJECTION_MEMORY_MS = 30_000;

/** One publisher of the channel. */
export class Peer {
  readonly session: SessionId;
  /** 12 hex digits of GSI, a dot, the source port. */
  readonly tsi: string;
  readonly #options: PeerOptions;
  readonly #receiver: SessionReceiver;
  readonly #sessionHigh: number;
  readonly #sessionLow: number;
  readonly #reuse: ReuseWatch | undefined;
  #heardAtMs: number;
  #nowMs: number;
  #rejectedAtMs: number;
  #spmrAtMs: number;
  #spmrBackoffMs = SPMR_BACKOFF_MS;
  #nakTo: Remote | undefined;
  #source = '';
  #isExpired = false;

  constructor(options: PeerOptions) {
    const words = sessionToWords(options.session);
    this.#options = options;
    this.session = options.session;
    this.tsi = tsiText(options.transport);
    this.#sessionHigh = words.high;
    this.#sessionLow = words.low;
    this.#heardAtMs = options.nowMs;
    this.#nowMs = options.nowMs;
    const isResumed = options.resume !== undefined;
    this.#rejectedAtMs = isResumed ? options.rejectedAtMs : Number.NEGATIVE_INFINITY;
    this.#reuse = options.isForeign ? newReuseWatch(options) : undefined;
    this.#spmrAtMs = options.nowMs + randomBelow(options.random, SPMR_BACKOFF_MS);
    this.#receiver = new SessionReceiver({
      ...options,
      emit: (event) => options.emit(this.#explained(event)),
      ask: (sqns) => this.#sendNak(sqns),
    });
  }

  /** Whether `reader` holds a packet of this TSI. */
  isSameTransport(reader: PacketReader): boolean {
    const { transport } = this.#options;
    return (
      reader.gsiLow === transport.gsiLow &&
      reader.tsiSport === transport.tsiSport &&
      reader.gsiHigh === transport.gsiHigh
    );
  }

  /** Whether the packet in `reader` belongs to the session that this TSI is in. */
  isSameSession(reader: PacketReader): boolean {
    return (
      reader.hasSession &&
      reader.sessionLow === this.#sessionLow &&
      reader.sessionHigh === this.#sessionHigh
    );
  }

  /** Whether the source is another implementation's. */
  get isForeign(): boolean {
    return this.#options.isForeign;
  }

  /** Where it hears what is archived; undefined before its first SPM, and of another's source. */
  get contact(): AckContact | undefined {
    const { transport } = this.#options;
    return this.#nakTo === undefined || this.isForeign ? undefined : { transport, to: this.#nakTo };
  }

  /** When anything was last heard of it. */
  get heardAtMs(): number {
    return this.#heardAtMs;
  }

  /** Of which incarnation of a foreign source the packet is that `reader` has read. */
  incarnationOf(reader: PacketReader, nowMs: number): Incarnation {
    return this.#reuse?.judge(reader, this.#receiver.nextSqn, nowMs) ?? 'same';
  }

  /** Ended in order, all accounted for. */
  get isFinished(): boolean {
    return this.#receiver.isFinished;
  }

  /** Nothing more is expected. */
  get isOver(): boolean {
    return this.#isExpired || this.#receiver.isFinished;
  }

  /** What was counted of the session so far; a copy. */
  snapshot(): SessionSnapshot {
    const { tally, repairLatency } = this.#receiver;
    return {
      session: this.session,
      tsi: this.tsi,
      source: this.#source,
      counters: { ...tally },
      repairLatency: repairLatency.snapshot(),
    };
  }

  /** Where to take the session up again. */
  get resumePoint(): ResumePoint | undefined {
    return this.#receiver.resumePoint;
  }

  /** A time at or before the next thing to do. */
  get nextDeadlineMs(): number {
    const spmrAtMs = this.#nakTo === undefined ? this.#spmrAtMs : Number.POSITIVE_INFINITY;
    return Math.min(this.#receiver.nextDeadlineMs, spmrAtMs, this.#expiresAtMs);
  }

  /** Takes a data packet of this peer. */
  handleData(reader: PacketReader, bytes: Uint8Array, nowMs: number): void {
    this.#heardAtMs = nowMs;
    this.#nowMs = nowMs;
    this.#receiver.handleData(reader, bytes, nowMs);
  }

  /** Takes an SPM of this peer: learns its address and its name. */
  handleSpm(reader: PacketReader, remote: Remote, nowMs: number): void {
    const { address, emit } = this.#options;
    this.#heardAtMs = nowMs;
    this.#nowMs = nowMs;
    const nla = isReachable(reader, address.group) ? reader.nlaText() : remote.address;
    const port = reader.hasPublisher && reader.nakPort !== 0 ? reader.nakPort : address.port;
    if (this.#nakTo?.address !== nla || this.#nakTo.port !== port)
      this.#nakTo = { address: nla, port };
    this.#receiver.handleSpm(reader, nowMs);
    if (this.#source === '' && reader.hasPublisher) {
      this.#source = reader.sourceName();
      if (this.#source !== '')
        emit({ kind: 'source', session: this.session, source: this.#source });
    }
  }

  /** Takes an NCF, or a NAK of another receiver, for this peer's packets. */
  handleFeedback(reader: PacketReader, nowMs: number): void {
    const before = this.#receiver.naksSuppressed;
    this.#receiver.handleFeedback(reader, nowMs);
    this.#options.counters.naksSuppressed += this.#receiver.naksSuppressed - before;
  }

  /** A packet with this peer's TSI was not believed. */
  rejected(nowMs: number): void {
    this.#rejectedAtMs = nowMs;
  }

  /** Nothing could be heard for `lateMs`: silence in that time counts against nobody. */
  overslept(lateMs: number, nowMs: number): void {
    this.#heardAtMs = Math.min(nowMs, this.#heardAtMs + lateMs);
    this.#receiver.overslept(lateMs);
  }

  /** Lets time pass. */
  handleTimeout(nowMs: number): void {
    this.#nowMs = nowMs;
    if (nowMs >= this.#expiresAtMs) this.#isExpired = true;
    if (this.#nakTo === undefined && nowMs >= this.#spmrAtMs) this.#sendSpmr(nowMs);
    this.#receiver.handleTimeout(nowMs);
  }

  /** The session is over, whatever the clock says. */
  expire(): void {
    this.#isExpired = true;
  }

  /** Gives up what is missing, since the publisher is gone. */
  abandon(): void {
    this.#receiver.abandon('source_gone');
  }

  /** Tells what is left to be told of a session that is over. */
  conclude(): void {
    this.#receiver.conclude();
  }

  /**
   * What is lost while its publisher's packets are not believed is put down to that: the publisher
   * may well have repeated it.
   */
  #explained(event: ReceiverEvent): ReceiverEvent {
    const isNoRepair =
      event.kind === 'lost' && (event.cause === 'repair_expired' || event.cause === 'source_gone');
    const isRejected = this.#nowMs - this.#rejectedAtMs < REJECTION_MEMORY_MS;
    return isNoRepair && isRejected ? { ...event, cause: 'unauthenticated' } : event;
  }

  get #expiresAtMs(): number {
    const sourceExpiryMs = expiryMsOf(this.#options);
    const expiryMs = this.#receiver.isFin
      ? Math.min(sourceExpiryMs, FIN_EXPIRY_MS_MAX)
      : sourceExpiryMs;
    return this.#heardAtMs + expiryMs;
  }

  #sendNak(sqns: readonly number[]): void {
    const { address, authenticator, counters, transmit, transport } = this.#options;
    const to = this.#nakTo;
    if (to === undefined) return;
    if (!this.#options.mayAsk()) {
      counters.naksWithheld += 1;
      return;
    }
    const into = new Uint8Array(CONTROL_PACKET_BYTES_MAX);
    const packetBytes = writeNak(into, {
      ...transport,
      nla: toNetworkAddress(to.address),
      groupNla: toNetworkAddress(address.group),
      sqns: sqns.map(wrapSqn),
      count: sqns.length,
    });
    const bytes = into.subarray(0, packetBytes);
    authenticator?.seal(bytes);
    counters.naksSent += 1;
    counters.nakSqnsSent += sqns.length;
    this.#receiver.tally.naksSent += 1;
    this.#receiver.tally.nakSqnsSent += sqns.length;
    transmit({ bytes, address: to.address, port: to.port });
    if (hasSources(address)) return;
    transmit({ bytes, address: address.group, port: address.port });
  }

  #sendSpmr(nowMs: number): void {
    const { authenticator, counters, isForeign, random, transmit, transport } = this.#options;
    const { address, remote } = this.#options;
    const into = new Uint8Array(CONTROL_PACKET_BYTES_MAX);
    const bytes = into.subarray(0, writeSpmr(into, transport));
    authenticator?.seal(bytes);
    counters.spmrsSent += 1;
    this.#spmrAtMs = nowMs + this.#spmrBackoffMs + randomBelow(random, SPMR_BACKOFF_MS);
    this.#spmrBackoffMs = Math.min(SPMR_BACKOFF_MS_MAX, 2 * this.#spmrBackoffMs);
    if (!isForeign) return transmit({ bytes, address: remote.address, port: remote.port });
    // OpenPGM sends from one port and listens on another, the group's.
    transmit({ bytes, address: remote.address, port: address.port });
    if (!hasSources(address)) transmit({ bytes, address: address.group, port: address.port });
  }
}

/**
 * How long a source may be silent: foreign ones show themselves every 30 s when they have nothing
 * to say, where ours do so every other second.
 */
export function expiryMsOf(options: {
  readonly isForeign?: boolean | undefined;
  readonly sourceExpiryMs: number;
}): number {
  const { isForeign = false, sourceExpiryMs } = options;
  return isForeign ? sourceExpiryMs * FOREIGN_EXPIRY_FACTOR : sourceExpiryMs;
}

/** A TSI for people: 12 hex digits of GSI, a dot, the source port. */
export function tsiText({
  gsiHigh,
  gsiLow,
  tsiSport,
}: Omit<TransportSession, 'dataDport'>): string {
  return `${hex(gsiHigh, 4)}${hex(gsiLow, 8)}.${tsiSport}`;
}

/**
 * A session that is gone on with was not heard for long, unless the receiver itself was away: then
 * it is an archiver's, which asks afterwards for what it took for repeated.
 */
function newReuseWatch({ address, join, resume, nowMs }: PeerOptions): ReuseWatch {
  const wasSilent = resume !== undefined && join === 'live';
  const heardAtMs = wasSilent ? Number.NEGATIVE_INFINITY : nowMs;
  return new ReuseWatch(placesPerPacketOf(address.framing), heardAtMs);
}

/**
 * Whether the path address of an SPM names a place that a socket of the group's family can reach.
 */
function isReachable(reader: PacketReader, group: string): boolean {
  const nla = reader.nlaText();
  return familyOf(nla) === familyOf(group) && nla !== '0.0.0.0' && nla !== '::';
}

function hex(word: number, digits: number): string {
  return word.toString(16).padStart(digits, '0');
}

/** 48 of the 64 bits of a TSI: enough to spread peers; the rest is compared. */
export function peerKey(reader: PacketReader): number {
  return reader.gsiLow * 65_536 + reader.tsiSport;
}
