// Doubts a trail that lies further ahead than any window reaches. A receiver that was away for long
// hears such a trail from then on, in every packet; a forged packet says it once, and believed, it
// would end the session: all that its real publisher sends lies behind. So it takes several packets
// in a row. Not a defence against somebody who forges more than the publisher sends.

import { RECEIVE_WINDOW_PACKETS_MAX } from '#base/mod.ts';

/** Packets in a row that must agree. */
const AGREEING_PACKETS = 3;

/** The doubt of one session. */
export class LeapDoubt {
  #trail = 0;
  #agreeing = 0;

  /** Whether a packet with this trail is not to be believed yet; to be asked once per packet. */
  isDoubtful(trail: number, lead: number): boolean {
    if (trail - lead <= RECEIVE_WINDOW_PACKETS_MAX) {
      this.#agreeing = 0;
      return false;
    }
    const isAgreeing = Math.abs(trail - this.#trail) <= RECEIVE_WINDOW_PACKETS_MAX;
    this.#agreeing = isAgreeing ? this.#agreeing + 1 : 1;
    this.#trail = trail;
    if (this.#agreeing < AGREEING_PACKETS) return true;
    this.#agreeing = 0;
    return false;
  }
}
