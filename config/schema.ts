// Every setting of Backcast: its name, type, bounds, default, environment variable and sentence.
// The loader, the types and docs/configuration.md are all made from this one table. Decides nothing
// about where values come from (load.ts), nor what needs two settings at once (relations.ts).

import { Type, type Static } from 'typebox';
import {
  BATCH_AGE_MS_DEFAULT,
  BATCH_MESSAGES_MAX,
  MESSAGE_BYTES_DEFAULT_MAX,
  PACKET_BYTES_MAX,
  PACKET_BYTES_MIN,
  PUBLISH_BYTES_PER_SEC_DEFAULT,
  RECEIVE_BUFFER_BYTES_DEFAULT,
  RECEIVE_WINDOW_PACKETS_MAX,
  REPAIR_TIMEOUT_MS_DEFAULT,
  TRANSMIT_WINDOW_BYTES_DEFAULT,
  TRANSMIT_WINDOW_PACKETS_DEFAULT,
} from '#base/mod.ts';
import { API_LIMITS } from './limits-schema.ts';
import { AUTHENTICATION, REGISTRY, UNICAST } from './network-schema.ts';
import { API_ACCESS_KEPT, API_JWT, API_TLS, API_TOKEN } from './access-schema.ts';
import { RETENTION } from './retention.ts';
import { choice, integer, PATTERN_FORM } from './setting-types.ts';

const GIBIBYTE = 1_073_741_824;
const DAY_MS = 86_400_000;

const CHANNEL = Type.Object({
  name: Type.String({
    pattern: '^[A-Za-z0-9._-]{1,128}$',
    form: 'a name of 1 to 128 of A-Z a-z 0-9 . _ -',
    description: 'Name of the channel.',
  }),
  group: Type.String({
    pattern:
      '^(2(2[4-9]|3\\d)(\\.(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)){3}|[fF]{2}[\\da-fA-F:.]+)$',
    form: 'a multicast group, IPv4 or IPv6',
    description: 'Multicast group, IPv4 or IPv6.',
  }),
  port: integer({ description: 'UDP port.', range: [1, 65_535] }),
  dport: integer({
    description: 'PGM data-destination port; of framing zmq it is the port, whatever stands here.',
    range: [1, 65_535],
    default: 7_500,
  }),
  framing: choice(['native', 'raw', 'zmq'], {
    description: 'How packets are cut into messages.',
    default: 'native',
  }),
  authentication: choice(['off', 'required'], {
    description: 'Whether every packet must carry a tag.',
    default: 'off',
  }),
  delivery: choice(['multicast', 'unicast'], {
    description: 'How packets reach the receivers.',
    default: 'multicast',
  }),
  members: Type.Array(Type.String({ pattern: '^.+:\\d{1,5}$', form: 'address:port' }), {
    description: 'With unicast delivery: the only members, each as address:port.',
    default: [],
  }),
  sources: Type.Optional(
    Type.Array(Type.String(), { minItems: 1, description: 'The only hosts that are listened to.' }),
  ),
});

const MULTICAST = Type.Object({
  ttl: integer({
    description:
      'Time-to-live (IPv6: hop limit) of multicast: 0 stays on this host, 1 on the local ' +
      'network, each router takes one.',
    range: [0, 255],
    default: 1,
    env: 'BACKCAST_TTL',
  }),
});

const LOG = Type.Object({
  level: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
    description: 'Least severity that is logged.',
    default: 'info',
    env: 'BACKCAST_LOG_LEVEL',
  }),
  pretty: Type.Union([Type.Literal('auto'), Type.Boolean()], {
    description: 'Log for eyes rather than JSON; `auto`: when stderr is a terminal.',
    default: 'auto',
    env: 'BACKCAST_LOG_PRETTY',
  }),
});

