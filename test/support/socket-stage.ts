// Real sockets on the loopback address as a stage for stories: the machines, the loop and the loss
// injector of the product, in real time.

import { setTimeout as wait } from 'node:timers/promises';
import {
  type ChannelAddress,
  randomBelow,
  randomSessionId,
  type Random,
  seededRandom,
} from '#base/mod.ts';
import {
  Publisher,
  Receiver,
  type ReceiverEvent,
  type ReceiverOptions,
  type ResumePoint,
} from '#multicast/core/mod.ts';
import {
  type DatagramSocket,
  Driver,
  injectFaults,
  monotonicMs,
  NO_FAULTS,
  openGroupSocket,
  openSendSocket,
  wallClockUs,
} from '#multicast/udp/mod.ts';
import {
  type Scenario,
  type Stage,
  STAGE_TIMES,
  type StagePublisher,
  type StageReceiver,
} from '#sim/mod.ts';
import { LOOPBACK } from './multicast.ts';
import { until } from './until.ts';

const BUFFER_BYTES = 4_194_304;
const STORY_MS_MAX = 15_000;

interface Place {
  readonly scenario: Scenario;
  readonly address: ChannelAddress;
  readonly resources: AsyncDisposableStack;
  readonly random: Random;
}

/** A stage on the group and port of `address`, whose sockets belong to `resources`. */
export function socketStage(
  scenario: Scenario,
  address: ChannelAddress,
  resources: AsyncDisposableStack,
): Stage {
  const place = { scenario, address, resources, random: seededRandom(7) };
  return {
    addPublisher: async () => addPublisher(place),
    addReceiver: async (options, resume) => addReceiver(place, options, resume),
    pass: async (ms) => wait(ms),
    until: async (isDone) => void (await until('the end of the story', isDone, STORY_MS_MAX)),
  };
}

function lossy({ resources, random, scenario }: Place, socket: DatagramSocket): DatagramSocket {
  const faults = { ...NO_FAULTS, receiveLoss: scenario.loss, seed: randomBelow(random, 2 ** 31) };
  return resources.use(injectFaults(socket, faults));
}

async function openSend(): Promise<DatagramSocket> {
  return openSendSocket({ interfaceAddress: LOOPBACK, ttl: 1, sendBufferBytes: BUFFER_BYTES });
}

async function addPublisher(place: Place): Promise<StagePublisher> {
  const { address, resources, random } = place;
  const { windowPackets, messageBytesMax } = place.scenario;
  const socket = lossy(place, await openSend());
  const { localAddress: nla, localPort: nakPort } = socket;
  const session = randomSessionId(random);
  const machine = new Publisher(
    {
      address,
      session,
      source: 'story',
      transport: { gsiHigh: 1, gsiLow: nakPort, tsiSport: nakPort, dataDport: address.dport },
      nla,
      nakPort,
      packetBytesMax: 1_472,
      messageBytesMax,
      windowPackets,
      windowBytes: 64 * 1_048_576,
      rateBytesPerSec: 50_000_000,
      flushMs: 1,
      lingerMs: STAGE_TIMES.lingerMs,
    },
    monotonicMs(),
  );
  const onEvents = (): void => {
    while (machine.pollEvent() !== undefined);
  };
  const driver = new Driver({ machine, receiveFrom: [socket], sendThrough: socket, onEvents });
  resources.use(driver);
  return {
    session,
    publish: (payload) => {
      const outcome = machine.publish(payload, wallClockUs(), monotonicMs());
      driver.schedule();
      return outcome === 'accepted';
    },
    end: () => {
      machine.close(monotonicMs());
      driver.schedule();
    },
    crash: () => driver[Symbol.dispose](),
  };
}

async function addReceiver(
  place: Place,
  options: Pick<ReceiverOptions, 'join' | 'recall'>,
  resume: readonly ResumePoint[],
): Promise<StageReceiver> {
  const { address, resources, random } = place;
  const { messageBytesMax } = place.scenario;
  const { repairTimeoutMs, sourceExpiryMs } = STAGE_TIMES;
  const { group, port } = address;
  const joining = { group, port, interfaceAddress: LOOPBACK, receiveBufferBytes: BUFFER_BYTES };
  const socket = lossy(place, await openGroupSocket(joining));
  const sendThrough = resources.use(await openSend());
  const times = { repairTimeoutMs, sourceExpiryMs };
  const machine = new Receiver({ address, random, messageBytesMax, ...times, ...options });
  for (const point of resume) machine.restore(point, monotonicMs());
  const events: ReceiverEvent[] = [];
  const onEvents = (): void => {
    for (let event = machine.pollEvent(); event !== undefined; event = machine.pollEvent()) {
      events.push(event);
    }
  };
  const driver = new Driver({ machine, receiveFrom: [socket], sendThrough, onEvents });
  resources.use(driver);
  const repairs = (): number => machine.counters.repairsReceived;
  return { events, repairs, crash: () => driver[Symbol.dispose]() };
}
