// The sound datagrams that the fuzzer starts from: what a real publisher and a real receiver say to
// each other over a lossy network, so that every kind occurs, with its options.

import { assert, type Framing, isSessionId } from '#base/mod.ts';
import type { Authenticator } from '#multicast/core/mod.ts';
import { PacketReader, type TransportSession, zmqMessage } from '#multicast/wire/mod.ts';
import { SIMULATED_CHANNEL, World } from './world.ts';

/** The publisher whose packets these are. */
export const FUZZED_TRANSPORT: TransportSession = {
  gsiHigh: 0x0a0b,
  gsiLow: 0x0c0d_0e0f,
  tsiSport: 0x1111,
  dataDport: SIMULATED_CHANNEL.dport,
};

/** The session of all of them, also as a piece of their bytes. */
export const FUZZED_SESSION = '0123456789abcdef';

/** Enough of a talk that everything is said: SPM, data, fragments, repairs, NAKs, NCFs, FIN. */
const TALK_MS = 3_000;
const PER_KIND_MAX = 40;
/** Few, since a session that ended lets nothing more in. */
const FINS_MAX = 2;

/** How those talk whose datagrams these are. */
export interface FuzzTalk {
  /** On other than `native`, the publisher is another implementation's. */
  readonly framing?: Framing;
  readonly authenticator?: Authenticator | undefined;
}

/** Sound datagrams of every kind, at most `PER_KIND_MAX` of each; the same for the same seed. */
export function fuzzSeeds(seed: number, talk: FuzzTalk = {}): Uint8Array[] {
  const { framing = 'native', authenticator } = talk;
  const member = { address: { ...SIMULATED_CHANNEL, framing }, authenticator };
  const world = new World(seed, { loss: 0.1, duplicate: 0, delayMsMin: 0.1, delayMsMax: 1 });
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
  for (const join of ['window', 'live'] as const) world.addReceiver({ ...member, join });
  const { node: deaf } = world.addReceiver(member);
  world.network.drops = (bytes, to) =>
    to === deaf && reader.read(bytes) === undefined && reader.kind === 'spm';
  assert(isSessionId(FUZZED_SESSION), 'the session of the seeds is one');
  const { machine, node } = world.addPublisher({
    ...member,
    session: FUZZED_SESSION,
    transport: FUZZED_TRANSPORT,
    rateBytesPerSec: 1_000_000,
  });
  if (framing !== 'native') world.foreignNodes.add(node);
  for (let n = 0; world.nowMs < TALK_MS; n += 1) {
    const bytes = new Uint8Array(n % 20 === 0 ? 5_000 : n % 300);
    const message = framing === 'zmq' ? zmqMessage([bytes]) : bytes;
    machine.publish(message, world.wallClockUs, world.nowMs);
    world.run(world.nowMs + 5);
  }
  machine.close(world.nowMs);
  world.addReceiver({ ...member, join: 'live' });
  world.run(world.nowMs + TALK_MS);
  return seeds;
}
