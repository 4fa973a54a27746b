// The long-running parts as the commands start them: logger, archiver, replay API, publisher and
// subscriber, each made from the configuration. One place, so that `up`, `archive`, `serve`,
// `publish` and `bench` agree.

import { availableParallelism, hostname } from 'node:os';
import { resolve } from 'node:path';
import pino, { type DestinationStream, type Logger } from 'pino';
import pretty from 'pino-pretty';
import {
  type DatabaseOptions,
  ensureSchema,
  openDatabase,
  type OpenDatabase,
  type Replica,
  watchReplica,
} from '#archive/mod.ts';
import { BATCH_BYTES_MAX, type ChannelAddress, SOURCE_EXPIRY_MS } from '#base/mod.ts';
import {
  type ChannelPublisher,
  ChannelSubscriber,
  openPublisher as openClientPublisher,
  type OpenSubscriberOptions,
  type PublisherSettings,
} from '#client/mod.ts';
import { accessKeptMs, hasRetention, redact, retentionOf, type Config } from '#config/mod.ts';
import {
  Archiver,
  archiverFamilies,
  compactionFamilies,
  retentionFamilies,
  type ArchiverOptions,
  type SpoolSettings,
} from '#ingest/mod.ts';
import {
  listenForMetrics,
  type MetricFamily,
  type MetricsListener,
} from '#multicast/metrics/mod.ts';
import { type KeySource, packetBytesOf, type UnicastOptions } from '#multicast/udp/mod.ts';
import { joinChannel, type Registry } from '#registry/mod.ts';
import { AccessControl, type ReplayServer, startReplayServer } from '#replay-api/mod.ts';

/** What a subscriber needs beside the configuration, depending on its channel. */
export interface EndOptions {
  readonly unicast: UnicastOptions | undefined;
  readonly keys: KeySource | undefined;
}

/** Any one: only its family counts. */
const GROUP_OF_IPV4 = '239.192.0.0';
const API_CONNECTIONS_MAX = 8;
const API_STATEMENT_MS_MAX = 15_000;
/** The server's own limit comes first. */
const API_SILENCE_MS_MAX = 20_000;
/** More threads than this do not help one channel, and few hosts have so many busy ones. */
const SHARDS_AUTO_MAX = 4;

/**
 * A logger to standard error: JSON, or for eyes on a terminal. At level debug, it first tells the
 * configuration without its passwords.
 */
export function createLogger(config: Config): Logger {
  const log = pino({ level: config.log.level }, logStream(config));
  log.debug({ config: redact(config) }, 'configuration');
  return log;
}

function logStream({ log }: Config): DestinationStream {
  const isPretty = log.pretty === 'auto' ? process.stderr.isTTY : log.pretty;
  if (!isPretty) return pino.destination({ dest: 2, sync: true });
  return pretty({
    destination: 2,
    sync: true,
    ignore: 'pid,hostname',
    translateTime: 'HH:MM:ss.l',
  });
}

/**
 * Starts the archiver that `config` describes; a database that is away is waited for until
 * `startSignal` fires, if there is one. Errors: those of Archiver.start.
 */
export function startArchiver(
  config: Config,
  databaseUrl: string,
  registry: Registry,
  log: Logger,
  startSignal?: AbortSignal,
): Promise<Archiver> {
  const { archiver, receiver, publisher } = config;
  return Archiver.start({
    databaseUrl,
    writeTo: archiver.writeTo,
    holder: archiver.name ?? hostname(),
    interfaceAddress: config.interface,
    ttl: config.multicast.ttl,
    receiveBufferBytes: receiver.receiveBufferBytes,
    repairTimeoutMs: receiver.repairTimeoutMs,
    messageBytesMax: publisher.messageBytesMax,
    sourceExpiryMs: SOURCE_EXPIRY_MS,
    batchMessagesMax: archiver.batchMessagesMax,
    batchBytesMax: BATCH_BYTES_MAX,
    batchAgeMs: archiver.batchAgeMs,
    acknowledge: acknowledgedBy(config),
    faults: faultsOf(config),
    capture: captureOf(config),
    channels: archiver.channels,
    registry,
    join: (channel, at) => joinChannel(registry, channel, at),
    unicastPorts: config.unicast.ports,
    shardCount: shardCount(config),
    discoverEveryMs: archiver.discoverEveryMs,
    compactEveryMs: archiver.compactEveryMs,
    spool: spoolOf(config),
    authentication: config.authentication,
    retention: retentionSettings(config),
    log: log.child({ part: 'archiver' }),
    startSignal,
  });
}

function retentionSettings({ retention }: Config): ArchiverOptions['retention'] {
  if (!hasRetention(retention)) return undefined;
  const { everyMs } = retention;
  return { everyMs, policyOf: (channel) => retentionOf(retention, channel) };
}

function acknowledgedBy({ archiver: { acknowledge } }: Config): readonly string[] {
  if (typeof acknowledge !== 'boolean') return acknowledge;
  return acknowledge ? ['*'] : [];
}

/** Where the archiver spools. A relative folder is one of `home`. */
function spoolOf({ home, archiver }: Config): SpoolSettings | undefined {
  const { bytesMax, dir = 'spool' } = archiver.spool;
  return bytesMax === 0 ? undefined : { path: resolve(home, dir), bytesMax };
}

/**
 * Starts the replay API that `config` describes, with the tokens of the database. Errors:
 * BACKCAST_DATABASE_UNREACHABLE, BACKCAST_SCHEMA_MISSING and those of startReplayServer.
 */
