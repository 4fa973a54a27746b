// The inhabitants of one seed: publishers with their incarnations, receivers and the recorder with
// their lives, and everything they are judged by. Knows how each dies and comes back; when, is the
// matter of swarm-faults.

import { assert, type Random, randomBelow, type SessionId } from '#base/mod.ts';
import type { PublisherCounters, ReceiverEvent, ReceiverOptions } from '#multicast/core/mod.ts';
import { Account } from './account.ts';
import { CALM_NETWORK, type FaultPlan } from './fault-plan.ts';
import { Life, type SessionFacts } from './life.ts';
import { ModelledStore } from './modelled-store.ts';
import { Observers } from './observers.ts';
import { type RecorderCounters, SimulatedRecorder } from './recorder.ts';
import { SentPackets } from './sent-packets.ts';
import type { Trace } from './trace.ts';
import { type SimulatedPublisher, type SimulatedReceiver, World } from './world.ts';

/** What is true of a session of a swarm. */
interface SwarmFacts extends SessionFacts {
  readonly counters: PublisherCounters;
}

/** A publisher's place: one incarnation after the other. */
export interface Station {
  current: SimulatedPublisher;
  /** False between a death and the next start. */
  isAlive: boolean;
}

/** A receiver's place: one life after the other, one account. */
export interface Listener {
  current: SimulatedReceiver;
  readonly account: Account;
  readonly join: 'window' | 'live';
  isAlive: boolean;
}

/** Wraps at 2^32 within the first packets. */
const FIRST_SQN_BEFORE_WRAP = 2 ** 32 - 20;
const BIG_MESSAGE_CHANCE = 0.02;
const SMALL_BYTES_MAX = 700;

/** Publishers, receivers and a recorder in one world. */
export class SwarmWorld {
  readonly world: World;
  readonly random: Random;
  readonly plan: FaultPlan;
  readonly store: ModelledStore;
  readonly stations: Station[] = [];
  readonly listeners: Listener[] = [];
  readonly facts: Map<SessionId, SwarmFacts> = new Map();
  readonly recorderCounters: RecorderCounters = { commits: 0, failures: 0, lostAnswers: 0 };
  readonly #trace: Trace;
  readonly #observers: Observers;
  #recorder: SimulatedRecorder | undefined;
  #recorderAccount: Account | undefined;

