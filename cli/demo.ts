// Three publishers on two channels that say something plausible, so that a first look shows live
// traffic.

import { randomBelow } from '#base/mod.ts';
import type { ChannelPublisher } from '#client/mod.ts';
import type { Config } from '#config/mod.ts';
import type { Archiver } from '#ingest/mod.ts';
import { processRandom } from '#multicast/udp/mod.ts';
import type { Registry } from '#registry/mod.ts';
import { openKeys } from './authentication.ts';
import { unlessAborted } from './service-end.ts';
import { openPublisher } from './services.ts';

/** The demo's channels and who publishes there. */
const CAST: readonly { readonly channel: string; readonly source: string }[] = [
  { channel: 'demo.orders', source: 'gateway-1' },
  { channel: 'demo.orders', source: 'gateway-2' },
  { channel: 'demo.chat', source: 'chat-1' },
];

/** Each publisher says something this often. */
const EVERY_MS = 100;
/** The demo ends with the archiver that listens to it: nobody is left to ask for repairs. */
const LINGER_MS = 100;

const SYMBOLS = ['ACME', 'GLOBEX', 'INITECH', 'HOOLI'];
const LINES = [
  'hello',
  'who restarted the gateway?',
  'at 3 a.m.?',
  'nothing was lost',
  'good night',
];

/**
 * Starts the demo once its channels are being recorded, which takes as long as another archiver has
 * them. Disposing ends it in order. Rejects when `signal` fires before it has started.
 */
export async function startDemo(
  config: Config,
  registry: Registry,
  archiver: Archiver,
  signal: AbortSignal,
): Promise<AsyncDisposable> {
  const resources = new AsyncDisposableStack();
  try {
    const keys = openKeys(config, resources, () => undefined);
    for (const { channel, source } of CAST) {
      const address = await registry.resolve(channel);
      await unlessAborted(archiver.recording(channel), signal);
      const hasty = { ...config.publisher, lingerMs: LINGER_MS };
      // The archiver's capture shows what all three of them send.
      const quick = { ...config, publisher: hasty, capture: '' };
      const end = { channel, registry, address, source, keys, tell: () => undefined };
      const publisher = resources.use(await openPublisher(quick, end));
      const timer = setInterval(() => say(publisher, channel), EVERY_MS);
      resources.defer(() => clearInterval(timer));
    }
    return resources;
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}

function say(publisher: ChannelPublisher, channel: string): void {
  const random = processRandom();
  const number = publisher.lastSequence + 1;
  const said =
    channel === 'demo.chat'
      ? { number, line: LINES[randomBelow(random, LINES.length)] }
      : {
          number,
          symbol: SYMBOLS[randomBelow(random, SYMBOLS.length)],
          side: random() < 0.5 ? 'buy' : 'sell',
          price: randomBelow(random, 100_000) / 100,
          quantity: 1 + randomBelow(random, 500),
        };
  publisher.tryPublish(Buffer.from(JSON.stringify(said)));
}
