// Hostile datagrams into everything that reads them: a publisher that goes on publishing, receivers
// of every framing, one that requires authentication, and the readers of packets and blocks. Checks
// what must hold whatever comes: nothing throws, each session is told in order, what is sent in
// answer stays within its bounds, and where authentication is required nothing is told or sent.
// Looks at no memory; that is the command's.

import { assert, type Random, randomBelow, seededRandom, type SessionId } from '#base/mod.ts';
import type {
  Authenticator,
  Machine,
  Publisher,
  Receiver,
  ReceiverEvent,
  ReceiverOptions,
} from '#multicast/core/mod.ts';
import { authenticatorOf } from '#multicast/udp/mod.ts';
import { NativeBlockReader, PacketReader } from '#multicast/wire/mod.ts';
import { type Mutation, MUTATIONS, Mutator } from './fuzz-mutator.ts';
import { FUZZED_TRANSPORT, fuzzSeeds, type FuzzTalk } from './fuzz-seeds.ts';
import { SIMULATED_CHANNEL, World } from './world.ts';

/** Ten thousand datagrams a second. */
const MS_PER_DATAGRAM = 0.1;
const PUBLISH_EVERY = 50;
/** The seeds' session is another then: the publisher has restarted. */
const RENEW_EVERY = 2_000;
const RATE_BYTES_PER_SEC = 2_000_000;
const DEADLINES_AT_ONCE_MAX = 10_000;
/** What the asker and the answers may cost: see `checkBounds`. */
const NAKS_PER_SEC_MAX = 2_100;
const NCFS_PER_SEC_MAX = 600;
const SPMS_PER_SEC_MAX = 60;
const BURST = 1_000;
const WALL_CLOCK_US = 1_767_225_600_000_000;

/** The receivers and how they join. Only what is heard of others tells the last one anything. */
const RECEIVERS: Readonly<Record<string, Partial<ReceiverOptions>>> = {
  'receiver of the window': { join: 'window' },
  'live receiver': { join: 'live' },
  'receiver of framing raw': { address: { ...SIMULATED_CHANNEL, framing: 'raw' } },
  'receiver of framing zmq': { address: { ...SIMULATED_CHANNEL, framing: 'zmq' } },
  'receiver that requires authentication': { authenticator: newAuthenticator(1) },
};
const GUARDED = 'receiver that requires authentication';

