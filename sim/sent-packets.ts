// What the publisher of one session has put on the wire, whoever heard it: when each packet left
// for the first time, which messages it carries, and when the publisher first told that it holds it
// no more. Read from the datagrams, so that a machine is judged by what it did and not by what it
// believes.

import { countMessages, type PacketReader, unwrapSqn } from '#multicast/wire/mod.ts';

interface Sent {
  readonly atMs: number;
  /** Infinity while the window holds it. */
  leftWindowAtMs: number;
}

/** The data packets of one session, by packet number (unwrapped). */
export class SentPackets {
  readonly #sent = new Map<number, Sent>();
  readonly #sqns = new Map<number, number[]>();
  /** Big messages whose last piece was sent, and all small ones. */
  readonly #whole = new Set<number>();
  #lead: number | undefined;
  #trail: number | undefined;

  /** Takes a datagram of the publisher: data, repair or SPM. `reader` has read it from `bytes`. */
  take(reader: PacketReader, bytes: Uint8Array, nowMs: number): void {
    if (reader.kind === 'odata') this.#takeData(reader, bytes, nowMs);
    if (this.#lead === undefined) return;
    const trail = unwrapSqn(reader.trail, this.#lead);
    for (let sqn = this.#trail ?? trail; sqn < trail; sqn += 1) {
      const sent = this.#sent.get(sqn);
      if (sent !== undefined) sent.leftWindowAtMs = Math.min(sent.leftWindowAtMs, nowMs);
    }
    this.#trail = Math.max(this.#trail ?? trail, trail);
  }

  /** `sqn`, as it stands in a packet, in the numbers used here. */
  unwrap(sqn: number): number {
    return unwrapSqn(sqn, this.#lead ?? sqn);
  }

  /** When the packet was sent first; undefined if it never was. */
  sentAtMs(sqn: number): number | undefined {
    return this.#sent.get(sqn)?.atMs;
  }

  /** When the publisher first told that the packet is gone; Infinity while it has not. */
  leftWindowAtMs(sqn: number): number {
    return this.#sent.get(sqn)?.leftWindowAtMs ?? Number.POSITIVE_INFINITY;
  }

  /** The packets that carry a message; none while it is not wholly sent. */
  packetsOf(sequence: number): readonly number[] {
    return this.#whole.has(sequence) ? (this.#sqns.get(sequence) ?? []) : [];
  }

  #takeData(reader: PacketReader, bytes: Uint8Array, nowMs: number): void {
    const { sequence, payloadStart, payloadEnd } = reader;
    const sqn = unwrapSqn(reader.sqn, this.#lead ?? reader.sqn);
    this.#lead = sqn;
    this.#trail ??= unwrapSqn(reader.trail, sqn);
    this.#sent.set(sqn, { atMs: nowMs, leftWindowAtMs: Number.POSITIVE_INFINITY });
    if (reader.hasFragment) {
      const { fragmentStartBytes, apduBytes } = reader;
      this.#carry(sequence, sqn);
      const isLast = fragmentStartBytes + payloadEnd - payloadStart === apduBytes;
      if (isLast) this.#whole.add(sequence);
      return;
    }
    const count = countMessages(bytes, payloadStart, payloadEnd);
    for (let carried = sequence; carried < sequence + count; carried += 1) {
      this.#carry(carried, sqn);
      this.#whole.add(carried);
    }
  }

  #carry(sequence: number, sqn: number): void {
    const sqns = this.#sqns.get(sequence);
    if (sqns === undefined) this.#sqns.set(sequence, [sqn]);
    else sqns.push(sqn);
  }
}
