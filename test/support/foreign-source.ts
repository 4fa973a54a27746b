// A source of another implementation, on real sockets: one of our publishers whose packets lose the
// options that are ours before they leave. It numbers packets, answers NAKs that come through the
// group, and says FIN, as OpenPGM and ZeroMQ do.

import { type ChannelAddress, seededRandom, randomSessionId } from '#base/mod.ts';
import { Publisher } from '#multicast/core/mod.ts';
import {
  type DatagramSocket,
  Driver,
  monotonicMs,
  openPublisherTransport,
  wallClockUs,
} from '#multicast/udp/mod.ts';
import { withoutPrivateOptions } from '#sim/mod.ts';

/** The interface under another address: at the usual one the port is what reserves the group. */
const SOURCE_ADDRESS = '127.0.0.2';

/** A running source. */
export interface ForeignSource extends AsyncDisposable {
  /** Sends a message; in the framing zmq the bytes are its frames. Waits for room. */
  publish(message: Uint8Array): Promise<void>;
  /** Packets sent and repeated so far. */
  readonly packetsSent: number;
  readonly repairsSent: number;
}

/** Begins to send to `address`, in a session that nobody will know by its name. */
export async function openForeignSource(address: ChannelAddress): Promise<ForeignSource> {
  const resources = new AsyncDisposableStack();
  const options = {
    address,
    interfaceAddress: SOURCE_ADDRESS,
    rateBytesPerSec: 10_000_000,
    transport: { gsiHigh: 7, gsiLow: 77, tsiSport: 7_777, dataDport: address.dport },
  };
  const { send, receiveFrom } = await openPublisherTransport(resources, options);
  const closed = Promise.withResolvers<void>();
  const machine = new Publisher(
    {
      ...options,
      session: randomSessionId(seededRandom(address.port)),
      source: '',
      nla: SOURCE_ADDRESS,
      nakPort: send.localPort,
      packetBytesMax: 1_472,
      messageBytesMax: 20_000,
      windowPackets: 65_536,
      windowBytes: 96 * 1_048_576,
      flushMs: 1,
      lingerMs: 200,
    },
    monotonicMs(),
  );
  let isClosed = false;
  const driver = resources.use(
    new Driver({
      machine,
      receiveFrom,
      sendThrough: stripping(send),
      onEvents: () => {
        for (let event = machine.pollEvent(); event !== undefined; event = machine.pollEvent()) {
          if (event.kind === 'closed') closed.resolve();
        }
      },
    }),
  );
  return {
    publish: async (message) => {
      while (machine.publish(message, wallClockUs(), monotonicMs()) !== 'accepted') {
        driver.schedule();
        await new Promise((resolve) => setImmediate(resolve));
      }
      driver.schedule();
    },
    get packetsSent() {
      return machine.counters.packetsSent;
    },
    get repairsSent() {
      return machine.counters.repairsSent;
    },
    [Symbol.asyncDispose]: async () => {
      if (isClosed) return;
      isClosed = true;
      machine.close(monotonicMs());
      driver.schedule();
      await closed.promise;
      await resources.disposeAsync();
    },
  };
}

function stripping(socket: DatagramSocket): DatagramSocket {
  const send: DatagramSocket['send'] = (bytes, address, port) => {
    socket.send(withoutPrivateOptions(bytes), address, port);
  };
  return new Proxy(socket, {
    get: (target, name) => {
      if (name === 'send') return send;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
