// Where `demo outage` plays: an archive with its replay API and a publisher, as processes of their
// own on a folder of the demo's, and what an instance needs to join them.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BackcastError, randomBelow } from '#base/mod.ts';
import { loadConfig } from '#config/mod.ts';
import { processRandom } from '#multicast/udp/mod.ts';
import { openCommandRegistry } from '../registry.ts';
import { subscriberOptions } from '../services.ts';
import { type DemoCommand, startCommand } from './child.ts';
import type { InstanceOrders } from './instance.ts';

/** What is played. */
export interface StageOptions {
  /** Empty, and the demo's alone. */
  readonly folder: string;
  readonly interfaceAddress: string;
  /** Messages per second. */
  readonly rate: number;
  readonly payloadBytes: number;
  /** For how long the publisher can repair. */
  readonly windowMs: number;
}

/** The set stage. */
export interface Stage {
  readonly channel: string;
  readonly api: string;
  readonly publisher: DemoCommand;
  readonly orders: InstanceOrders;
  /** Ends what is archived of the channel, in messages. */
  archivedCount(): Promise<number>;
}

const CHANNEL = 'demo.outage';
/** As many as the registry hands out where it is asked. */
const PORT_FIRST = 20_000;
const PORTS = 4_096;
/** What a message takes of the window beside its payload. */
const OVERHEAD_BYTES = 16;
const WINDOW_BYTES_MIN = 1_048_576;
const MESSAGE_BYTES_MAX = 65_536;
/** What may wait in an instance that reads the archive: as much as comes in half a minute. */
const BUFFERED_SECONDS = 30;
const BUFFER_BYTES_MIN = 64 * 1_048_576;
const ARCHIVED_MS_MAX = 30_000;
const LOOK_EVERY_MS = 100;

/** Starts archive and publisher; they end with `resources`. */
export async function setStage(
  options: StageOptions,
  resources: AsyncDisposableStack,
): Promise<Stage> {
  const { folder, rate, payloadBytes } = options;
  mkdirSync(join(folder, 'home'), { recursive: true });
  const file = join(folder, 'backcast.yaml');
  const bytesPerSec = rate * (payloadBytes + OVERHEAD_BYTES);
  const windowBytes = Math.max(WINDOW_BYTES_MIN, (bytesPerSec * options.windowMs) / 1_000);
  const settings = {
    home: join(folder, 'home'),
    interface: options.interfaceAddress,
    channels: [{ name: CHANNEL, ...ownAddress() }],
    api: { port: 0 },
    publisher: { windowBytes: Math.ceil(windowBytes), messageBytesMax: MESSAGE_BYTES_MAX },
    log: { level: 'warn' },
  };
  writeFileSync(file, JSON.stringify(settings, undefined, 2));
  const up = resources.use(startCommand(['up', '--config', file]));
  const [, api = ''] = await up.says(/replay API {2,}(http:\S+)\/v1\/channels/);
  const config = loadConfig({ env: {}, cwd: folder, file, flags: [] });
  const registry = await openCommandRegistry(config, resources, () => undefined);
  const address = await registry.resolve(CHANNEL);
  const made = ['--count', String(Number.MAX_SAFE_INTEGER), '--size', String(payloadBytes)];
  const pace = ['--rate', String(rate), '--source', 'gateway-1', '--config', file];
  const publisher = resources.use(startCommand(['publish', CHANNEL, ...made, ...pace]));
  await untilArchived(api);
  return {
    channel: CHANNEL,
    api,
    publisher,
    orders: {
      channel: CHANNEL,
      api,
      multicast: subscriberOptions(config, address, { unicast: undefined, keys: undefined }),
      file: join(folder, 'instance.json'),
      bufferBytesMax: Math.max(BUFFER_BYTES_MIN, bytesPerSec * BUFFERED_SECONDS),
    },
    archivedCount: () => archivedCount(api),
  };
}

/** Two demos on one machine must not hear each other. */
function ownAddress(): { readonly group: string; readonly port: number } {
  const random = processRandom();
  const [high, low] = [randomBelow(random, 256), randomBelow(random, 256)];
  return { group: `239.192.${high}.${low}`, port: PORT_FIRST + randomBelow(random, PORTS) };
}

/** Resolves once what the publisher sends is archived. */
async function untilArchived(api: string): Promise<void> {
  const untilMs = performance.now() + ARCHIVED_MS_MAX;
  while (performance.now() < untilMs) {
    const count = await archivedCount(api).catch(() => 0);
    if (count > 0) return;
    await delay(LOOK_EVERY_MS);
  }
  throw new BackcastError('BACKCAST_DEMO_FAILED', 'nothing is archived of what is published');
}

async function archivedCount(api: string): Promise<number> {
  const { askForJson } = await import('#client/mod.ts');
  const { archivedThrough } = await askForJson({ url: api }, { path: `/v1/channels/${CHANNEL}` });
  return Number(archivedThrough);
}
