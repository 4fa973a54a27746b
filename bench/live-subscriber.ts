// The listening half of the live measurement, on a thread of its own: receives, notes how old each
// message is, and says at the end what that cost. Progress goes through shared memory, so that
// telling it costs the measured thread nothing.

import { parentPort, workerData } from 'node:worker_threads';
import { assert, MESSAGE_BYTES_DEFAULT_MAX } from '#base/mod.ts';
import type { ChannelAddress } from '#base/mod.ts';
import { ChannelSubscriber } from '#client/mod.ts';
import type { AuthenticationKey } from '#multicast/udp/mod.ts';

/** What the thread is started with. */
export interface LiveSubscriberData {
  readonly address: ChannelAddress;
  readonly keys: readonly AuthenticationKey[];
  readonly interfaceAddress: string;
  /** Messages after which it ends. */
  readonly messageCount: number;
  /** One number: messages received so far. */
  readonly progress: Int32Array<SharedArrayBuffer>;
}

/** What the thread tells: that it listens, then what it saw. */
export type LiveSubscriberReport =
  | { readonly kind: 'listening' }
  | {
      readonly kind: 'done';
      /** Age of each message at its delivery, in microseconds, from young to old. */
      readonly ageUs: Float64Array;
      readonly cpuMs: number;
      readonly packetsReceived: number;
      readonly messagesLost: number;
    };

const RECEIVE_BUFFER_BYTES = 8 * 1_048_576;
const NS_PER_US = 1_000;

const port = parentPort;
assert(port !== null, 'the subscriber runs in a worker thread');
const report = (message: LiveSubscriberReport): void => port.postMessage(message);
const { address, keys, interfaceAddress, messageCount, progress } =
  workerData as LiveSubscriberData;

await using subscriber = await ChannelSubscriber.open({
  address,
  keys: { keys },
  interfaceAddress,
  receiveBufferBytes: RECEIVE_BUFFER_BYTES,
  messageBytesMax: MESSAGE_BYTES_DEFAULT_MAX,
  repairTimeoutMs: 10_000,
  sourceExpiryMs: 30_000,
});
report({ kind: 'listening' });
const ageUs = new Float64Array(messageCount);
const before = process.threadCpuUsage();
let count = 0;
let lost = 0;
for await (const live of subscriber) {
  if (live.kind === 'lost') lost += live.lastSequence - live.firstSequence + 1;
  if (live.kind === 'message') {
    const { payload } = live;
    const sentAtNs = new DataView(payload.buffer, payload.byteOffset).getBigUint64(0);
    ageUs[count] = Number(process.hrtime.bigint() - sentAtNs) / NS_PER_US;
    count += 1;
    Atomics.store(progress, 0, count);
  }
  if (count + lost >= messageCount) break;
}
const { user, system } = process.threadCpuUsage(before);
report({
  kind: 'done',
  ageUs: ageUs.subarray(0, count).toSorted(),
  cpuMs: (user + system) / 1_000,
  packetsReceived: subscriber.counters.packetsReceived,
  messagesLost: lost,
});
