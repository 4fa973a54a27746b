// Log lines about spools, from the numbers of the channels: that one is in use, now and then how
// much waits and for how long there is room, or when all will be archived at this rate, and that
// nothing waits any more. Knows no clock.

import type { ArchiverLog } from './archiver.ts';
import type { RecorderCounters } from './recorder-options.ts';

/** What it reads of a channel's numbers. */
type Numbers = Pick<
  RecorderCounters,
  'spooling' | 'leading' | 'spoolBytes' | 'receivedPosition' | 'archivedPosition'
>;

/** A short use, as while the database makes a checkpoint, is not worth a line. */
const FIRST_AFTER_MS = 2_000;
/** One line in so long. */
const EVERY_MS = 15_000;

interface Use {
  readonly beganAtMs: number;
  /** As they were at the last line, or at the beginning. */
  readonly numbers: Numbers;
  readonly atMs: number;
  readonly isTold: boolean;
}

/** Watches the spools of an archiver. */
export class SpoolLog {
  readonly #log: ArchiverLog;
  readonly #bytesMax: number;
  readonly #uses = new Map<string, Use>();

  /** `bytesMax`: what the spool of a channel may take. */
  constructor(log: ArchiverLog, bytesMax: number) {
    this.#log = log;
    this.#bytesMax = bytesMax;
  }

  /** Takes the numbers as they stand at `nowMs`. */
  handleCounters(channels: Readonly<Record<string, Numbers>>, nowMs: number): void {
    for (const [channel, numbers] of Object.entries(channels)) {
      if (numbers.spooling && numbers.leading) this.#spooling(channel, numbers, nowMs);
      else this.#over(channel, nowMs);
    }
  }

  #spooling(channel: string, numbers: Numbers, nowMs: number): void {
    const use = this.#uses.get(channel);
    if (use === undefined) {
      this.#uses.set(channel, { beganAtMs: nowMs, numbers, atMs: nowMs, isTold: false });
      return;
    }
    if (nowMs - use.atMs < (use.isTold ? EVERY_MS : FIRST_AFTER_MS)) return;
    this.#tell(channel, use, numbers, nowMs);
    this.#uses.set(channel, { ...use, numbers, atMs: nowMs, isTold: true });
  }

  #tell(channel: string, { numbers: before, atMs }: Use, numbers: Numbers, nowMs: number): void {
    const perSecond = (count: number): number => Math.round((count * 1_000) / (nowMs - atMs));
    const waiting = waitingIn(numbers);
    const drained = waitingIn(before) - waiting;
    const archivedPerSecond = perSecond(numbers.archivedPosition - before.archivedPosition);
    const fields = { channel, waiting, archivedPerSecond, spoolBytes: numbers.spoolBytes };
    if (drained > 0) {
      const secondsLeft = Math.round((waiting * (nowMs - atMs)) / drained / 1_000);
      this.#log.info({ ...fields, secondsLeft }, 'archiving what was spooled');
      return;
    }
    const bytesPerSecond = perSecond(numbers.spoolBytes - before.spoolBytes);
    const leftBytes = Math.max(0, this.#bytesMax - numbers.spoolBytes);
    const room = bytesPerSecond > 0 ? { secondsLeft: Math.round(leftBytes / bytesPerSecond) } : {};
    this.#log.info({ ...fields, ...room }, 'spooling');
  }

  #over(channel: string, nowMs: number): void {
    const use = this.#uses.get(channel);
    this.#uses.delete(channel);
    if (use?.isTold !== true) return;
    const seconds = Math.round((nowMs - use.beganAtMs) / 1_000);
    this.#log.info({ channel, seconds }, 'nothing waits in the spool any more');
  }
}

function waitingIn({ receivedPosition, archivedPosition }: Numbers): number {
  return receivedPosition - archivedPosition;
}
