// Turns messages into data packets: small messages share a packet as far as the framing allows, a
// big one is split over several, with OPT_FRAGMENT except in the framing `zmq`, whose receivers
// know none. Writes each message once, straight to where it is sent and repaired from. Does not
// number packets on its own (publisher) nor keep them (transmit-window).
//
// Hot path: one append per message; no allocation but a slab of memory every few hundred packets.

import { assert, type Framing, type SessionId, sessionToWords } from '#base/mod.ts';
import {
  type BlockWriter,
  type DataHeader,
  dataHeaderBytes,
  type Fragment,
  finishData,
  newBlockWriter,
  singleMessageBytes,
  type TransportSession,
  wrapSqn,
  zmqSlices,
} from '#multicast/wire/mod.ts';

/** What a builder is made of. */
export interface PacketBuilderOptions {
  readonly framing: Framing;
  readonly transport: TransportSession;
  readonly session: SessionId;
  readonly packetBytesMax: number;
}

/** Where the packets of a big message begin; `firstSqn` and `trail` are unwrapped. */
export interface SplitPoint {
  readonly sequence: number;
  readonly firstSqn: number;
  readonly trail: number;
}

/**
 * Memory is taken from the engine in pieces of this size and given back when its packets are gone.
 */
const SLAB_BYTES = 262_144;

/** Collects messages into one packet at a time. */
export class PacketBuilder {
  readonly #packetBytesMax: number;
  readonly #headerBytes: number;
  readonly #fragmentHeaderBytes: number;
  readonly #framing: Framing;
  readonly #writer: BlockWriter;
  readonly #transport: TransportSession;
  readonly #sessionWords: { readonly high: number; readonly low: number };
  #slab = new Uint8Array(0);
  #slabUsedBytes = 0;
  #isOpen = false;
  #firstSequence = 0;

  constructor(options: PacketBuilderOptions) {
    const { transport } = options;
    this.#framing = options.framing;
    this.#writer = newBlockWriter(options.framing);
    this.#transport = transport;
    this.#sessionWords = sessionToWords(options.session);
    this.#packetBytesMax = options.packetBytesMax;
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
    const tsduBytes = singleMessageBytes(this.#framing, payloadBytes);
    return this.#headerBytes + tsduBytes <= this.#packetBytesMax;
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
  split(payload: Uint8Array, publishedAtUs: number, at: SplitPoint): Uint8Array[] {
    assert(!this.#isOpen, 'a big message starts in a packet of its own');
    return this.#framing === 'zmq'
      ? this.#slices(payload, at)
      : this.#fragments(this.#apdu(payload, publishedAtUs), at);
  }

  #apdu(payload: Uint8Array, publishedAtUs: number): Uint8Array {
    const apdu = new Uint8Array(singleMessageBytes(this.#framing, payload.length));
    this.#writer.start(apdu, 0);
    const isAppended = this.#writer.append(payload, publishedAtUs);
    assert(isAppended, 'a block of its own has room for its message');
    return apdu;
  }

  #fragments(apdu: Uint8Array, at: SplitPoint): Uint8Array[] {
    const apduBytes = apdu.length;
    const chunkBytes = this.#packetBytesMax - this.#fragmentHeaderBytes;
    const packets: Uint8Array[] = [];
    for (let start = 0; start < apduBytes; start += chunkBytes) {
      const tsdu = apdu.subarray(start, Math.min(start + chunkBytes, apduBytes));
      const fragment = { firstSqn: wrapSqn(at.firstSqn), startBytes: start, apduBytes };
      const header = this.#header(at.firstSqn + packets.length, at.trail, at.sequence, fragment);
      packets.push(this.#packet(header, tsdu));
    }
    return packets;
  }

  /** Behind the first slice, the next message to start is the one behind this. */
  #slices(message: Uint8Array, at: SplitPoint): Uint8Array[] {
    const slices = zmqSlices(message, this.#packetBytesMax - this.#headerBytes);
    return slices.map((tsdu, index) => {
      const sequence = index === 0 ? at.sequence : at.sequence + 1;
      return this.#packet(this.#header(at.firstSqn + index, at.trail, sequence), tsdu);
    });
  }

  #packet(header: DataHeader, tsdu: Uint8Array): Uint8Array {
    const hasFragment = header.fragment !== undefined;
    const headerBytes = hasFragment ? this.#fragmentHeaderBytes : this.#headerBytes;
    this.#reserve();
    const packet = this.#use(headerBytes + tsdu.length);
    packet.set(tsdu, headerBytes);
    finishData(packet, header, tsdu.length);
    return packet;
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
