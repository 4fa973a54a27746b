// One channel under hostile datagrams: a publisher that goes on publishing and two receivers.
// Checks what must hold whatever comes: each session is told in order, what is sent in answer stays
// within its bounds, and where packets are sealed, exactly those pass that are, to the last bit.

import { assert, type Framing, type Random, randomBelow, type SessionId } from '#base/mod.ts';
import type { Machine, Publisher, Receiver, ReceiverEvent, Remote } from '#multicast/core/mod.ts';
import { zmqMessage } from '#multicast/wire/mod.ts';
import { Mutator } from './fuzz-mutator.ts';
import { FUZZED_TRANSPORT, fuzzSeeds } from './fuzz-seeds.ts';
import { forgerAuthenticators, memberAuthenticator } from './member-keys.ts';
import { SIMULATED_CHANNEL, World } from './world.ts';

const RATE_BYTES_PER_SEC = 2_000_000;
const DEADLINES_AT_ONCE_MAX = 10_000;
/** What the asker and the answers may cost: see `checkBounds`. */
const NAKS_PER_SEC_MAX = 2_100;
const NCFS_PER_SEC_MAX = 600;
const SPMS_PER_SEC_MAX = 60;
const BURST = 1_000;
const WALL_CLOCK_US = 1_767_225_600_000_000;

/** A receiver under attack. */
export interface FuzzedReceiver {
  readonly name: string;
  readonly machine: Receiver;
  /** Never hears a genuine packet: for it there is nobody on the channel. */
  readonly isOutsider: boolean;
  /** The next sequence of each open session; 0 before the first. */
  readonly told: Map<SessionId, number>;
}

/** What a channel under attack is. */
export interface FuzzedChannelOptions {
  readonly seed: number;
  readonly random: Random;
  readonly framing: Framing;
  readonly isAuthenticated: boolean;
}

/** One channel and those who attack it. */
export class FuzzedChannel {
  readonly framing: Framing;
  readonly mutator: Mutator;
  readonly publisher: Publisher;
  readonly receivers: readonly FuzzedReceiver[];
  readonly #isAuthenticated: boolean;
  readonly #random: Random;

  constructor({ seed, random, framing, isAuthenticated }: FuzzedChannelOptions) {
    this.framing = framing;
    this.#isAuthenticated = isAuthenticated;
    this.#random = random;
    const authenticator = isAuthenticated ? memberAuthenticator() : undefined;
    this.mutator = newMutator(seed, framing, random, isAuthenticated);
    const world = new World(seed, { loss: 0, duplicate: 0, delayMsMin: 0, delayMsMax: 0 });
    const member = { address: { ...SIMULATED_CHANNEL, framing }, authenticator };
    const patience = { repairTimeoutMs: 1_000, sourceExpiryMs: 3_000 };
    this.receivers = (['window', 'live'] as const).map((join, index) => {
      const isOutsider = isAuthenticated && index === 1;
      const { machine } = world.addReceiver({ ...member, ...patience, join });
      const name = isOutsider ? 'receiver of forged packets' : `receiver, joining ${join}`;
      return { name, machine, isOutsider, told: new Map<SessionId, number>() };
    });
    this.publisher = world.addPublisher({
      ...member,
      transport: FUZZED_TRANSPORT,
      rateBytesPerSec: RATE_BYTES_PER_SEC,
      pace: 'on',
    }).machine;
  }

  /** Publishes something; the publisher may refuse. */
  publish(bytes: Uint8Array, nowMs: number): void {
    const message = this.framing === 'zmq' ? zmqMessage([bytes]) : bytes;
    this.publisher.publish(message, WALL_CLOCK_US, nowMs);
  }

