// An archiver, publishers and an auditor for tests: everything real, on loopback multicast, with
// settings that make faults show quickly.

import assert from 'node:assert/strict';
import { type ArchiveDatabase, audit, type ChannelAudit, openDatabase } from '#archive/mod.ts';
import type { ChannelAddress } from '#base/mod.ts';
import { ChannelPublisher, type OpenPublisherOptions } from '#client/mod.ts';
import { Archiver, type ArchiverLog, type ArchiverOptions } from '#ingest/mod.ts';
import { openStaticRegistry } from '#registry/mod.ts';
import { LOOPBACK, reserveGroup } from './multicast.ts';
import { createTestDatabase } from './postgres.ts';

/** A channel with a database of its own. */
export interface Scene extends AsyncDisposable {
  readonly channel: string;
  readonly address: ChannelAddress;
  readonly databaseUrl: string;
  readonly database: ArchiveDatabase;
  startArchiver(options?: Partial<ArchiverOptions>): Promise<Archiver>;
  openPublisher(options?: Partial<OpenPublisherOptions>): Promise<ChannelPublisher>;
  /** Waits until `count` messages or losses of the channel are accounted for; fails after 60 s. */
  accounted(count: number): Promise<void>;
  /** The auditor's verdict, which must be that everything is accounted for. */
  audited(): Promise<ChannelAudit>;
}

type GivenScene = Pick<Scene, 'channel' | 'databaseUrl' | 'address'> &
  Pick<ChannelAddress, 'framing'>;

/** Sets a scene up, in a database of its own unless one is given; disposing it drops its own. */
export async function setScene(given: Partial<GivenScene> = {}): Promise<Scene> {
  const { channel = 'orders', framing = 'native' } = given;
  const resources = new AsyncDisposableStack();
  const { group, port } = resources.use(await reserveGroup());
  const { url: databaseUrl } =
    given.databaseUrl === undefined
      ? resources.use(await createTestDatabase())
      : { url: given.databaseUrl };
  const { database } = resources.use(
    openDatabase({
      url: databaseUrl,
      applicationName: 'test',
      statementTimeoutMs: 60_000,
      poolConnectionsMax: 2,
    }),
  );
  const reserved: ChannelAddress = { group, port, dport: 7_500, framing };
  const { address = reserved } = given;
  return {
    channel,
    address,
    databaseUrl,
    database,
    startArchiver: async (options = {}) => {
      const archiver = await Archiver.start({
        ...ARCHIVER_DEFAULTS,
        databaseUrl,
        channels: [channel],
        registry: openStaticRegistry(new Map([[channel, address]])),
        ...options,
      });
      await archiver.recording(channel);
      return archiver;
    },
    openPublisher: (options = {}) =>
      ChannelPublisher.open({ ...PUBLISHER_DEFAULTS, address, ...options }),
    accounted: (count) => waitForAccounted(database, channel, count),
    audited: async () => {
      const [verdict] = await audit(database, { channel });
      assert.ok(verdict !== undefined);
      assert.deepEqual(verdict.problems, []);
      return verdict;
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

const ARCHIVER_DEFAULTS = {
  holder: 'test-archiver',
  interfaceAddress: LOOPBACK,
  receiveBufferBytes: 8 * 1_048_576,
  messageBytesMax: 1_048_576,
  repairTimeoutMs: 20_000,
  sourceExpiryMs: 30_000,
  batchMessagesMax: 65_536,
  batchBytesMax: 16 * 1_048_576,
  batchAgeMs: 20,
  faults: undefined,
  shardCount: 1,
  discoverEveryMs: 1_000,
  log: { info: () => undefined, warn: () => undefined },
};

/** A log that keeps its messages. */
export function keptLog(): ArchiverLog & { readonly messages: string[] } {
  const messages: string[] = [];
  const keep = (_fields: Record<string, unknown>, message: string): void => {
    messages.push(message);
  };
  return { messages, info: keep, warn: keep };
}

const PUBLISHER_DEFAULTS = {
  interfaceAddress: LOOPBACK,
  packetBytesMax: 1_472,
  messageBytesMax: 1_048_576,
  windowPackets: 65_536,
  windowBytes: 96 * 1_048_576,
  rateBytesPerSec: 25_000_000,
  flushMs: 1,
  lingerMs: 1_000,
};

const ACCOUNTED_MS_MAX = 60_000;

async function waitForAccounted(
  database: ArchiveDatabase,
  channel: string,
  count: number,
): Promise<void> {
  const deadlineMs = performance.now() + ACCOUNTED_MS_MAX;
  for (;;) {
    const sums = await database
      .selectFrom('sessions')
      .innerJoin('channels', 'channels.channel_id', 'sessions.channel_id')
      .where('channels.name', '=', channel)
      .select((of) => of.fn.sum<string>('watermark').as('accounted'))
      .executeTakeFirst();
    const accounted = Number(sums?.accounted ?? 0);
    if (accounted >= count) return;
    assert.ok(performance.now() < deadlineMs, `${accounted} of ${count} messages accounted for`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