const PUBLISHER = Type.Object({
  rateBytesPerSec: integer({
    description: 'Most bytes of data sent per second; repairs may take a quarter on top.',
    range: [1_000, 10 * GIBIBYTE],
    default: PUBLISH_BYTES_PER_SEC_DEFAULT,
    env: 'BACKCAST_RATE',
  }),
  pace: choice(['on', 'off'], {
    description: 'on: slow down, to a sixteenth at most, while receivers ask for much again.',
    default: 'off',
    env: 'BACKCAST_PACE',
  }),
  windowPackets: integer({
    description: 'Packets kept for repair.',
    range: [16, RECEIVE_WINDOW_PACKETS_MAX],
    default: TRANSMIT_WINDOW_PACKETS_DEFAULT,
  }),
  windowBytes: integer({
    description: 'Bytes kept for repair.',
    range: [65_536, GIBIBYTE],
    default: TRANSMIT_WINDOW_BYTES_DEFAULT,
  }),
  packetBytesMax: Type.Union(
    [Type.Literal('auto'), Type.Integer({ minimum: PACKET_BYTES_MIN, maximum: PACKET_BYTES_MAX })],
    {
      description:
        'Largest UDP payload; `auto`: what the interface carries in one piece, 8972 at most. ' +
        'A larger one than that is split, and lost as a whole with any piece.',
      default: 'auto',
      env: 'BACKCAST_PACKET_BYTES',
    },
  ),
  messageBytesMax: integer({
    description: 'Largest message.',
    range: [1, 64 * 1_048_576],
    default: MESSAGE_BYTES_DEFAULT_MAX,
  }),
  unarchivedBytesMax: integer({
    description:
      'Most bytes of packets that may be published and not archived; more have to wait. 0: no ' +
      'bound. Needs an archiver that acknowledges.',
    range: [0, 16 * GIBIBYTE],
    default: 0,
    env: 'BACKCAST_UNARCHIVED_BYTES',
  }),
  lingerMs: integer({
    description: 'How long a publisher that ends goes on answering requests for repair.',
    range: [0, 600_000],
    default: 2_000,
  }),
  flushMs: integer({
    description: 'How long a small message waits for others to share its packet.',
    range: [0, 1_000],
    default: 1,
  }),
});

const RECEIVER = Type.Object({
  receiveBufferBytes: integer({
    description: 'Socket buffer asked of the kernel; net.core.rmem_max bounds what it grants.',
    range: [65_536, GIBIBYTE],
    default: RECEIVE_BUFFER_BYTES_DEFAULT,
  }),
  repairTimeoutMs: integer({
    description: 'How long nothing of a hole may come before what is missing of it is given up.',
    range: [100, 600_000],
    default: REPAIR_TIMEOUT_MS_DEFAULT,
  }),
});

const ARCHIVER = Type.Object({
  name: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 64,
      description: 'Name under which this archiver holds its leases; the host name if not given.',
      env: 'BACKCAST_ARCHIVER',
    }),
  ),
  channels: Type.Array(Type.String({ pattern: '^[A-Za-z0-9._*-]{1,128}$', form: PATTERN_FORM }), {
    minItems: 1,
    description: 'Names and patterns of the channels to archive; `*` stands for any characters.',
    default: ['*'],
    env: 'BACKCAST_CHANNELS',
  }),
  acknowledge: Type.Union(
    [
      Type.Boolean(),
      Type.Array(Type.String({ pattern: '^[A-Za-z0-9._*-]{1,128}$', form: PATTERN_FORM })),
    ],
    {
      description:
        'Whether publishers are told what is archived: of all channels, or of those that these ' +
        'names and patterns name.',
      default: false,
      env: 'BACKCAST_ACKNOWLEDGE',
    },
  ),
  shards: Type.Union([Type.Literal('auto'), Type.Integer({ minimum: 1, maximum: 256 })], {
    description: 'Worker threads; `auto`: one less than processors, from 1 to 4.',
    default: 'auto',
    env: 'BACKCAST_SHARDS',
  }),
  writeTo: choice(['database', 'owner'], {
    description:
      'Where batches are sent: through `databaseUrl`; or, of tables that are spread over a Citus ' +
      'cluster, to the node that owns the channel.',
    default: 'database',
    env: 'BACKCAST_WRITE_TO',
  }),
  batchAgeMs: integer({
    description: 'How long the oldest message of a batch waits before the batch is committed.',
    range: [1, 60_000],
    default: BATCH_AGE_MS_DEFAULT,
  }),
  batchMessagesMax: integer({
    description: 'Most messages in one transaction.',
    range: [1, BATCH_MESSAGES_MAX],
    default: BATCH_MESSAGES_MAX,
  }),
  compression: choice(['auto', 'lz4', 'pglz', 'none'], {
    description:
      'Compression of payloads, fixed when the schema is made; `auto`: lz4 where it is, else none.',
    default: 'auto',
    env: 'BACKCAST_COMPRESSION',
  }),
  discoverEveryMs: integer({
    description: 'How often the registry is asked for new channels.',
    range: [100, DAY_MS],
    default: 1_000,
  }),
  compactEveryMs: Type.Union([Type.Literal(0), Type.Integer({ minimum: 1_000, maximum: DAY_MS })], {
    description: 'How often small segments are merged and space is given back; 0: never.',
    default: 300_000,
  }),
  spool: Type.Object({
    bytesMax: Type.Union(
      [Type.Literal(0), Type.Integer({ minimum: 67_108_864, maximum: 1_024 * GIBIBYTE })],
      {
        description:
          'What a channel may take of the disk for what waits for the database; 0: nothing.',
        default: GIBIBYTE,
        env: 'BACKCAST_SPOOL_BYTES',
      },
    ),
    dir: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Folder of the spool, no two archivers the same; `spool` in `home` if not given.',
        env: 'BACKCAST_SPOOL_DIR',
      }),
    ),
  }),
});

