// Hostile datagrams into everything that reads them: channels of each framing with their publishers
// and receivers, or a channel that requires authentication, and the readers of packets and blocks.
// What must hold is checked as they come (fuzzed-channel). Looks at no memory: the command does.

import { assert, type Framing, type Random, randomBelow, seededRandom } from '#base/mod.ts';
import { type BlockReader, newBlockReader, PacketReader } from '#multicast/wire/mod.ts';
import { type Mutation, MUTATIONS } from './fuzz-mutator.ts';
import { FuzzedChannel } from './fuzzed-channel.ts';

/** Ten thousand datagrams a second. */
const MS_PER_DATAGRAM = 0.1;
const PUBLISH_EVERY = 50;
/** The seeds' session is another then: the publisher has restarted. */
const RENEW_EVERY = 2_000;
/** Which framing the next datagram is for: half of them for ours. */
const FRAMINGS: readonly Framing[] = ['native', 'native', 'raw', 'zmq'];

/** The fuzzer of one seed. */
export class Fuzzer {
  /** Datagrams by mutation. */
  readonly mutations = new Map<Mutation, number>(MUTATIONS.map((name) => [name, 0]));
  readonly channels: readonly FuzzedChannel[];
  /** Messages in blocks that a reader took, sound or not. */
  messagesRead = 0;
  /** Datagrams so far, and how many of them were sealed with the channel's key. */
  datagrams = 0;
  genuine = 0;
  readonly #random: Random;
  readonly #packetReader = new PacketReader();
  readonly #blockReaders: ReadonlyMap<Framing, BlockReader>;
  #nowMs = 0;

  /** With `isAuthenticated` there is one channel, of ours, since only there packets are sealed. */
  constructor(seed: number, isAuthenticated = false) {
    this.#random = seededRandom(seed);
    const random = this.#random;
    const framings: Framing[] = isAuthenticated ? ['native'] : ['native', 'raw', 'zmq'];
    this.channels = framings.map(
      (framing) => new FuzzedChannel({ seed, random, framing, isAuthenticated }),
    );
    this.#blockReaders = new Map(framings.map((framing) => [framing, newBlockReader(framing)]));
  }

  /** Simulated time, in milliseconds. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** One more datagram. Throws where something breaks. */
  step(): void {
    const channel = this.#drawChannel();
    const { mutations } = channel.mutator;
    if (this.datagrams % RENEW_EVERY === 0) {
      for (const { mutator } of this.channels) mutator.renew(this.datagrams / RENEW_EVERY);
    }
    const mutation = mutations[randomBelow(this.#random, mutations.length)] ?? 'sound';
    const bytes = channel.mutator.next(mutation);
    this.mutations.set(mutation, (this.mutations.get(mutation) ?? 0) + 1);
    if (channel.mutator.isGenuine(bytes)) this.genuine += 1;
    this.datagrams += 1;
    this.#nowMs += MS_PER_DATAGRAM;
    this.#readBlock(bytes, channel.framing);
    if (this.datagrams % PUBLISH_EVERY === 0) channel.publish(bytes, this.#nowMs);
    channel.take(bytes, this.#nowMs);
  }

  /** What was sent in answer stays within its bounds. Throws where it does not. */
  checkBounds(): void {
    for (const channel of this.channels) channel.checkBounds(this.#nowMs / 1_000);
  }

  #drawChannel(): FuzzedChannel {
    const drawn = FRAMINGS[randomBelow(this.#random, FRAMINGS.length)];
    const channel = this.channels.find(({ framing }) => framing === drawn) ?? this.channels[0];
    assert(channel !== undefined, 'there is a channel');
    return channel;
  }

  #readBlock(bytes: Uint8Array, framing: Framing): void {
    const reader = this.#packetReader;
    const isRead = reader.read(bytes) === undefined;
    const isData = isRead && (reader.kind === 'odata' || reader.kind === 'rdata');
    const start = isData ? reader.payloadStart : randomBelow(this.#random, bytes.length + 1);
    const blockReader = this.#blockReaders.get(framing);
    if (blockReader?.open(bytes, start, bytes.length) !== undefined) return;
    while (blockReader?.next()) {
      const { payloadStart, payloadEnd } = blockReader;
      assert(payloadStart <= payloadEnd && payloadEnd <= bytes.length, 'a message is in its block');
      this.messagesRead += 1;
    }
  }
}
