// One seed from beginning to end: a world with faults, in which nothing untrue may be told; then a
// world without, in which everything that lives must come to agree, a fresh message must get
// through, and after the last publisher the network must fall silent.
//
//   safety     faults strike, messages flow; every step is judged as it happens
//   liveness   no faults: all catch up with all that was published
//   ending     the publishers end in order; every session is closed; nobody says anything any more

import { assert, type LossCause, seededRandom, type SessionId } from '#base/mod.ts';
import type { Account } from './account.ts';
import { drawFaultPlan, type FaultPlan } from './fault-plan.ts';
import { type FaultCounts, SwarmFaults } from './swarm-faults.ts';
import { type Station, SwarmWorld } from './swarm-world.ts';
import { Trace } from './trace.ts';

/** What came of one seed that found nothing wrong. */
export interface SwarmResult {
  readonly seed: number;
  readonly plan: FaultPlan;
  readonly faults: FaultCounts;
  readonly simulatedMs: number;
  readonly sessions: number;
  readonly published: number;
  /** Messages and losses that receivers told, over all of them. */
  readonly delivered: number;
  readonly lost: number;
  readonly causes: ReadonlyMap<LossCause, number>;
  readonly archived: number;
  readonly packetsMissed: number;
  readonly requests: number;
  readonly suppressed: number;
  readonly datagrams: number;
  /** Equal for two runs that did the same. */
  readonly digest: string;
}

/** Two heartbeats, a restored session's expiry, a repair after its last try: all fit well in. */
const CONVERGENCE_MS_MAX = 120_000;
const SILENCE_MS = 3_600_000;
/**
 * NAK packets of one receiver in one interval of `watchNaks`, per session it follows: sixteen full
 * ones at a time, each for 20 ms at least. Many small ones stay below that, too.
 */
const NAKS_PER_SESSION_MAX = 16 * 50;
const WATCH_EVERY_MS = 1_000;

/** Runs a seed with `faultMs` milliseconds of faults. Throws at the first thing that is wrong. */
export function runSwarm(seed: number, faultMs: number): SwarmResult {
  const trace = new Trace();
  const plan = drawFaultPlan(seededRandom(seed * 2 + 1));
  const swarm = new SwarmWorld(seed, plan, trace);
  const faults = new SwarmFaults(swarm);
  const { world } = swarm;
  for (const station of swarm.stations) keepPublishing(swarm, station, faultMs);
  watchNaks(swarm, faultMs);
  faults.start();
  world.run(faultMs);
  faults.stop();
  converge(swarm, 'after the faults');
  for (const station of swarm.stations) swarm.publish(station, 1);
  world.run(world.nowMs + 100);
  for (const station of swarm.stations) swarm.publish(station, 1);
  converge(swarm, 'after a fresh message');
  for (const { account } of swarm.listeners) checkFreshness(swarm, account);
  end(swarm);
  return resultOf(seed, swarm, faults, trace);
}

function keepPublishing(swarm: SwarmWorld, station: Station, untilMs: number): void {
  const { world, random, plan } = swarm;
  const again = (): void => {
    if (world.nowMs >= untilMs) return;
    swarm.publish(station, 1 + Math.floor(random() * plan.burstMessagesMax));
    world.schedule(world.nowMs + random() * 2 * plan.publishEveryMs, again);
  };
  again();
}

/** However bad the network, nobody asks faster than the bound on unanswered requests lets it. */
function watchNaks(swarm: SwarmWorld, untilMs: number): void {
  const { world, listeners, facts } = swarm;
  const before = new Map<object, number>();
  const again = (): void => {
    for (const { current, account } of listeners) {
      const { naksSent } = current.machine.counters;
      const sent = naksSent - (before.get(current) ?? 0);
      const sentMax = NAKS_PER_SESSION_MAX * Math.max(1, account.open.size);
      assert(sent <= sentMax, `naks: ${sent} in a second for ${facts.size} sessions`);
      before.set(current, naksSent);
    }
    if (world.nowMs < untilMs) world.schedule(world.nowMs + WATCH_EVERY_MS, again);
  };
  again();
}

/** Lets the world run until all who live agree with all who live. */
function converge(swarm: SwarmWorld, when: string): void {
  const { world } = swarm;
  world.run(world.nowMs + CONVERGENCE_MS_MAX, () => findBehind(swarm) === undefined);
  const behind = findBehind(swarm);
  assert(behind === undefined, `liveness: ${when}, ${behind}`);
}

