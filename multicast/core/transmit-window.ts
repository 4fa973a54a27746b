// What a publisher can still repair: a contiguous run of its packets, trail to lead.
//
//     trail             sent lead        lead
//       v                   v              v
//   ... [p][p][p][p][p][p][p][q][q][q][q][q]
//       \---- repairable ---/\-- to send --/
//
// Bounded in packets and in bytes; a new packet pushes the oldest out. Not the queue of repairs
// (repair-scheduler) and not the pacing (rate-limiter). Packet numbers here are unwrapped: plain
// numbers that never wrap.

import { assert } from '#base/mod.ts';

/** The packets [trail, lead] of one publisher, by unwrapped packet number. */
export class TransmitWindow {
  readonly #packets: (Uint8Array | undefined)[];
  readonly #nextSequences: Float64Array;
  readonly #mask: number;
  readonly #packetsMax: number;
  readonly #bytesMax: number;
  #trail: number;
  #lead: number;
  #bytes = 0;

  constructor(options: {
    readonly firstSqn: number;
    readonly packetsMax: number;
    readonly bytesMax: number;
  }) {
    assert(options.packetsMax >= 2, 'a window holds at least two packets');
    const slots = 2 ** Math.ceil(Math.log2(options.packetsMax));
    this.#packets = Array.from<Uint8Array | undefined>({ length: slots }).fill(undefined);
    this.#nextSequences = new Float64Array(slots);
    this.#mask = slots - 1;
    this.#packetsMax = options.packetsMax;
    this.#bytesMax = options.bytesMax;
    this.#trail = options.firstSqn;
    this.#lead = options.firstSqn - 1;
  }

  /** The oldest packet still held; lead + 1 when empty. */
  get trail(): number {
    return this.#trail;
  }

  /** The newest packet; trail − 1 when empty. */
  get lead(): number {
    return this.#lead;
  }

  /** Bytes held. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Adds the packet numbered lead + 1 and drops from the trail what no longer fits. `nextSequence`
   * is the sequence of the first message that is not complete with this packet. O(1) amortised.
   */
  push(packet: Uint8Array, nextSequence: number): void {
    while (this.#trail <= this.#lead && !this.#hasRoom(packet.length)) this.#drop();
    this.#lead += 1;
    this.#packets[this.#slot(this.#lead)] = packet;
    this.#nextSequences[this.#slot(this.#lead)] = nextSequence;
    this.#bytes += packet.length;
  }

  /** The packet numbered `sqn`, or undefined outside [trail, lead]. */
  get(sqn: number): Uint8Array | undefined {
    if (sqn < this.#trail || sqn > this.#lead) return undefined;
    return this.#packets[this.#slot(sqn)];
  }

  /** What `push` was told beside the packet numbered `sqn`, which must lie in [trail, lead]. */
  nextSequenceAfter(sqn: number): number {
    assert(sqn >= this.#trail && sqn <= this.#lead, 'only a held packet has a next sequence');
    return this.#nextSequences[this.#slot(sqn)] ?? 0;
  }

  /** Forgets everything, so that a closed publisher holds no memory. */
  clear(): void {
    while (this.#trail <= this.#lead) this.#drop();
  }

  #hasRoom(packetBytes: number): boolean {
    const packets = this.#lead - this.#trail + 1;
    return packets < this.#packetsMax && this.#bytes + packetBytes <= this.#bytesMax;
  }

  #drop(): void {
    const slot = this.#slot(this.#trail);
    this.#bytes -= this.#packets[slot]?.length ?? 0;
    this.#packets[slot] = undefined;
    this.#trail += 1;
  }

  /** `&` works on the low 32 bits, also of a number beyond them. */
  #slot(sqn: number): number {
    return sqn & this.#mask;
  }
}
