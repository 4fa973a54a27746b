// The sound datagrams that the fuzzer starts from: what a real publisher and a real receiver say to
// each other over a lossy network, so that every kind occurs, with its options.

import { assert, type Framing, isSessionId } from '#base/mod.ts';
import type { Authenticator, ReceiverOptions } from '#multicast/core/mod.ts';
import { PacketReader, type TransportSession, zmqMessage } from '#multicast/wire/mod.ts';
import { SIMULATED_CHANNEL, World } from './world.ts';

/** The publisher whose packets these are. */
export const FUZZED_TRANSPORT: TransportSession = {
  gsiHigh: 0x0a0b,
  gsiLow: 0x0c0d_0e0f,
  tsiSport: 0x1111,
  dataDport: SIMULATED_CHANNEL.dport,
};

/** The source of another implementation. */
export const FOREIGN_TRANSPORT: TransportSession = {
  ...FUZZED_TRANSPORT,
  gsiHigh: 0xf1f2,
  gsiLow: 0xf3f4_f5f6,
};

/** The session of all of them, also as a piece of their bytes. */
export const FUZZED_SESSION = '0123456789abcdef';

/** Of which channel the datagrams are, and from whom. */
export interface FuzzedTalk {
  readonly framing: Framing;
  /** The publisher is another implementation's: its packets have no options of ours. */
  readonly isForeign?: boolean;
  readonly authenticator?: Authenticator | undefined;
}

/** Enough that everything is said: SPM, data, fragments, repairs, NAKs, NCFs, ACKs, FIN. */
const TALK_MS = 3_000;
const PER_KIND_MAX = 40;
/** Few, since a session that ended lets nothing more in. */
const FINS_MAX = 2;

/** Sound datagrams of every kind, at most `PER_KIND_MAX` of each; the same for the same seed. */
export function fuzzSeeds(seed: number, talk: FuzzedTalk = { framing: 'native' }): Uint8Array[] {
  const world = new World(seed, { loss: 0.1, duplicate: 0, delayMsMin: 0.1, delayMsMax: 1 });
  const seeds = collectedSeeds(world);
  const { framing, isForeign = false, authenticator } = talk;
  const member = { address: { ...SIMULATED_CHANNEL, framing }, authenticator };
  for (const join of ['window', 'live'] as const) world.addReceiver({ ...member, join });
  if (framing === 'native') addAcknowledger(world, member);
  const { node: deaf } = world.addReceiver(member);
  const reader = new PacketReader();
  world.network.drops = (bytes, to) =>
    to === deaf && reader.read(bytes) === undefined && reader.kind === 'spm';
  assert(isSessionId(FUZZED_SESSION), 'the session of the seeds is one');
  const { machine, node } = world.addPublisher({
    ...member,
    session: FUZZED_SESSION,
    transport: isForeign ? FOREIGN_TRANSPORT : FUZZED_TRANSPORT,
    rateBytesPerSec: 1_000_000,
  });
  if (isForeign) world.foreignNodes.add(node);
  for (let n = 0; world.nowMs < TALK_MS; n += 1) {
    const payload = new Uint8Array(n % 20 === 0 ? 5_000 : n % 300);
    const message = framing === 'zmq' ? zmqMessage([payload]) : payload;
    machine.publish(message, world.wallClockUs, world.nowMs);
    world.run(world.nowMs + 5);
  }
  machine.close(world.nowMs);
  world.addReceiver({ ...member, join: 'live' });
  world.run(world.nowMs + TALK_MS);
  return seeds;
}

/** A receiver that calls archived what it hears, but for the last message each time. */
function addAcknowledger(world: World, member: Partial<ReceiverOptions>): void {
  const { machine } = world.addReceiver({ ...member, acknowledges: true }, [], (event) => {
    if (event.kind !== 'messages') return;
    const { session, lastSequence: through, nextSqn } = event;
    const lost = [{ first: through, last: through }];
    machine.acknowledge(session, { through, exactFrom: 1, lost, nextSqn }, world.nowMs);
  });
}

/** What is delivered in `world` from now on, a bounded number of each kind. */
function collectedSeeds(world: World): Uint8Array[] {
  const counts = new Map<string, number>();
  const seeds: Uint8Array[] = [];
  const reader = new PacketReader();
  world.onDelivery = ({ bytes }) => {
    if (reader.read(bytes) !== undefined) return;
    const kind = `${reader.kind} ${reader.hasFragment} ${reader.isFin} ${reader.sqnCount > 1}`;
    const count = counts.get(kind) ?? 0;
    counts.set(kind, count + 1);
    if (count < (reader.isFin ? FINS_MAX : PER_KIND_MAX)) seeds.push(bytes.slice());
  };
  return seeds;
}
