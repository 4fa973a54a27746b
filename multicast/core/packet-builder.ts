// Turns messages into data packets of the native framing: many small messages share a packet, a big
// one is split over several with OPT_FRAGMENT. Writes each message once, straight to where it is
// sent and repaired from. Does not number packets on its own (publisher) nor keep them
// (transmit-window).
//
// Hot path: one append per message; no allocation but a slab of memory every few hundred packets.

import { assert, type SessionId, sessionToWords } from '#base/mod.ts';
import {
  type DataHeader,
  dataHeaderBytes,
  type Fragment,
  finishData,
  NativeBlockWriter,
  singleMessageBlockBytes,
  type TransportSession,
  wrapSqn,
} from '#multicast/wire/mod.ts';

/**
 * Memory is taken from the engine in pieces of this size and given back when its packets are gone.
 */
const SLAB_BYTES = 262_144;

/** Collects messages into one packet at a time. */
export class PacketBuilder {
  readonly #packetBytesMax: number;
  readonly #headerBytes: number;
  readonly #fragmentHeaderBytes: number;
  readonly #writer = new NativeBlockWriter();
  readonly #transport: TransportSession;
  readonly #sessionWords: { readonly high: number; readonly low: number };
  #slab = new Uint8Array(0);
  #slabUsedBytes = 0;
  #isOpen = false;
  #firstSequence = 0;

  constructor(transport: TransportSession, session: SessionId, packetBytesMax: number) {
    this.#transport = transport;
    this.#sessionWords = sessionToWords(session);
    this.#packetBytesMax = packetBytesMax;
    this.#headerBytes = dataHeaderBytes(false, transport.hasAuthentication);
    this.#fragmentHeaderBytes = dataHeaderBytes(true, transport.hasAuthentication);
  }

  /** Whether messages wait in a packet that is not taken yet. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * Whether a message of this size shares packets with others; a larger one goes through `split`.
   */
  isInline(payloadBytes: number): boolean {
    return this.#headerBytes + singleMessageBlockBytes(payloadBytes) <= this.#packetBytesMax;
  }

  /**
   * Adds a message to the open packet, opening one if needed; false if it has no room: take it
   * first.
   */
  append(payload: Uint8Array, publishedAtUs: number, sequence: number): boolean {
    if (!this.#isOpen) {
      this.#reserve();
      const start = this.#slabUsedBytes;
      this.#writer.start(this.#slab, start + this.#headerBytes, start + this.#packetBytesMax);
      this.#firstSequence = sequence;
      this.#isOpen = true;
    }
    return this.#writer.append(payload, publishedAtUs);
  }

  /** Closes the open packet as number `sqn`, or gives undefined if there is none. */
  take(sqn: number, trail: number): Uint8Array | undefined {
    if (!this.#isOpen) return undefined;
    this.#isOpen = false;
    const packet = this.#use(this.#writer.end - this.#slabUsedBytes);
    const header = this.#header(sqn, trail, this.#firstSequence);
    finishData(packet, header, packet.length - this.#headerBytes);
    return packet;
  }

  /**
   * The packets of one big message, numbered from `firstSqn`. The open packet must have been taken.
   */
  split(
    payload: Uint8Array,
    publishedAtUs: number,
    at: { readonly sequence: number; readonly firstSqn: number; readonly trail: number },
  ): Uint8Array[] {
    assert(!this.#isOpen, 'a big message starts in a packet of its own');
    const apdu = new Uint8Array(singleMessageBlockBytes(payload.length));
    this.#writer.start(apdu, 0);
    const isAppended = this.#writer.append(payload, publishedAtUs);
    assert(isAppended, 'a block of its own has room for its message');
    const apduBytes = this.#writer.end;
    const chunkBytes = this.#packetBytesMax - this.#fragmentHeaderBytes;
    const packets: Uint8Array[] = [];
    for (let start = 0; start < apduBytes; start += chunkBytes) {
      const tsdu = apdu.subarray(start, Math.min(start + chunkBytes, apduBytes));
      this.#reserve();
      const packet = this.#use(this.#fragmentHeaderBytes + tsdu.length);
      packet.set(tsdu, this.#fragmentHeaderBytes);
      const fragment = { firstSqn: wrapSqn(at.firstSqn), startBytes: start, apduBytes };
      const header = this.#header(at.firstSqn + packets.length, at.trail, at.sequence, fragment);
      finishData(packet, header, tsdu.length);
      packets.push(packet);
    }
    return packets;
  }

  #header(sqn: number, trail: number, sequence: number, fragment?: Fragment): DataHeader {
    return {
      gsiHigh: this.#transport.gsiHigh,
      gsiLow: this.#transport.gsiLow,
      tsiSport: this.#transport.tsiSport,
      dataDport: this.#transport.dataDport,
      hasAuthentication: this.#transport.hasAuthentication === true,
      sessionHigh: this.#sessionWords.high,
      sessionLow: this.#sessionWords.low,
      sequence,
      sqn: wrapSqn(sqn),
      trail: wrapSqn(trail),
      fragment,
    };
  }

  /** Makes sure that the slab has room for one packet. */
  #reserve(): void {
    if (this.#slabUsedBytes + this.#packetBytesMax <= this.#slab.length) return;
    this.#slab = new Uint8Array(Math.max(SLAB_BYTES, this.#packetBytesMax));
    this.#slabUsedBytes = 0;
  }

  /** The next `bytes` of the slab. Each packet starts aligned, for the sake of its checksum. */
  #use(bytes: number): Uint8Array {
    const packet = this.#slab.subarray(this.#slabUsedBytes, this.#slabUsedBytes + bytes);
    this.#slabUsedBytes = (this.#slabUsedBytes + bytes + 7) & ~7;
    return packet;
  }
}
