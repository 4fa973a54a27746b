// How many receivers miss the same packets, learnt from how soon somebody asks for them. If R
// receivers each draw a delay, the chance that one alone draws as little as the least of them is
// about 1 / R: the uniform number behind the least delay is the least of R uniform numbers u, and
//
//   −E[ln u] = 1 + 1/2 + … + 1/R ≈ ln R + 0.577 (Euler's constant)
//
// So each first request, one's own or an overheard one, is a sample, and what is smoothed is its
// logarithm. Nobody announces anything, and a packet that one receiver alone has lost counts as
// what it is. Too small an estimate costs requests that cross each other, too large a one costs
// each receiver some milliseconds; therefore the floor.

/** Assumed before anything is known: wrong by 10 ×, in either direction, it costs little. */
export const NAK_GROUP_SIZE_FIRST = 100;
/** The least that is assumed: below, delays become shorter by little and cross more often. */
export const NAK_GROUP_SIZE_MIN = 10;
/** Beyond, the delays of nearly all would be the longest. */
export const NAK_GROUP_SIZE_MAX = 10_000;

const EULER = 0.577;
/** So many samples are averaged; later ones push out earlier ones. Right within a factor of 1.5. */
const SAMPLES_MAX = 8;
/** Less tells no more: clocks and the network are not that exact. */
const CHANCE_MIN = 1e-6;

/** Learns from first requests; says for how many receivers a delay is to be drawn. */
export class GroupSize {
  #logMean = Math.log(NAK_GROUP_SIZE_FIRST) + EULER;
  #samples = 1;

  /** A first request came so early that a receiver alone had done it with this chance. */
  sample(chance: number): void {
    const log = -Math.log(Math.max(CHANCE_MIN, chance));
    this.#samples = Math.min(SAMPLES_MAX, this.#samples + 1);
    this.#logMean += (log - this.#logMean) / this.#samples;
  }

  /** Receivers that probably miss what this one misses, itself included. */
  get estimate(): number {
    const learnt = Math.exp(this.#logMean - EULER);
    return Math.min(NAK_GROUP_SIZE_MAX, Math.max(NAK_GROUP_SIZE_MIN, learnt));
  }
}
