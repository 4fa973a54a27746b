// One seeded world in which a recorder acknowledges what it has committed, over a network that
// loses, repeats and reorders, while recorders crash and commits fail. Whatever a publisher
// believes of the archive has to be true there; and when the faults stop, it has to know all.

import { assert, type SessionId } from '#base/mod.ts';
import { PacketReader } from '#multicast/wire/mod.ts';
import { memberAuthenticator, SIGNED_CHANNEL } from './member-keys.ts';
import { ModelledStore } from './modelled-store.ts';
import { type RecorderCounters, type RecorderOptions, SimulatedRecorder } from './recorder.ts';
import { SwarmForger } from './swarm-forger.ts';
import { SIMULATED_CHANNEL, type SimulatedPublisher, World } from './world.ts';

/** What the publishers of a world learned. */
export interface DurableResult {
  readonly archived: number;
  readonly lost: number;
  /** Accounted for, and nobody said how: with the archiver away, more was lost than is told. */
  readonly unknown: number;
  /** What forgers said, where packets are signed. */
  readonly forged: number;
}

const FAULT_MS = 4_000;
const CALM = { loss: 0, duplicate: 0, delayMsMin: 0.1, delayMsMax: 0.3 };
const CALM_STORE = { failure: 0, lostAnswer: 0, commitMsMax: 1 };
const LINK = { loss: 0.15, duplicate: 0.1, delayMsMin: 0.1, delayMsMax: 8 };
const STORE = { failure: 0.2, lostAnswer: 0.2, commitMsMax: 10 };
/** Longer than the longest distance between two acknowledgements that say the same. */
const CONVERGENCE_MS = 60_000;
/** So few packets that a recorder which is down for long loses some of them. */
const WINDOW_PACKETS = 24;
const PUBLISHERS = 2;
const LIFE_MS_MAX = 900;
const DOWN_MS_MAX = 400;
const PUBLISH_EVERY_MS = 12;
const PAYLOAD_BYTES = 900;

/** What one publisher was found to know so far. */
interface Judged {
  through: number;
  archived: number;
  lost: number;
  unknown: number;
}

class DurableWorld {
  readonly world: World;
  readonly forger: SwarmForger | undefined;
  readonly publishers: SimulatedPublisher[] = [];
  readonly judged = new Map<SessionId, Judged>();
  readonly #store: ModelledStore;
  readonly #payloads = new Map<SessionId, Uint8Array[]>();
  readonly #options: Omit<RecorderOptions, 'world' | 'random' | 'store'>;
  readonly #counters: RecorderCounters = { commits: 0, failures: 0, lostAnswers: 0 };
  #recorder: SimulatedRecorder | undefined;

  constructor(seed: number) {
    this.world = new World(seed, LINK);
    this.#store = new ModelledStore((session, sequence) => {
      return this.#payloads.get(session)?.[sequence - 1];
    });
    const isSigned = seed % 2 === 1;
    const member = isSigned
      ? { address: SIGNED_CHANNEL, authenticator: memberAuthenticator() }
      : { address: SIMULATED_CHANNEL };
    this.forger = isSigned ? new SwarmForger(this.world, this.world.random) : undefined;
    const reader = new PacketReader();
    this.world.onSend = (bytes): void => {
      if (reader.read(bytes) === undefined && reader.kind === 'ack') this.forger?.overhear(bytes);
    };
    this.#options = {
      framing: 'native',
      acknowledges: true,
      receiver: member,
      onEvent: () => undefined,
      onCommit: () => undefined,
    };
    for (let n = 0; n < PUBLISHERS; n += 1) {
      const sizes = { windowPackets: WINDOW_PACKETS, messageBytesMax: PAYLOAD_BYTES };
      const publisher = this.world.addPublisher({ ...member, ...sizes });
      this.publishers.push(publisher);
      this.#payloads.set(publisher.session, []);
      this.judged.set(publisher.session, { through: 0, archived: 0, lost: 0, unknown: 0 });
    }
  }

  start(faults = STORE): void {
    const { world } = this;
    const given = { ...this.#options, world, random: world.random, store: this.#store };
    this.#recorder ??= new SimulatedRecorder(given, faults, this.#counters);
    this.#recorder.faults = faults;
  }

  crash(): void {
    this.#recorder?.crash();
    this.#recorder = undefined;
  }

  publish({ machine, session, node }: SimulatedPublisher): void {
    const { world } = this;
    const payload = new Uint8Array(PAYLOAD_BYTES).fill(machine.nextSequence);
    if (machine.publish(payload, world.wallClockUs, world.nowMs) !== 'accepted') return;
    this.#payloads.get(session)?.push(payload);
    world.flush(node);
  }

  /** What is believed of each message since the last time is how it is stored. */
  judge({ machine, session }: SimulatedPublisher): void {
    const judged = this.judged.get(session);
    assert(judged !== undefined, 'every publisher is judged');
    for (let sequence = judged.through + 1; sequence <= machine.archivedThrough; sequence += 1) {
      const believed = machine.archiveStateOf(sequence);
      const stored = this.#store.stateOf(session, sequence);
      const isTrue = believed === stored || (believed === 'unknown' && stored !== 'pending');
      assert(isTrue, `durable: ${session} believes ${sequence} ${believed}, it is ${stored}`);
      assert(believed !== 'pending', 'durable: what is acknowledged is not pending');
      judged[believed] += 1;
    }
    judged.through = Math.max(judged.through, machine.archivedThrough);
  }
}

/** Lives through one seed. Throws, naming the message, at the first belief that is not true. */
export function runDurable(seed: number): DurableResult {
  const durable = new DurableWorld(seed);
  const { world, publishers, forger } = durable;
  durable.start();
  forger?.start(() => world.nowMs >= FAULT_MS);
  repeat(world, LIFE_MS_MAX, () => {
    durable.crash();
    world.schedule(world.nowMs + world.random() * DOWN_MS_MAX, () => durable.start());
  });
  for (const publisher of publishers) {
    repeat(world, PUBLISH_EVERY_MS, () => {
      durable.publish(publisher);
      durable.judge(publisher);
    });
  }
  world.run(FAULT_MS + DOWN_MS_MAX);
  world.network.faults = CALM;
  durable.start(CALM_STORE);
  world.run(world.nowMs + CONVERGENCE_MS);
  const sum = { archived: 0, lost: 0, unknown: 0, forged: forger?.counters.forged ?? 0 };
  for (const publisher of publishers) {
    durable.judge(publisher);
    const judged = durable.judged.get(publisher.session);
    const published = publisher.machine.nextSequence - 1;
    const what = `${judged?.through} of ${published} are acknowledged`;
    assert(judged?.through === published, `durable: ${what}`);
    for (const state of ['archived', 'lost', 'unknown'] as const) sum[state] += judged[state];
  }
  return sum;
}

/** Does `action` at random times, `everyMsMax` apart at most, while there are faults. */
function repeat(world: World, everyMsMax: number, action: () => void): void {
  world.schedule(world.nowMs + world.random() * everyMsMax, () => {
    if (world.nowMs >= FAULT_MS) return;
    action();
    repeat(world, everyMsMax, action);
  });
}