/** The first thing that is not yet as it should be. */
function findBehind(swarm: SwarmWorld): string | undefined {
  for (const { account, join } of swarm.listeners) {
    const behind = findBehindIn(swarm, account, join);
    if (behind !== undefined) return behind;
  }
  const { recorder, recorderAccount } = swarm;
  if (recorder === undefined || recorderAccount === undefined) return 'the recorder is down';
  if (!recorder.isIdle) return 'the recorder has not committed all it heard';
  return findBehindIn(swarm, recorderAccount, 'window');
}

function findBehindIn(swarm: SwarmWorld, account: Account, join: string): string | undefined {
  for (const { current } of swarm.stations) {
    const { session, machine } = current;
    const nextSequence = account.sessions.get(session)?.nextSequence;
    const isFresh = nextSequence === undefined && (join === 'live' || machine.nextSequence === 1);
    if (nextSequence !== machine.nextSequence && !isFresh) {
      return `a reader is at ${nextSequence} of ${machine.nextSequence - 1} in ${session}`;
    }
  }
  for (const session of account.open) {
    if (swarm.facts.get(session)?.fate !== 'alive') return `${session} is dead and still open`;
  }
  return undefined;
}

function checkFreshness(swarm: SwarmWorld, account: Account): void {
  for (const { current } of swarm.stations) {
    const isFresh = account.sessions.get(current.session)?.endsInMessage === true;
    assert(isFresh, `liveness: a fresh message of ${current.session} was not delivered`);
  }
}

/** Publishers end; everybody hears of it; then there is nothing left to say. */
function end(swarm: SwarmWorld): void {
  const { world } = swarm;
  const last: SessionId[] = [];
  for (const station of swarm.stations) {
    last.push(station.current.session);
    swarm.endPublisher(station, 'ended');
  }
  world.run(world.nowMs + CONVERGENCE_MS_MAX);
  const { listeners, recorderAccount, recorder, store, facts } = swarm;
  const accounts = [...listeners.map(({ account }) => account), recorderAccount];
  for (const account of accounts) {
    assert(account?.open.size === 0, 'ending: a session is still open');
    const isHeard = last.every((session) => account.closedBy(session) === 'fin');
    assert(isHeard, 'ending: an end in order was not heard as one');
  }
  assert(recorder?.isIdle === true, 'ending: the recorder has not committed all it heard');
  for (const session of last) {
    const progress = store.sessions.find((other) => other.session === session);
    const count = facts.get(session)?.payloads.length;
    const isWhole = progress?.watermark === count && progress?.state === 'closed';
    const what = `${progress?.watermark} of ${count}, ${progress?.state}`;
    assert(isWhole, `ending: the store has of ${session} ${what}`);
  }
  const { sent } = world.network.counters;
  world.run(world.nowMs + SILENCE_MS);
  assert(world.network.counters.sent === sent, 'ending: the network does not fall silent');
}

function resultOf(seed: number, swarm: SwarmWorld, faults: SwarmFaults, trace: Trace): SwarmResult {
  const { listeners, facts, store, world, plan } = swarm;
  const causes = new Map<LossCause, number>();
  const sum = { delivered: 0, lost: 0, packetsMissed: 0, requests: 0, suppressed: 0 };
  for (const { account, current } of listeners) {
    for (const { delivered, lost } of account.sessions.values()) {
      sum.delivered += delivered;
      sum.lost += lost;
    }
    for (const [cause, count] of account.causes) {
      causes.set(cause, (causes.get(cause) ?? 0) + count);
    }
    const { counters } = current.machine;
    sum.packetsMissed += counters.packetsMissed;
    sum.requests += counters.nakSqnsSent;
    sum.suppressed += counters.naksSuppressed;
  }
  const payloads = [...facts.values()].map((fact) => fact.payloads.length);
  return {
    seed,
    plan,
    faults: faults.counts,
    simulatedMs: world.nowMs,
    sessions: facts.size,
    published: payloads.reduce((one, other) => one + other, 0),
    ...sum,
    causes,
    archived: store.head,
    datagrams: world.network.counters.sent,
    digest: trace.digest,
  };
}
