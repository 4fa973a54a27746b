// One seed of joins: publishers that crash and restart over a bad network, a recorder that crashes
// and whose commits are slow, an archive that is away at times, and subscribers that join anywhere,
// read slowly, die and come back. Then the faults stop, and everybody must come to know everything
// that the archive has.

import { assert, type Random, randomBelow, seededRandom, type SessionId } from '#base/mod.ts';
import { CALM_NETWORK, CALM_STORE } from './fault-plan.ts';
import { type JoinCounters, Joiner, type JoinFrom } from './joiner.ts';
import { ModelledStore } from './modelled-store.ts';
import { type RecorderCounters, SimulatedRecorder } from './recorder.ts';
import { ReplayedArchive } from './replayed-archive.ts';
import { type SimulatedPublisher, World } from './world.ts';

/** What came of one seed that found nothing wrong. */
export interface JoinsResult extends JoinCounters {
  readonly joins: number;
  readonly published: number;
  readonly archiveRestarts: number;
  readonly publisherRestarts: number;
}

const LINK = { loss: 0.1, duplicate: 0.05, delayMsMin: 0.1, delayMsMax: 8 };
const PAYLOAD_BYTES_MAX = 400;
const BURST_MESSAGES_MAX = 12;
const PUBLISH_EVERY_MS = 40;
const ALIVE_MAX = 6;
const CONVERGENCE_MS_MAX = 120_000;
/** Of a publisher that fell silent for good: the recorder gives it up, and then it is settled. */
const SOURCE_EXPIRY_MS = 3_000;
const RECEIVER = { repairTimeoutMs: 2_000, sourceExpiryMs: SOURCE_EXPIRY_MS };

interface Station {
  publisher: SimulatedPublisher;
  readonly windowPackets: number;
}

class JoinsWorld {
  readonly world: World;
  readonly random: Random;
  readonly archive: ReplayedArchive;
  readonly joiners: Joiner[] = [];
  readonly counters: JoinCounters = {
    told: 0,
    replayed: 0,
    lost: 0,
    restarts: 0,
    stalls: 0,
    fallbacks: 0,
    fetches: 0,
    failures: 0,
  };
  joins = 0;
  archiveRestarts = 0;
  publisherRestarts = 0;
  readonly #payloads = new Map<SessionId, Uint8Array[]>();
  readonly #store: ModelledStore;
  readonly #stations: Station[] = [];
  readonly #recorderCounters: RecorderCounters = { commits: 0, failures: 0, lostAnswers: 0 };
  #recorder: SimulatedRecorder | undefined;
  #awayUntilMs = 0;

  constructor(seed: number) {
    this.world = new World(seed, LINK);
    this.random = seededRandom(seed * 2 + 1);
    const payloadOf = (session: SessionId, sequence: number): Uint8Array | undefined =>
      this.#payloads.get(session)?.[sequence - 1];
    this.archive = new ReplayedArchive(payloadOf);
    this.#store = new ModelledStore(payloadOf, (batch) => this.archive.store(batch));
    this.startRecorder();
    const windowPackets = this.random() < 0.5 ? 32 : 4_096;
    for (let n = 0; n <= randomBelow(this.random, 3); n += 1)
      this.#stations.push({ publisher: this.#newPublisher(windowPackets), windowPackets });
  }

  get published(): number {
    return [...this.#payloads.values()].reduce((sum, { length }) => sum + length, 0);
  }

  get sessions(): ReadonlyMap<SessionId, readonly Uint8Array[]> {
    return this.#payloads;
  }

  get isRecorderIdle(): boolean {
    return this.#recorder?.isIdle === true;
  }

  isAlive(session: SessionId): boolean {
    return this.#stations.some(({ publisher }) => publisher.session === session);
  }

  publish(): void {
    for (const { publisher } of this.#stations) {
      const payloads = this.#payloads.get(publisher.session) ?? [];
      const count = this.random() < 0.3 ? 1 + randomBelow(this.random, BURST_MESSAGES_MAX) : 1;
      for (let n = 0; n < count; n += 1) {
        const payload = new Uint8Array(randomBelow(this.random, PAYLOAD_BYTES_MAX)).fill(n + count);
        const { world } = this;
        if (publisher.machine.publish(payload, world.wallClockUs, world.nowMs) !== 'accepted')
          break;
        payloads.push(payload);
      }
      this.world.flush(publisher.node);
    }
  }

  restartPublisher(): void {
    const station = this.#stations[randomBelow(this.random, this.#stations.length)];
    if (station === undefined) return;
    this.publisherRestarts += 1;
    const { machine, node } = station.publisher;
    if (this.random() < 0.5) this.world.stop(node);
    else machine.close(this.world.nowMs);
    this.world.flush(node);
    station.publisher = this.#newPublisher(station.windowPackets);
  }

  startRecorder(isCalm = false): void {
    const { world, random } = this;
    const isSlow = random() < 0.3;
    const faults = { failure: 0.1, lostAnswer: 0.1, commitMsMax: isSlow ? 2_000 : 30 };
    if (this.#recorder !== undefined) {
      this.#recorder.faults = isCalm ? CALM_STORE : faults;
      return;
    }
    const told = { onEvent: () => undefined, onCommit: () => undefined };
    const given = {
      world,
      random,
      store: this.#store,
      framing: 'native',
      receiver: RECEIVER,
    } as const;
    this.#recorder = new SimulatedRecorder(
      { ...given, ...told },
      isCalm ? CALM_STORE : faults,
      this.#recorderCounters,
    );
  }

