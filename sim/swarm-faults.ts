// The faults of one seed as they strike: each class that is on comes back at random distances until
// the faults stop; then everything that slept wakes, what was cut is healed, and who is dead is
// started again. Counts what really happened.

import { type Random, randomBelow } from '#base/mod.ts';
import { CALM_NETWORK, CALM_STORE, type FaultClass } from './fault-plan.ts';
import type { SwarmWorld } from './swarm-world.ts';

/** How often each class of faults really happened. */
export type FaultCounts = Record<FaultClass, number>;

const OUTAGE_MS_DRAWN_MAX = 3_000;
const BURST_MS_MAX = 200;
const RESTART_MS_MAX = 2_000;
const LISTENERS_MAX = 6;

/** Strikes one swarm. */
export class SwarmFaults {
  readonly #swarm: SwarmWorld;
  readonly #random: Random;
  readonly #counts: Partial<FaultCounts> = {};
  /** Until when, in milliseconds, datagrams from a node to another are lost. */
  readonly #cuts = new Map<string, number>();
  readonly #restarts = new Set<() => void>();
  #burstUntilMs = 0;
  #isOver = false;

  constructor(swarm: SwarmWorld) {
    this.#swarm = swarm;
    this.#random = swarm.random;
  }

  /** What happened so far; what the network and the store count themselves is read there. */
  get counts(): FaultCounts {
    const { world, recorderCounters, plan, facts, forgerCounters } = this.#swarm;
    const { duplicated, overtaken } = world.network.counters;
    const sent = (least: number): number =>
      [...facts.values()].filter(({ counters }) => counters.packetsSent > least).length;
    const one = this.#counts;
    return {
      loss: one.loss ?? 0,
      burst: one.burst ?? 0,
      duplicate: duplicated,
      reorder: plan.on.has('reorder') ? overtaken : 0,
      partition: one.partition ?? 0,
      pause: one.pause ?? 0,
      publisherCrash: one.publisherCrash ?? 0,
      publisherEnd: one.publisherEnd ?? 0,
      receiverCrash: one.receiverCrash ?? 0,
      recorderCrash: one.recorderCrash ?? 0,
      commitFailure: recorderCounters.failures,
      commitLostAnswer: recorderCounters.lostAnswers,
      commitSlow: plan.on.has('commitSlow') ? recorderCounters.commits : 0,
      lateJoin: one.lateJoin ?? 0,
      smallWindow: plan.on.has('smallWindow') ? sent(plan.windowPackets) : 0,
      wrap: plan.on.has('wrap') ? sent(20) : 0,
      paced: [...facts.values()].reduce((sum, { counters }) => sum + counters.paceCuts, 0),
      forged: Math.min(forgerCounters.forged, forgerCounters.replayed),
      otherFraming: plan.framing === 'native' ? 0 : sent(0),
    };
  }

  /** Faults from now on. */
  start(): void {
    const { world, plan } = this.#swarm;
    const { loss, ...rest } = plan.network;
    world.network.faults = { ...rest, loss: 0 };
    world.network.drops = (_, to, from) => this.#drops(loss, to, from);
    this.#repeat('burst', () => this.#burst());
    this.#repeat('partition', () => this.#cut());
    this.#repeat('pause', () => this.#pause());
    this.#repeat('publisherCrash', () => this.#endPublisher('crashed'));
    this.#repeat('publisherEnd', () => this.#endPublisher('ended'));
    this.#repeat('receiverCrash', () => this.#crashListener());
    this.#repeat('recorderCrash', () => this.#crashRecorder());
    this.#repeat('lateJoin', () => this.#join());
    this.#swarm.forger?.start(() => this.#isOver);
  }

