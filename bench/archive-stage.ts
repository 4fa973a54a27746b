// What every measurement of the archive is played on: new channels, an archiver that records them
// on a thread each, a publisher thread for each, and a look at how far the archive is.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import {
  type ArchiveDatabase,
  ensureChannel,
  type OpenDatabase,
  openDatabase,
} from '#archive/mod.ts';
import {
  assert,
  BATCH_AGE_MS_DEFAULT,
  BATCH_BYTES_MAX,
  BATCH_MESSAGES_MAX,
  type ChannelAddress,
  MESSAGE_BYTES_DEFAULT_MAX,
} from '#base/mod.ts';
import { Archiver, type SpoolSettings } from '#ingest/mod.ts';
import { openStaticRegistry } from '#registry/mod.ts';
import { type ArchivePublisherData, type ArchivePublisherReport } from './archive-messages.ts';
import { benchmarkAddress } from './machine.ts';

/** What is the same in every measurement of a run. */
export interface ArchiveBenchmarkPlace {
  /** A migrated database; every measurement makes channels `bench-…` of its own in it. */
  readonly databaseUrl: string;
  readonly interfaceAddress: string;
  readonly payloadBytes: number;
  readonly packetBytesMax: number;
  /** None if not given. */
  readonly spool?: SpoolSettings | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A channel that is being recorded, and the thread that is ready to publish to it. */
export interface StagedChannel {
  readonly name: string;
  readonly channelId: number;
  readonly progress: Int32Array<SharedArrayBuffer>;
  readonly publishedAtMs: Float64Array<SharedArrayBuffer>;
  /** Lets the thread begin. */
  readonly begin: () => void;
  /** What it says when everything is archived. Rejects if the thread fails. */
  readonly done: Promise<Extract<ArchivePublisherReport, { kind: 'done' }>>;
}

/** How the threads publish. */
export type PublishingOrder = Pick<
  ArchivePublisherData,
  'messageCount' | 'publisherCount' | 'rate' | 'outstandingMax' | 'stride'
>;

/** Opens a pool for a measurement. */
export function openBenchmarkDatabase(databaseUrl: string): OpenDatabase {
  return openDatabase({
    url: databaseUrl,
    applicationName: 'backcast bench',
    statementTimeoutMs: 300_000,
    poolConnectionsMax: 2,
  });
}

/** Sets up `count` channels; everything ends with `resources`. */
export async function stageChannels(
  place: ArchiveBenchmarkPlace,
  database: ArchiveDatabase,
  resources: AsyncDisposableStack,
  count: number,
  order: PublishingOrder,
): Promise<StagedChannel[]> {
  const started = Date.now();
  const addresses = new Map<string, ChannelAddress>();
  for (let index = 1; index <= count; index += 1) {
    addresses.set(`bench-${started}-${index}`, benchmarkAddress());
  }
  const archiver = resources.use(await startArchiver(place, addresses, count));
  const staged: StagedChannel[] = [];
  for (const [name, address] of addresses) {
    await archiver.recording(name);
    const channelId = await ensureChannel(database, name, address);
    staged.push(await startPublisher(place, resources, { name, channelId, address }, order));
  }
  return staged;
}

/** The last archived position of each channel, in their order. */
export async function headsOf(
  database: ArchiveDatabase,
  channels: readonly StagedChannel[],
): Promise<number[]> {
  const ids = channels.map(({ channelId }) => channelId);
  const leases = await database
    .selectFrom('leases')
    .select(['channel_id', 'head'])
    .where('channel_id', 'in', ids)
    .execute();
  const heads = new Map(leases.map(({ channel_id, head }) => [channel_id, head]));
  return ids.map((id) => heads.get(id) ?? 0);
}

async function startPublisher(
  place: ArchiveBenchmarkPlace,
  resources: AsyncDisposableStack,
  channel: { readonly name: string; readonly channelId: number; readonly address: ChannelAddress },
  order: PublishingOrder,
): Promise<StagedChannel> {
  const progress = new Int32Array(new SharedArrayBuffer(8));
  const samples = Math.ceil(order.messageCount / order.stride);
  const publishedAtMs = new Float64Array(new SharedArrayBuffer(8 * samples));
  const { interfaceAddress, packetBytesMax, payloadBytes } = place;
  const settings = { interfaceAddress, packetBytesMax, payloadBytes };
  const { address } = channel;
  const workerData: ArchivePublisherData = {
    ...settings,
    ...order,
    address,
    progress,
    publishedAtMs,
  };
  const worker = new Worker(new URL('archive-publisher.ts', import.meta.url), { workerData });
  resources.defer(async () => void (await worker.terminate()));
  const [ready] = (await once(worker, 'message')) as [ArchivePublisherReport];
  assert(ready.kind === 'ready', 'a publisher says first that it is ready');
  const done = once(worker, 'message').then(([told]) => {
    return told as Extract<ArchivePublisherReport, { kind: 'done' }>;
  });
  done.catch(() => undefined);
  const begin = (): void => worker.postMessage('begin');
  return { ...channel, progress, publishedAtMs, begin, done };
}

/** Starts an archiver that records the channels at `addresses` on `shardCount` threads. */
export function startArchiver(
  place: Pick<ArchiveBenchmarkPlace, 'databaseUrl' | 'interfaceAddress' | 'spool'>,
  addresses: ReadonlyMap<string, ChannelAddress>,
  shardCount: number,
  acknowledge: readonly string[] = [],
): Promise<Archiver> {
  return Archiver.start({
    databaseUrl: place.databaseUrl,
    holder: `bench-${process.pid}`,
    interfaceAddress: place.interfaceAddress,
    receiveBufferBytes: 8 * 1_048_576,
    messageBytesMax: MESSAGE_BYTES_DEFAULT_MAX,
    repairTimeoutMs: 10_000,
    sourceExpiryMs: 30_000,
    batchMessagesMax: BATCH_MESSAGES_MAX,
    batchBytesMax: BATCH_BYTES_MAX,
    batchAgeMs: BATCH_AGE_MS_DEFAULT,
    spool: place.spool,
    acknowledge,
    faults: undefined,
    channels: [...addresses.keys()],
    registry: openStaticRegistry(addresses),
    shardCount,
    discoverEveryMs: 60_000,
    log: { info: () => undefined, warn: () => undefined },
  });
}
