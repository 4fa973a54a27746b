// When a publisher sends its next source path message (SPM). A receiver that has heard none cannot
// ask for repairs, and only an SPM reveals that the last packets of a burst were lost; so:
//
//   opening   three in quick succession
//   busy      one every SPM_AMBIENT_MS, however much data flows
//   quiet     after the last data soon, then at growing distances, up to HEARTBEAT_MS_MAX for ever
//   closing   like opening, with the FIN mark, then steadily for as long as the linger lasts
//
// Knows nothing of packets; only of the times at which data and SPMs left.

/**
 * Between two SPMs while data flows: a newcomer can ask for repairs after this long at the latest.
 */
export const SPM_AMBIENT_MS = 200;
/** After opening or closing: three copies, so that 5 % loss leaves one in 8,000 unheard. */
const BURST_COUNT = 3;
const BURST_DISTANCE_MS = 20;
/**
 * Distances after the last data, the first one twice: a lost tail shows after 50 ms, and after 800
 * ms if four SPMs are lost as well.
 */
const QUIET_MS: readonly number[] = [50, 100, 200, 400, 800, 1_600];
/** A quiet publisher's steady heartbeat: often enough to tell it from a dead one within seconds. */
export const HEARTBEAT_MS_MAX = 2_000;
/** Between two FIN marks while the publisher lingers. */
const FIN_DISTANCE_MS = 250;

/** The schedule of one publisher's SPMs. */
export class HeartbeatSchedule {
  #phase: 'opening' | 'open' | 'closing' = 'opening';
  #step = 0;
  #quietAtMs: number;
  #ambientAtMs = Number.POSITIVE_INFINITY;
  #sentAtMs: number;

  constructor(nowMs: number) {
    this.#quietAtMs = nowMs;
    this.#sentAtMs = nowMs;
  }

  /** When the next SPM is due. */
  get nextAtMs(): number {
    return Math.min(this.#quietAtMs, this.#ambientAtMs);
  }

  /** Whether the first FIN marks have all left: whoever closes earlier may not be heard to. */
  get hasShownEnd(): boolean {
    return this.#phase === 'closing' && this.#step >= BURST_COUNT;
  }

  /** Data has left: the quiet distances start again, and an ambient SPM becomes due. */
  dataSent(nowMs: number): void {
    if (this.#phase === 'closing') return;
    if (this.#ambientAtMs === Number.POSITIVE_INFINITY) {
      this.#ambientAtMs = this.#sentAtMs + SPM_AMBIENT_MS;
    }
    if (this.#phase === 'opening') return;
    this.#step = 0;
    this.#quietAtMs = nowMs + (QUIET_MS[0] ?? 0);
  }

  /** An SPM has left, scheduled or asked for. */
  spmSent(nowMs: number): void {
    this.#sentAtMs = nowMs;
    this.#ambientAtMs = Number.POSITIVE_INFINITY;
    this.#quietAtMs = nowMs + this.#distanceMs();
    this.#step += 1;
  }

  /** The publisher closes: FIN marks from now on. */
  close(nowMs: number): void {
    this.#phase = 'closing';
    this.#step = 0;
    this.#quietAtMs = nowMs;
    this.#ambientAtMs = Number.POSITIVE_INFINITY;
  }

  #distanceMs(): number {
    if (this.#phase === 'open') return QUIET_MS[this.#step] ?? HEARTBEAT_MS_MAX;
    if (this.#step < BURST_COUNT - 1) return BURST_DISTANCE_MS;
    if (this.#phase === 'closing') return FIN_DISTANCE_MS;
    this.#phase = 'open';
    this.#step = 0;
    return QUIET_MS[0] ?? HEARTBEAT_MS_MAX;
  }
}
