// What a publisher knows of the archive: through which sequence everything is accounted for, which
// of that is lost, and how much of what it has sent is still out. Fed with acknowledgements, which
// may be lost, repeated or overtaken. Pure.
//
// An acknowledgement is a whole statement about the sequences it is exact for, so the newest one
// holds there, and earlier ones hold before. What no statement was exact for stays `unknown`.

import { type SequenceRange, type SessionId, sessionToWords } from '#base/mod.ts';
import type { PacketReader } from '#multicast/wire/mod.ts';
import type { PublisherCounters } from './counters.ts';

/** What is known of one message. */
export type ArchiveState =
  /** Nothing yet. */
  | 'pending'
  | 'archived'
  /** Declared lost by the archive. */
  | 'lost'
  /** Accounted for, and never told whether as message or as loss. */
  | 'unknown';

/** What an archive says of a session. */
export interface ArchiveStatement {
  /** Everything up to here is stored or declared lost. */
  readonly through: number;
  /** From here on what is not in `lost` is stored. */
  readonly exactFrom: number;
  readonly lost: readonly SequenceRange[];
}

/**
 * What became of an acknowledgement. `refused`: not about this session, or about what was never
 * sent. `stale`: overtaken by a newer one. `back`: the archive has less than it had.
 */
export type StatementOutcome = 'news' | 'nothing_new' | 'refused' | 'stale' | 'back';

type AckCounters = Pick<
  PublisherCounters,
  'acksReceived' | 'acksRefused' | 'acksStale' | 'archiveWentBack'
>;

/** A packet that is out, and the last sequence complete with it. */
interface Unarchived {
  readonly lastSequence: number;
  readonly packetBytes: number;
}

/** Ranges kept of each kind; what is older than they is unknown. */
const RANGES_MAX = 256;
/**
 * Neither does the network hold datagrams back for so long, nor goes an archiver that was replaced
 * on for so long: what says less all that time is true.
 */
const LESS_MS_MIN = 1_000;
const COMPACT_AT = 1_024;

/** The account of one session at its publisher. */
export class ArchivedAccount {
  readonly #session: { readonly high: number; readonly low: number };
  readonly #counters: AckCounters;
  #through = 0;
  #floor = 1;
  #lost: readonly SequenceRange[] = [];
  #unknown: readonly SequenceRange[] = [];
  #lessSinceMs = Number.NaN;
  #packets: Unarchived[] = [];
  #head = 0;
  #bytes = 0;

  constructor(session: SessionId, counters: AckCounters) {
    this.#session = sessionToWords(session);
    this.#counters = counters;
  }

  /** Everything up to here is stored or declared lost; 0 while nothing is known. */
  get through(): number {
    return this.#through;
  }

  /** Bytes of the packets that were pushed and are not accounted for. */
  get unarchivedBytes(): number {
    return this.#bytes;
  }

  /**
   * A packet was made, with which the messages up to `lastSequence` are complete. Kept until it is
   * accounted for: to be told only where something bounds that.
   */
  push(packetBytes: number, lastSequence: number): void {
    this.#packets.push({ lastSequence, packetBytes });
    this.#bytes += packetBytes;
  }

  /** What is known of the message `sequence`. */
  stateOf(sequence: number): ArchiveState {
    if (sequence > this.#through) return 'pending';
    if (sequence < this.#floor || isIn(this.#unknown, sequence)) return 'unknown';
    return isIn(this.#lost, sequence) ? 'lost' : 'archived';
  }

  /**
   * Takes the acknowledgement that `reader` has read; `sentThrough` is the last sequence that was
   * sent as a whole.
   */
  handleAck(reader: PacketReader, sentThrough: number, nowMs: number): StatementOutcome {
    const { archived, sequence: through } = reader;
    const { high, low } = this.#session;
    const isOurs = reader.sessionHigh === high && reader.sessionLow === low;
    if (archived === undefined || !isOurs || through > sentThrough) {
      this.#counters.acksRefused += 1;
      return 'refused';
    }
    const outcome = this.#take({ through, ...archived }, nowMs);
    this.#counters.acksReceived += 1;
    if (outcome === 'stale') this.#counters.acksStale += 1;
    if (outcome === 'back') this.#counters.archiveWentBack += 1;
    return outcome;
  }

  #take(statement: ArchiveStatement, nowMs: number): StatementOutcome {
    const { through, exactFrom, lost } = statement;
    const before = this.#through;
    if (through < before && !this.#isLessForLong(nowMs)) return 'stale';
    this.#lessSinceMs = Number.NaN;
    const untold = { first: Math.min(before, through) + 1, last: exactFrom - 1 };
    const unknown = below(this.#unknown, exactFrom);
    this.#unknown = this.#bounded(untold.first <= untold.last ? [...unknown, untold] : unknown);
    this.#lost = this.#bounded([...below(this.#lost, exactFrom), ...lost]);
    this.#through = through;
    this.#release();
    if (through === before) return 'nothing_new';
    return through > before ? 'news' : 'back';
  }

  /** Whether nothing but less has been said for long. */
  #isLessForLong(nowMs: number): boolean {
    if (Number.isNaN(this.#lessSinceMs)) this.#lessSinceMs = nowMs;
    return nowMs - this.#lessSinceMs >= LESS_MS_MIN;
  }

  #release(): void {
    for (;;) {
      const packet = this.#packets[this.#head];
      if (packet === undefined || packet.lastSequence > this.#through) break;
      this.#bytes -= packet.packetBytes;
      this.#head += 1;
    }
    if (this.#head < COMPACT_AT || this.#head * 2 < this.#packets.length) return;
    this.#packets = this.#packets.slice(this.#head);
    this.#head = 0;
  }

  #bounded(ranges: readonly SequenceRange[]): readonly SequenceRange[] {
    const excess = ranges.length - RANGES_MAX;
    if (excess <= 0) return ranges;
    this.#floor = Math.max(this.#floor, (ranges[excess - 1]?.last ?? 0) + 1);
    return ranges.slice(excess);
  }
}

/** What of `ranges` lies below `end`. */
function below(ranges: readonly SequenceRange[], end: number): SequenceRange[] {
  const kept = ranges.filter(({ first }) => first < end);
  return kept.map(({ first, last }) => ({ first, last: Math.min(last, end - 1) }));
}

function isIn(ranges: readonly SequenceRange[], sequence: number): boolean {
  return ranges.some(({ first, last }) => first <= sequence && sequence <= last);
}