const API = Type.Object({
  host: Type.String({
    minLength: 1,
    description: 'Address on which the replay API listens.',
    default: '127.0.0.1',
    env: 'BACKCAST_HOST',
  }),
  port: integer({
    description: 'Port on which the replay API listens; 0: any free one.',
    range: [0, 65_535],
    default: 8_080,
    env: 'BACKCAST_PORT',
  }),
  url: Type.Optional(
    Type.String({
      pattern: '^https?://',
      form: 'a URL that begins with http:// or https://',
      description: 'Where commands find the replay API; `http(s)://host:port` if not given.',
      env: 'BACKCAST_API',
    }),
  ),
  replicaBehindMsMax: integer({
    description: 'How far the replica may be behind the primary and still be read from.',
    range: [100, DAY_MS],
    default: 5_000,
  }),
  limits: API_LIMITS,
  token: API_TOKEN,
  accessAge: API_ACCESS_KEPT,
  tls: API_TLS,
  jwt: API_JWT,
});

const METRICS = Type.Object({
  host: Type.String({
    minLength: 1,
    description: 'Address on which the archiver serves its metrics.',
    default: '127.0.0.1',
    env: 'BACKCAST_METRICS_HOST',
  }),
  port: Type.Optional(
    integer({
      description:
        'Port on which the archiver serves `/metrics`; not served if not given. ' +
        '`up` and `serve` have it at the replay API.',
      range: [0, 65_535],
      env: 'BACKCAST_METRICS_PORT',
    }),
  ),
});

/** The settings as a JSON schema with `env` and `secret` beside the usual keywords. */
export const CONFIG_SCHEMA = Type.Object({
  home: Type.String({
    minLength: 1,
    description: 'Folder of an embedded run: database, registry file.',
    default: './.backcast',
    env: 'BACKCAST_HOME',
  }),
  interface: Type.String({
    minLength: 1,
    description:
      'Network interface for multicast, by its name or an address of it; the default stays on ' +
      'this machine.',
    default: '127.0.0.1',
    env: 'BACKCAST_INTERFACE',
  }),
  databaseUrl: Type.Optional(
    Type.String({
      pattern: '^postgres(ql)?://',
      form: 'a URL that begins with postgres://',
      description: 'PostgreSQL; the embedded server if not given.',
      env: 'DATABASE_URL',
      secret: true,
    }),
  ),
  databaseReplicaUrl: Type.Optional(
    Type.String({
      pattern: '^postgres(ql)?://',
      form: 'a URL that begins with postgres://',
      description:
        'A server that follows the one of `databaseUrl`, from which the replay API reads history ' +
        'while it is not too far behind.',
      env: 'DATABASE_REPLICA_URL',
      secret: true,
    }),
  ),
  redisUrl: Type.Optional(
    Type.String({
      pattern: '^(rediss?://|unix:///|/)',
      form: 'a URL that begins with redis://, rediss:// or unix:///',
      description: 'Redis for the registry: redis://, rediss:// or unix:///path/to/socket.',
      env: 'REDIS_URL',
      secret: true,
    }),
  ),
  multicast: MULTICAST,
  log: LOG,
  registry: REGISTRY,
  authentication: AUTHENTICATION,
  publisher: PUBLISHER,
  receiver: RECEIVER,
  unicast: UNICAST,
  archiver: ARCHIVER,
  retention: RETENTION,
  api: API,
  metrics: METRICS,
  channels: Type.Array(CHANNEL, {
    description:
      'Channels with a fixed address: name, group, port, dport (7500), framing (native), sources ' +
      '(all), authentication (off), delivery (multicast), members (those of the registry).',
    default: [],
  }),
  faults: Type.String({
    description: 'Loss to inject, for trials: `receive-loss=0.05,seed=7`.',
    default: '',
    env: 'BACKCAST_FAULT',
  }),
  capture: Type.String({
    description:
      'File in which publish, subscribe and archive keep the datagrams they send and receive, ' +
      'for Wireshark; the archiver has one per channel, `FILE.CHANNEL.pcap`.',
    default: '',
    env: 'BACKCAST_CAPTURE',
  }),
});

/** All settings, checked. Frozen to the last level. */
export type Config = DeepReadonly<Static<typeof CONFIG_SCHEMA>>;

type DeepReadonly<Value> = Value extends object
  ? { readonly [Key in keyof Value]: DeepReadonly<Value[Key]> }
  : Value;