  crashRecorder(): void {
    this.archiveRestarts += 1;
    this.#recorder?.crash();
    this.#recorder = undefined;
  }

  /** The archive answers nobody, sometimes for longer than anybody waits. */
  loseArchive(): void {
    const ms = this.random() < 0.1 ? 8_000 : 1_500 * this.random();
    this.#awayUntilMs = this.world.nowMs + ms;
  }

  returnArchive(): void {
    this.#awayUntilMs = 0;
  }

  join(): void {
    const { world, random, archive } = this;
    if (this.joiners.length >= ALIVE_MAX) this.joiners.shift()?.leave();
    this.joins += 1;
    const froms: JoinFrom[] = ['start', 'live', randomBelow(random, archive.head + 1)];
    const from = froms[randomBelow(random, froms.length)] ?? 'live';
    const joiner = new Joiner(
      {
        world,
        random,
        archive,
        from,
        payloadOf: (session, sequence) => this.#payloads.get(session)?.[sequence - 1],
        isArchiveUp: () => world.nowMs >= this.#awayUntilMs,
      },
      this.counters,
    );
    this.joiners.push(joiner);
  }

  disturb(): void {
    const joiner = this.joiners[randomBelow(this.random, this.joiners.length)];
    if (this.random() < 0.5) joiner?.restart();
    else joiner?.pause(this.random() * 2_000);
  }

  #newPublisher(windowPackets: number): SimulatedPublisher {
    const publisher = this.world.addPublisher({ windowPackets, messageBytesMax: 1_000 });
    this.#payloads.set(publisher.session, []);
    return publisher;
  }
}

/** Runs a seed with `joins` subscribers. Throws at the first thing that is wrong. */
export function runJoins(seed: number, joins: number): JoinsResult {
  const joined = new JoinsWorld(seed);
  const { world, random } = joined;
  const areFaultsOver = (): boolean => joined.joins >= joins;
  const repeat = (everyMs: number, action: () => void): void => {
    world.schedule(world.nowMs + random() * 2 * everyMs, () => {
      if (areFaultsOver()) return;
      action();
      repeat(everyMs, action);
    });
  };
  repeat(PUBLISH_EVERY_MS, () => joined.publish());
  repeat(150, () => joined.join());
  repeat(400, () => joined.disturb());
  repeat(2_500, () => joined.restartPublisher());
  repeat(3_000, () => joined.loseArchive());
  repeat(2_500, () => {
    joined.crashRecorder();
    // Sometimes nothing is archived for longer than anybody waits.
    const downMs = random() < 0.2 ? 8_000 : 1_500 * random();
    world.schedule(world.nowMs + downMs, () => joined.startRecorder());
  });
  world.run(Number.MAX_SAFE_INTEGER, areFaultsOver);
  settle(joined);
  const { counters, archiveRestarts, publisherRestarts, published } = joined;
  return { ...counters, joins: joined.joins, archiveRestarts, publisherRestarts, published };
}

function settle(joined: JoinsWorld): void {
  const { world } = joined;
  world.run(world.nowMs + 2_000);
  world.network.faults = CALM_NETWORK;
  joined.startRecorder(true);
  joined.returnArchive();
  for (const round of ['after the faults', 'after a fresh message']) {
    joined.publish();
    const endMs = world.nowMs + CONVERGENCE_MS_MAX;
    world.run(endMs, () => world.nowMs % 50 < 5 && findBehind(joined) === undefined);
    const behind = findBehind(joined);
    assert(behind === undefined, `joins: ${round}, ${behind}`);
  }
  for (const joiner of joined.joiners) joiner.leave();
}

/** Who does not know yet what it should. */
function findBehind(joined: JoinsWorld): string | undefined {
  if (!joined.isRecorderIdle) return 'the recorder has not committed all it heard';
  for (const [session, payloads] of joined.sessions) {
    const watermark = joined.archive.progressOf(session)?.watermark ?? 0;
    const wanted = joined.isAlive(session) ? payloads.length : watermark;
    if (watermark < wanted) return `the archive has ${watermark} of ${wanted} of ${session}`;
    for (const [index, joiner] of joined.joiners.entries()) {
      const next = joiner.nextOf(session) ?? (joiner.wantsAll ? 1 : undefined);
      if (next === undefined && !joined.isAlive(session)) continue;
      if (!joiner.isLive) return `joiner ${index} is ${joiner.state}`;
      if ((next ?? 1) <= wanted)
        return `joiner ${index} has ${session} before ${next} of ${wanted}`;
    }
  }
  return undefined;
}
