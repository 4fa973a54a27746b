// Measures the protocol machines alone, in memory, on one core: publisher → packets → receiver →
// events, without sockets and without copies. Prints one line per case with what each half costs,
// in processor time; the signed cases seal and check every packet.
//
//   node bench/protocol.ts
//   node --cpu-prof --cpu-prof-dir=/tmp bench/protocol.ts      to see where the time goes

import {
  type ChannelAddress,
  MESSAGE_BYTES_DEFAULT_MAX,
  PACKET_BYTES_AUTO_MAX,
  PACKET_BYTES_DEFAULT,
  randomSessionId,
  seededRandom,
} from '#base/mod.ts';
import { Publisher, Receiver } from '#multicast/core/mod.ts';
import { authenticatorOf, generateKeyLine, parseKeys } from '#multicast/udp/mod.ts';

const ROUND_PACKETS = 2_000;
const WARM_UP_MS = 300;
const MEASURED_MS = 1_000;
const RATE_UNBOUNDED = 1e15;
const AT_US = 1_767_225_600_000_000;
const ADDRESS: ChannelAddress = {
  group: '239.192.0.1',
  port: 7_500,
  dport: 7_501,
  framing: 'native',
};
const KEYS = { keys: parseKeys(generateKeyLine(Date.now()), 'bench') };
const JUMBO_BYTES = PACKET_BYTES_AUTO_MAX;
const REMOTE = { address: '10.0.0.1', port: 40_000 };

/**
 * Processor time of this thread: other work on the machine does not count, collecting garbage
 * mostly does.
 */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

interface Case {
  readonly name: string;
  readonly payloadBytes: number;
  /** Every nth packet arrives ten packets late; 0 for none. */
  readonly lateEvery: number;
  readonly packetBytesMax?: number;
  readonly isSigned?: boolean;
}

const CASES: readonly Case[] = [
  { name: 'small messages', payloadBytes: 140, lateEvery: 0 },
  { name: 'one message per packet', payloadBytes: 1_400, lateEvery: 0 },
  { name: 'fragments', payloadBytes: 100_000, lateEvery: 0 },
  { name: 'small messages, 1 in 50 late', payloadBytes: 140, lateEvery: 50 },
  { name: 'small messages, signed', payloadBytes: 140, lateEvery: 0, isSigned: true },
  { name: 'one per packet, signed', payloadBytes: 1_376, lateEvery: 0, isSigned: true },
  { name: 'jumbo packets', payloadBytes: 140, lateEvery: 0, packetBytesMax: JUMBO_BYTES },
  {
    name: 'jumbo packets, signed',
    payloadBytes: 140,
    lateEvery: 0,
    packetBytesMax: JUMBO_BYTES,
    isSigned: true,
  },
];

interface Cost {
  packets: number;
  messages: number;
  publishMs: number;
  receiveMs: number;
}

/** One publisher and one receiver, driven by hand. */
class Pipe {
  readonly #publisher: Publisher;
  readonly #receiver: Receiver;
  readonly #payload: Uint8Array;
  readonly #lateEvery: number;
  #nowMs = 0;

  constructor(benchCase: Case) {
    const { payloadBytes, lateEvery, packetBytesMax = PACKET_BYTES_DEFAULT, isSigned } = benchCase;
    const random = seededRandom(1);
    const signed = { ...ADDRESS, authentication: 'required' } as const;
    const address = isSigned === true ? signed : ADDRESS;
    const authenticator = authenticatorOf(address, KEYS);
    this.#payload = new Uint8Array(payloadBytes).fill(7);
    this.#lateEvery = lateEvery;
    this.#publisher = new Publisher(
      {
        address,
        authenticator,
        session: randomSessionId(random),
        source: 'bench',
        transport: { gsiHigh: 1, gsiLow: 2, tsiSport: 3, dataDport: ADDRESS.dport },
        nla: REMOTE.address,
        nakPort: REMOTE.port,
        packetBytesMax,
        messageBytesMax: MESSAGE_BYTES_DEFAULT_MAX,
        windowPackets: 65_536,
        windowBytes: 64 * 1_048_576,
        rateBytesPerSec: RATE_UNBOUNDED,
        flushMs: 1,
        lingerMs: 0,
      },
      0,
    );
    this.#receiver = new Receiver({
      address,
      authenticator,
      join: 'window',
      random,
      messageBytesMax: MESSAGE_BYTES_DEFAULT_MAX,
      repairTimeoutMs: 30_000,
      sourceExpiryMs: 30_000,
    });
  }

  /** Publishes about ROUND_PACKETS packets, then hands them over. */
  round(cost: Cost): void {
    this.#nowMs += 1;
    const startedAtMs = cpuMs();
    const packets: Uint8Array[] = [];
    while (packets.length < ROUND_PACKETS) {
      this.#publisher.publish(this.#payload, AT_US, this.#nowMs);
      for (let next = this.#publisher.pollTransmit(); next !== undefined; ) {
        packets.push(next.bytes);
        next = this.#publisher.pollTransmit();
      }
    }
    const publishedAtMs = cpuMs();
    this.#delay(packets);
    const before = this.#receiver.counters.messagesDelivered;
    for (const packet of packets) {
      this.#receiver.handleDatagram(packet, REMOTE, this.#nowMs);
      while (this.#receiver.pollEvent() !== undefined);
    }
    cost.receiveMs += cpuMs() - publishedAtMs;
    cost.publishMs += publishedAtMs - startedAtMs;
    cost.packets += packets.length;
    cost.messages += this.#receiver.counters.messagesDelivered - before;
  }

  #delay(packets: Uint8Array[]): void {
    if (this.#lateEvery === 0) return;
    for (let at = this.#lateEvery; at + 10 < packets.length; at += this.#lateEvery) {
      packets.splice(at + 10, 0, ...packets.splice(at, 1));
    }
  }
}

function perSec(count: number, ms: number): string {
  return Math.round((count * 1_000) / ms)
    .toLocaleString('en')
    .padStart(10);
}

function measure(benchCase: Case): string {
  const pipe = new Pipe(benchCase);
  const run = (forMs: number): Cost => {
    const cost = { packets: 0, messages: 0, publishMs: 0, receiveMs: 0 };
    while (cost.publishMs + cost.receiveMs < forMs) pipe.round(cost);
    return cost;
  };
  run(WARM_UP_MS);
  const { packets, messages, publishMs, receiveMs } = run(MEASURED_MS);
  return [
    benchCase.name.padEnd(30),
    `${perSec(packets, publishMs + receiveMs)} packets/s`,
    `${perSec(messages, publishMs + receiveMs)} messages/s`,
    `publish ${((publishMs * 1_000) / packets).toFixed(2)} µs/packet`,
    `receive ${((receiveMs * 1_000) / packets).toFixed(2)} µs/packet`,
  ].join('  ');
}

for (const benchCase of CASES) process.stdout.write(`${measure(benchCase)}\n`);
