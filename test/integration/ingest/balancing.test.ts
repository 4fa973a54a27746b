// Channels spread over the archivers that hear them. An archiver that is added takes over those
// that fall to it, once they have stayed with the other for a while, and no others; and nothing is
// lost or stored twice while they change hands.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChannelPublisher } from '#client/mod.ts';
import { preferredOf } from '#ingest/preference.ts';
import { startArchiverProcess } from '#test/support/archiver-process.ts';
import { type Scene, setScene } from '#test/support/archiving.ts';
import { checkLabels } from '#test/support/labelled-messages.ts';
import { startTraffic } from '#test/support/steady-traffic.ts';
import { until } from '#test/support/until.ts';

const NAMES = ['first', 'second'];
/** A channel stays so long with whoever writes it, before it goes to another for balance alone. */
const SETTLED_MS = 30_000;
/** What is not lost while a channel changes hands can not have come from its publisher again. */
const TINY_WINDOW = { windowPackets: 512, windowBytes: 1_048_576, messageBytesMax: 8_192 };

/** A channel that falls to `name`. */
function channelOf(name: string): string {
  const candidates = Array.from({ length: 64 }, (_, index) => `orders-${index}`);
  const channel = candidates.find((candidate) => preferredOf(candidate, NAMES) === name);
  assert.ok(channel !== undefined);
  return channel;
}

test('an archiver that is added takes over what falls to it, and nothing else', async (context) => {
  await using kept = await setScene({ channel: channelOf('first') });
  const { databaseUrl } = kept;
  await using moved = await setScene({ channel: channelOf('second'), databaseUrl });
  const channels = [kept, moved].map(({ channel, address }) => ({ name: channel, ...address }));
  const start = (name: string) =>
    startArchiverProcess({ scene: moved, name, config: { channels } });
  await using first = await start('first');
  await using second = await start('second');
  assert.deepEqual([first.leading.count, second.leading.count], [2, 0]);
  await using keptPublisher = await kept.openPublisher({ ...TINY_WINDOW, lingerMs: 1_000 });
  await using movedPublisher = await moved.openPublisher({ ...TINY_WINDOW, lingerMs: 1_000 });
  const load = { messagesPerSec: 1_000, payloadBytes: 120 };
  await using traffic = startTraffic([keptPublisher, movedPublisher], load);
  await until('the other writes', () => second.leading.count === 1, 2 * SETTLED_MS);
  const tookMs = second.leading.atMs - first.leading.atMs;
  context.diagnostic(`handed over after ${Math.round(tookMs)} ms`);
  assert.ok(tookMs >= SETTLED_MS - 1_000, `handed over after ${tookMs} ms`);
  await first.said('"msg":"handed over"', moved.channel);
  await moved.accounted(movedPublisher.lastSequence + 1_000);
  await traffic.stop();
  await audited(kept, keptPublisher);
  await audited(moved, movedPublisher);
  assert.equal(first.lines.filter((line) => line.includes('handed over')).length, 1);
  assert.deepEqual([first.leading.count, second.leading.count], [2, 1]);
});

async function audited(scene: Scene, { lastSequence }: ChannelPublisher): Promise<void> {
  await scene.accounted(lastSequence);
  const { storedCount, lostCount } = await scene.audited();
  assert.deepEqual([storedCount, lostCount], [lastSequence, 0]);
  await checkLabels(scene.database, scene.channel);
}