/** The fuzzer of one seed. */
export class Fuzzer {
  /** Datagrams by mutation. */
  readonly mutations = new Map<Mutation, number>(MUTATIONS.map((name) => [name, 0]));
  readonly publisher: Publisher;
  readonly receivers: readonly Receiver[];
  /** What the receivers are, in the same order. */
  readonly receiverNames: readonly string[] = Object.keys(RECEIVERS);
  /** Messages in blocks that a reader took, sound or not. */
  messagesRead = 0;
  datagrams = 0;
  readonly #random: Random;
  readonly #mutators: readonly Mutator[];
  readonly #told: readonly Map<SessionId, number>[];
  readonly #packetReader = new PacketReader();
  readonly #blockReader = new NativeBlockReader();
  #nowMs = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    const talks: readonly FuzzTalk[] = [
      {},
      { framing: 'raw' },
      { framing: 'zmq' },
      { authenticator: newAuthenticator(2) },
    ];
    this.#mutators = talks.map((talk) => new Mutator(fuzzSeeds(seed, talk), this.#random));
    const world = new World(seed, { loss: 0, duplicate: 0, delayMsMin: 0, delayMsMax: 0 });
    const patience = { repairTimeoutMs: 1_000, sourceExpiryMs: 3_000 };
    this.receivers = Object.values(RECEIVERS).map(
      (options) => world.addReceiver({ ...patience, ...options }).machine,
    );
    this.#told = this.receivers.map(() => new Map<SessionId, number>());
    const transport = FUZZED_TRANSPORT;
    const rateBytesPerSec = RATE_BYTES_PER_SEC;
    this.publisher = world.addPublisher({ transport, rateBytesPerSec, pace: 'on' }).machine;
  }

  /** Simulated time, in milliseconds. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** One more datagram for everybody. Throws where something breaks. */
  step(): void {
    const mutation = MUTATIONS[randomBelow(this.#random, MUTATIONS.length)] ?? 'sound';
    const mutator = this.#mutators[randomBelow(this.#random, this.#mutators.length)];
    assert(mutator !== undefined, 'there is a mutator for each talk');
    const bytes = mutator.next(mutation);
    const remote = { address: SIMULATED_CHANNEL.group, port: randomBelow(this.#random, 65_536) };
    if (this.datagrams % RENEW_EVERY === 0)
      for (const each of this.#mutators) each.renew(this.datagrams / RENEW_EVERY);
    this.mutations.set(mutation, (this.mutations.get(mutation) ?? 0) + 1);
    this.datagrams += 1;
    this.#nowMs += MS_PER_DATAGRAM;
    this.#readBlock(bytes);
    if (this.datagrams % PUBLISH_EVERY === 0) {
      this.publisher.publish(bytes, WALL_CLOCK_US, this.#nowMs);
    }
    for (const machine of [this.publisher, ...this.receivers]) {
      machine.handleDatagram(bytes, remote, this.#nowMs);
      this.#drain(machine);
    }
    this.receivers.forEach((receiver, index) => this.#checkTold(receiver, index));
  }

  /** What was sent in answer stays within its bounds. Throws where it does not. */
  checkBounds(): void {
    const seconds = this.#nowMs / 1_000;
    const { ncfsSent, repairsSent, spmsSent } = this.publisher.counters;
    const within = (count: number, perSec: number): boolean => count <= BURST + perSec * seconds;
    assert(within(ncfsSent, NCFS_PER_SEC_MAX), `${ncfsSent} NCFs in ${seconds} s`);
    assert(within(spmsSent, SPMS_PER_SEC_MAX), `${spmsSent} SPMs in ${seconds} s`);
    const repairBytes = repairsSent * 64;
    assert(repairBytes <= (RATE_BYTES_PER_SEC / 4) * (seconds + 1), `${repairBytes} repair bytes`);
    for (const { counters } of this.receivers) {
      const { naksSent } = counters;
      assert(within(naksSent, NAKS_PER_SEC_MAX), `${naksSent} NAKs in ${seconds} s`);
    }
    const { counters } = this.receivers[this.receiverNames.indexOf(GUARDED)] ?? {};
    const { naksSent, spmrsSent, sessionsOpened } = counters ?? {};
    assert(naksSent === 0 && spmrsSent === 0, 'who requires authentication asks nobody');
    assert(sessionsOpened === 0, 'who requires authentication believes nobody');
  }

  #readBlock(bytes: Uint8Array): void {
    const reader = this.#packetReader;
    const isPacket = reader.read(bytes) === undefined;
    const start = isPacket ? reader.payloadStart : randomBelow(this.#random, bytes.length + 1);
    if (this.#blockReader.open(bytes, start, bytes.length) !== undefined) return;
    while (this.#blockReader.next()) {
      const { payloadStart, payloadEnd } = this.#blockReader;
      assert(payloadStart <= payloadEnd && payloadEnd <= bytes.length, 'a message is in its block');
      this.messagesRead += 1;
    }
  }

  #drain(machine: Machine): void {
    while (machine.pollTransmit() !== undefined);
    for (let steps = 0; machine.nextDeadlineMs <= this.#nowMs; steps += 1) {
      assert(steps < DEADLINES_AT_ONCE_MAX, 'handling a deadline moves it');
      machine.handleTimeout(this.#nowMs);
      while (machine.pollTransmit() !== undefined);
    }
  }

  /** Per session every sequence is told once and in order, between its opening and its end. */
  #checkTold(receiver: Receiver, index: number): void {
    const told = this.#told[index];
    for (let event = receiver.pollEvent(); event !== undefined; event = receiver.pollEvent()) {
      if (event.kind === 'opened') told?.set(event.session, 0);
      const next = told?.get(event.session);
      assert(next !== undefined, `${event.kind} of a session that is not open`);
      if (event.kind === 'closed') told?.delete(event.session);
      const [first, last] = rangeOf(event);
      if (last === 0) continue;
      assert(first <= last && (next === 0 || first === next), 'sequences are told in order');
      told?.set(event.session, last + 1);
    }
  }
}

function rangeOf(event: ReceiverEvent): [number, number] {
  if (event.kind === 'lost') return [event.firstSequence, event.lastSequence];
  if (event.kind !== 'messages') return [0, 0];
  return [event.firstSequence, event.lastSequence];
}

/** The keys of one who is no member for those with another number, under the same name. */
function newAuthenticator(number: number): Authenticator | undefined {
  const keys = [{ id: 1, secret: new Uint8Array(32).fill(number) }];
  return authenticatorOf({ ...SIMULATED_CHANNEL, authentication: 'required' }, { keys });
}