  constructor(seed: number, plan: FaultPlan, trace: Trace) {
    this.world = new World(seed, CALM_NETWORK);
    this.random = this.world.random;
    this.plan = plan;
    this.#trace = trace;
    this.store = new ModelledStore((session, sequence) => this.#payloadOf(session, sequence));
    this.#observers = new Observers((session) => this.facts.get(session));
    this.world.onSend = (bytes, { node }): void =>
      this.#observers.onSend(bytes, node, this.world.nowMs);
    this.world.onDelivery = (datagram): void => {
      trace.number(this.world.nowMs);
      trace.number(datagram.to);
      trace.bytes(datagram.bytes);
      this.#observers.onDelivery(datagram, this.world.nowMs);
    };
    this.startRecorder();
    for (let n = 0; n < plan.receiverCount; n += 1) this.addListener('window');
    for (let n = 0; n < plan.publisherCount; n += 1) {
      this.stations.push({ current: this.#newPublisher(), isAlive: true });
    }
  }

  /** The living recorder, or undefined between two lives. */
  get recorder(): SimulatedRecorder | undefined {
    return this.#recorder;
  }

  /** The account of the recorder's present life. */
  get recorderAccount(): Account | undefined {
    return this.#recorderAccount;
  }

  /** Nodes that could be put to sleep or cut off. */
  get nodes(): number[] {
    const living = [...this.stations, ...this.listeners].filter(({ isAlive }) => isAlive);
    const nodes = living.map(({ current }) => current.node);
    return this.#recorder === undefined ? nodes : [...nodes, this.#recorder.receiver.node];
  }

  /** Publishes up to `count` messages; a publisher that blocks, sleeps or is dead takes none. */
  publish({ current, isAlive }: Station, count: number): void {
    const { world, random, plan } = this;
    const facts = this.facts.get(current.session);
    if (!isAlive || !world.isUp(current.node) || facts === undefined) return;
    for (let n = 0; n < count; n += 1) {
      const isBig = random() < BIG_MESSAGE_CHANCE;
      const bytesMax = isBig ? plan.messageBytesMax : SMALL_BYTES_MAX;
      const payload = payloadOf(facts.payloads.length + 1, randomBelow(random, bytesMax + 1));
      if (current.machine.publish(payload, world.wallClockUs, world.nowMs) !== 'accepted') break;
      facts.payloads.push(payload);
    }
    world.flush(current.node);
  }

  /** The publisher dies, or ends in order. */
  endPublisher(station: Station, fate: 'crashed' | 'ended'): void {
    const facts = this.facts.get(station.current.session);
    assert(facts !== undefined, 'every session has its facts');
    facts.fate = fate;
    station.isAlive = false;
    if (fate === 'crashed') this.world.stop(station.current.node);
    else station.current.machine.close(this.world.nowMs);
    this.world.flush(station.current.node);
  }

  /** A new session at the place of the one that is over. */
  startPublisher(station: Station): void {
    station.current = this.#newPublisher();
    station.isAlive = true;
  }

  /** A receiver joins. */
  addListener(join: 'window' | 'live'): Listener {
    const name = `receiver ${this.listeners.length + 1}`;
    const account = this.#newAccount(name, join);
    const life = this.#newLife(name, account, join);
    const options = { ...this.#receiverOptions(), join };
    const current = this.world.addReceiver(options, [], (event) =>
      this.#take(life, account, event),
    );
    this.#observers.watch(current.node, life);
    const listener = { current, account, join, isAlive: true };
    this.listeners.push(listener);
    return listener;
  }

  /** The receiver dies. */
  crashListener(listener: Listener): void {
    this.world.stop(listener.current.node);
    listener.isAlive = false;
  }

  /** The receiver comes back, with what its earlier lives told. */
  restartListener(listener: Listener): void {
    const { account, join } = listener;
    const recall: ReceiverOptions['recall'] = (session) => account.recall(session);
    const options = { ...this.#receiverOptions(), join, recall };
    const life = this.#newLife(account.name, account, join);
    listener.current = this.world.addReceiver(options, account.crash(), (event) =>
      this.#take(life, account, event),
    );
    this.#observers.watch(listener.current.node, life);
    listener.isAlive = true;
  }

  /** The recorder dies: what is not committed is gone. */
  crashRecorder(): void {
    this.#recorder?.crash();
    this.#recorder = undefined;
  }

  /** The recorder comes back, with what is committed. */
  startRecorder(): void {
    const account = this.#newAccount('recorder', 'window');
    account.restore(this.store.sessions);
    this.#recorderAccount = account;
    const life = this.#newLife('recorder', account, 'window');
    this.#recorder = new SimulatedRecorder(
      {
        world: this.world,
        random: this.random,
        store: this.store,
        receiver: this.#receiverOptions(),
        onEvent: (event) => this.#take(life, account, event),
        onCommit: (batch) => this.#trace.number(batch.expectedHead),
      },
      this.plan.store,
      this.recorderCounters,
    );
    this.#observers.watch(this.#recorder.receiver.node, life);
  }

  #take(life: Life, account: Account, event: ReceiverEvent): void {
    this.#trace.text(event.kind);
    this.#trace.text(event.session);
    if (event.kind === 'messages' || event.kind === 'lost') {
      this.#trace.number(event.firstSequence);
      this.#trace.number(event.nextSqn);
    } else if (event.kind === 'lead') this.#trace.number(event.sequence);
    life.judge(event, this.world.nowMs);
    account.take(event);
  }

  #newPublisher(): SimulatedPublisher {
    const { windowPackets, windowBytes, messageBytesMax, rateBytesPerSec } = this.plan;
    const options = { windowPackets, windowBytes, messageBytesMax, rateBytesPerSec };
    const firstSqn = this.plan.on.has('wrap') ? FIRST_SQN_BEFORE_WRAP : 0;
    const publisher = this.world.addPublisher({ ...options, firstSqn });
    const { counters } = publisher.machine;
    this.facts.set(publisher.session, {
      payloads: [],
      sent: new SentPackets(),
      counters,
      fate: 'alive',
    });
    return publisher;
  }

  #receiverOptions(): Partial<ReceiverOptions> {
    const { repairTimeoutMs, sourceExpiryMs } = this.plan;
    return { repairTimeoutMs, sourceExpiryMs };
  }

  #newAccount(name: string, join: 'window' | 'live'): Account {
    return new Account({
      name,
      startsAtOne: join === 'window',
      payloadOf: (session, sequence) => this.#payloadOf(session, sequence),
    });
  }

  #newLife(name: string, account: Account, join: 'window' | 'live'): Life {
    const { repairTimeoutMs, sourceExpiryMs } = this.plan;
    const factsOf = (session: SessionId): SessionFacts | undefined => this.facts.get(session);
    const startedAtMs = this.world.nowMs;
    return new Life({ name, account, join, startedAtMs, repairTimeoutMs, sourceExpiryMs, factsOf });
  }

  #payloadOf(session: SessionId, sequence: number): Uint8Array | undefined {
    return this.facts.get(session)?.payloads[sequence - 1];
  }
}

/** Bytes that tell the number of their message. */
function payloadOf(sequence: number, payloadBytes: number): Uint8Array {
  const payload = new Uint8Array(payloadBytes);
  for (let at = 0; at < payloadBytes; at += 1) payload[at] = (sequence + at * 7) & 0xff;
  return payload;
}