export async function startApi(
  config: Config,
  databaseUrl: string,
  log: Logger,
  collectMetrics: () => readonly MetricFamily[] = () => [],
): Promise<ReplayServer> {
  await using opened = new AsyncDisposableStack();
  const database = opened.use(openDatabase(apiDatabase(databaseUrl)));
  await ensureSchema(database.database);
  const logger = log.child({ part: 'api' });
  const replica = opened.use(replicaOf(config, database, logger));
  const { host, port, tls, jwt, limits } = config.api;
  const keptMs = accessKeptMs(config.api);
  const access = opened.use(
    await AccessControl.open({ database, logger, jwt: allOf(jwt), keptMs }),
  );
  const server = await startReplayServer({
    database,
    replica,
    access,
    limits,
    host,
    port,
    tls: allOf(tls),
    logger,
    collectMetrics,
  });
  opened.use(server);
  const owned = opened.move();
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= owned.disposeAsync());
  return { url: server.url, close, [Symbol.asyncDispose]: close };
}

/** The limits of statements that a request makes: none is worth more than its reader's patience. */
function apiDatabase(url: string): DatabaseOptions {
  return {
    url,
    applicationName: 'backcast replay API',
    statementTimeoutMs: API_STATEMENT_MS_MAX,
    silenceMsMax: API_SILENCE_MS_MAX,
    poolConnectionsMax: API_CONNECTIONS_MAX,
  };
}

function replicaOf(config: Config, primary: OpenDatabase, log: Logger): Replica | undefined {
  const url = config.databaseReplicaUrl;
  if (url === undefined) return undefined;
  const replica = openDatabase(apiDatabase(url));
  return watchReplica({ primary, replica, behindMsMax: config.api.replicaBehindMsMax, log });
}

/** A section whose settings are given together; undefined if they are not. */
function allOf<Section extends object>(section: Section): Required<Section> | undefined {
  const values = Object.values(section);
  return values.length === 0 ? undefined : (section as Required<Section>);
}

/**
 * Serves the metrics of `archiver` where `config` says, or nowhere. Errors: those of
 * listenForMetrics.
 */
export async function startMetrics(
  config: Config,
  archiver: Archiver,
  log: Logger,
): Promise<MetricsListener | undefined> {
  const { host, port } = config.metrics;
  if (port === undefined) return undefined;
  const collect = (): MetricFamily[] => {
    const { counters, durability, retention, compaction } = archiver;
    return [
      ...archiverFamilies(counters, durability.state),
      ...retentionFamilies(retention),
      ...compactionFamilies(compaction),
    ];
  };
  const listener = await listenForMetrics({ host, port, collect });
  log.info({ url: listener.url }, 'metrics are served');
  return listener;
}

/** A publisher as a command wants it, beside the configuration. */
export interface PublisherEnd extends Pick<PublisherSettings, 'channel' | 'registry'> {
  readonly address: ChannelAddress;
  readonly source: string | undefined;
  readonly keys: KeySource | undefined;
  /** Hears a sentence when the registry cannot be asked for members, and when it can again. */
  readonly tell: (sentence: string) => void;
}

/** Opens a publisher, which its registry, if there is one, hears of. Errors: as the client's. */
export function openPublisher(
  config: Config,
  { channel, registry, address, source, keys, tell }: PublisherEnd,
): Promise<ChannelPublisher> {
  const faults = faultsOf(config);
  const { unarchivedBytesMax } = config.publisher;
  const { membersMax, ports } = config.unicast;
  return openClientPublisher({
    ...config.publisher,
    channel,
    registry,
    address,
    members: { membersMax, leaseMs: config.registry.leaseMs, tell },
    unarchivedBytesMax: unarchivedBytesMax === 0 ? undefined : unarchivedBytesMax,
    packetBytesMax: packetBytesMaxOf(config, address.group),
    interfaceAddress: config.interface,
    unicast: { ports },
    keys,
    ttl: config.multicast.ttl,
    ...(source === undefined ? {} : { source }),
    ...(faults === undefined ? {} : { faults }),
    capture: captureOf(config),
  });
}

/** Opens a live subscriber at `address`. Errors: those of ChannelSubscriber.open. */
export function openSubscriber(
  config: Config,
  address: ChannelAddress,
  ends: EndOptions,
): Promise<ChannelSubscriber> {
  return ChannelSubscriber.open(subscriberOptions(config, address, ends));
}

/** How a subscriber is opened at `address`. */
export function subscriberOptions(
  config: Config,
  address: ChannelAddress,
  { unicast, keys }: EndOptions,
): OpenSubscriberOptions {
  const faults = faultsOf(config);
  return {
    ...config.receiver,
    address,
    interfaceAddress: config.interface,
    unicast,
    keys,
    ttl: config.multicast.ttl,
    messageBytesMax: config.publisher.messageBytesMax,
    sourceExpiryMs: SOURCE_EXPIRY_MS,
    ...(faults === undefined ? {} : { faults }),
    capture: captureOf(config),
  };
}

/** The largest packet that publishers of this host send to a group, of IPv4 unless one is given. */
export function packetBytesMaxOf(config: Config, group: string = GROUP_OF_IPV4): number {
  const { packetBytesMax } = config.publisher;
  return packetBytesMax === 'auto' ? packetBytesOf(config.interface, group) : packetBytesMax;
}

function faultsOf(config: Config): string | undefined {
  return config.faults === '' ? undefined : config.faults;
}

function captureOf(config: Config): string | undefined {
  return config.capture === '' ? undefined : config.capture;
}

function shardCount(config: Config): number {
  const { shards } = config.archiver;
  if (shards !== 'auto') return shards;
  return Math.min(SHARDS_AUTO_MAX, Math.max(1, availableParallelism() - 1));
}