  /** No faults from now on, and nobody stays dead. */
  stop(): void {
    const { world, recorder } = this.#swarm;
    this.#isOver = true;
    world.network.faults = CALM_NETWORK;
    world.network.drops = (): boolean => false;
    if (recorder !== undefined) recorder.faults = CALM_STORE;
    for (const restart of this.#restarts) restart();
  }

  #drops(loss: number, to: number, from: number): boolean {
    const { world } = this.#swarm;
    const isLost = this.#random() < loss;
    if (isLost) this.#count('loss');
    if (world.nowMs < this.#burstUntilMs) {
      this.#count('burst');
      return true;
    }
    if (world.nowMs < (this.#cuts.get(`${from}>${to}`) ?? 0)) {
      this.#count('partition');
      return true;
    }
    return isLost;
  }

  #repeat(name: FaultClass, strike: () => void): void {
    const { world, plan } = this.#swarm;
    if (!plan.on.has(name)) return;
    const again = (): void => {
      const inMs = this.#random() * 2 * plan.faultEveryMs;
      world.schedule(world.nowMs + inMs, () => {
        if (this.#isOver) return;
        strike();
        again();
      });
    };
    again();
  }

  #burst(): void {
    this.#burstUntilMs = this.#swarm.world.nowMs + this.#random() * BURST_MS_MAX;
  }

  #cut(): void {
    const { nodes, world } = this.#swarm;
    const from = this.#pick(nodes);
    const to = this.#pick(nodes);
    if (from === undefined || to === undefined) return;
    this.#cuts.set(`${from}>${to}`, world.nowMs + this.#random() * OUTAGE_MS_DRAWN_MAX);
  }

  #pause(): void {
    const { nodes, world } = this.#swarm;
    const node = this.#pick(nodes.filter((other) => world.isUp(other)));
    if (node === undefined) return;
    world.stop(node);
    this.#count('pause');
    this.#later(OUTAGE_MS_DRAWN_MAX, () => {
      // Whoever died in its sleep stays dead.
      if (this.#swarm.nodes.includes(node)) world.wake(node);
    });
  }

  #endPublisher(fate: 'crashed' | 'ended'): void {
    const { stations, world } = this.#swarm;
    const station = this.#pick(
      stations.filter(({ isAlive, current }) => isAlive && world.isUp(current.node)),
    );
    if (station === undefined) return;
    this.#swarm.endPublisher(station, fate);
    this.#count(fate === 'crashed' ? 'publisherCrash' : 'publisherEnd');
    this.#later(RESTART_MS_MAX, () => this.#swarm.startPublisher(station));
  }

  #crashListener(): void {
    const listener = this.#pick(this.#swarm.listeners.filter(({ isAlive }) => isAlive));
    if (listener === undefined) return;
    this.#swarm.crashListener(listener);
    this.#count('receiverCrash');
    this.#later(RESTART_MS_MAX, () => this.#swarm.restartListener(listener));
  }

  #crashRecorder(): void {
    if (this.#swarm.recorder === undefined) return;
    this.#swarm.crashRecorder();
    this.#count('recorderCrash');
    this.#later(RESTART_MS_MAX, () => {
      this.#swarm.startRecorder();
      if (this.#isOver && this.#swarm.recorder !== undefined) {
        this.#swarm.recorder.faults = CALM_STORE;
      }
    });
  }

  #join(): void {
    if (this.#swarm.listeners.length >= LISTENERS_MAX) return;
    this.#swarm.addListener(this.#random() < 0.5 ? 'live' : 'window');
    this.#count('lateJoin');
  }

  /** Does `action` within `inMsMax`, or when the faults stop. */
  #later(inMsMax: number, action: () => void): void {
    const { world } = this.#swarm;
    const once = (): void => {
      if (this.#restarts.delete(once)) action();
    };
    this.#restarts.add(once);
    world.schedule(world.nowMs + this.#random() * inMsMax, once);
  }

  #pick<Thing>(things: readonly Thing[]): Thing | undefined {
    return things[randomBelow(this.#random, things.length)];
  }

  #count(name: FaultClass): void {
    this.#counts[name] = (this.#counts[name] ?? 0) + 1;
  }
}