  /** A datagram for everybody. Throws where something breaks. */
  take(bytes: Uint8Array, nowMs: number): void {
    const remote = { address: SIMULATED_CHANNEL.group, port: randomBelow(this.#random, 65_536) };
    const isGenuine = this.mutator.isGenuine(bytes);
    this.#hand(this.publisher, bytes, remote, isGenuine, nowMs);
    while (this.publisher.pollEvent() !== undefined);
    for (const receiver of this.receivers) {
      if (isGenuine && receiver.isOutsider) continue;
      this.#hand(receiver.machine, bytes, remote, isGenuine, nowMs);
      checkTold(receiver);
    }
  }

  /** What was sent in answer stays within its bounds after `seconds`. Throws where it does not. */
  checkBounds(seconds: number): void {
    const { ncfsSent, repairsSent, spmsSent } = this.publisher.counters;
    const within = (count: number, perSec: number): boolean => count <= BURST + perSec * seconds;
    assert(within(ncfsSent, NCFS_PER_SEC_MAX), `${ncfsSent} NCFs in ${seconds} s`);
    assert(within(spmsSent, SPMS_PER_SEC_MAX), `${spmsSent} SPMs in ${seconds} s`);
    const repairBytes = repairsSent * 64;
    assert(repairBytes <= (RATE_BYTES_PER_SEC / 4) * (seconds + 1), `${repairBytes} repair bytes`);
    for (const { machine, isOutsider } of this.receivers) {
      const { naksSent, spmrsSent, sessionsOpened } = machine.counters;
      assert(within(naksSent, NAKS_PER_SEC_MAX), `${naksSent} NAKs in ${seconds} s`);
      if (!isOutsider) continue;
      const said = naksSent + spmrsSent;
      assert(said === 0, `${said} packets in answer to forged ones`);
      const known = sessionsOpened + machine.rememberedCount;
      assert(known === 0, `${known} sessions opened by forged packets`);
    }
  }

  #hand(
    machine: Publisher | Receiver,
    bytes: Uint8Array,
    remote: Remote,
    isGenuine: boolean,
    nowMs: number,
  ): void {
    const refused = refusedBy(machine);
    machine.handleDatagram(bytes, remote, nowMs);
    if (this.#isAuthenticated) {
      const isRefused = refusedBy(machine) - refused === 1;
      assert(isRefused !== isGenuine, `${isGenuine ? 'a genuine' : 'no genuine'} packet passes`);
    }
    drain(machine, nowMs);
  }
}

/** In a framing of others half of the seeds are another implementation's. */
function newMutator(
  seed: number,
  framing: Framing,
  random: Random,
  isAuthenticated: boolean,
): Mutator {
  const seeds = fuzzSeeds(seed, { framing });
  if (framing !== 'native') seeds.push(...fuzzSeeds(seed, { framing, isForeign: true }));
  if (!isAuthenticated) return new Mutator({ seeds, random });
  const authenticator = memberAuthenticator();
  const sealedSeeds = fuzzSeeds(seed, { framing, authenticator });
  const forgers = forgerAuthenticators();
  return new Mutator({ seeds, sealedSeeds, authenticator, forgers, random });
}

/** Datagrams that a machine let do nothing: not packets, not of this channel, or not believed. */
function refusedBy({ counters }: Publisher | Receiver): number {
  const strangers = 'notOurs' in counters ? counters.notOurs : counters.otherChannel;
  const { unauthenticatedMissing, unauthenticatedUnknownKey, unauthenticatedWrong } = counters;
  const unbelieved = unauthenticatedMissing + unauthenticatedUnknownKey + unauthenticatedWrong;
  return counters.malformed + strangers + unbelieved;
}

function drain(machine: Machine, nowMs: number): void {
  while (machine.pollTransmit() !== undefined);
  for (let steps = 0; machine.nextDeadlineMs <= nowMs; steps += 1) {
    assert(steps < DEADLINES_AT_ONCE_MAX, 'handling a deadline moves it');
    machine.handleTimeout(nowMs);
    while (machine.pollTransmit() !== undefined);
  }
}

/** Per session every sequence is told once and in order, between its opening and its end. */
function checkTold({ machine, told }: FuzzedReceiver): void {
  for (let event = machine.pollEvent(); event !== undefined; event = machine.pollEvent()) {
    if (event.kind === 'opened') told.set(event.session, 0);
    const next = told.get(event.session);
    assert(next !== undefined, `${event.kind} of a session that is not open`);
    if (event.kind === 'closed') told.delete(event.session);
    const [first, last] = rangeOf(event);
    if (last === 0) continue;
    assert(first <= last && (next === 0 || first === next), 'sequences are told in order');
    told.set(event.session, last + 1);
  }
}

function rangeOf(event: ReceiverEvent): [number, number] {
  if (event.kind !== 'lost' && event.kind !== 'messages') return [0, 0];
  return [event.firstSequence, event.lastSequence];
}
