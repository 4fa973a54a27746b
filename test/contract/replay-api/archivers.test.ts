// The three watermarks: what an archiver has heard, what it has on its disk, and what everybody can
// read.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { acquireLease, announceCandidate, releaseLease } from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import { instantAt } from '#test/support/filled-archive.ts';
import { openTestApi, type TestApi } from '#test/support/replay-api.ts';

const SESSION = '0000000000000001' as SessionId;

let api: TestApi;
before(async () => {
  api = await openTestApi();
});
after(() => api[Symbol.asyncDispose]());

interface Shown {
  readonly archivedThrough: number;
  readonly archivers: {
    readonly name: string;
    readonly isWriting: boolean;
    readonly seenAt: string;
    readonly heardAt: string;
    readonly received: number;
    readonly spooled: number;
  }[];
}

async function addChannel(name: string): Promise<number> {
  const message = { session: SESSION, publishedAtUs: instantAt(0), payload: Buffer.from('x') };
  const messages = [1, 2, 3].map((sequence) => ({ ...message, sequence }));
  const deliveries = [{ kind: 'segment', archivedAtUs: instantAt(1), messages } as const];
  return await api.addChannel({ name, deliveries });
}

async function announce(holder: string, own: Parameters<typeof announceCandidate>[2][number]) {
  await announceCandidate(api.opened.database, holder, [own]);
}

async function show(channel: string): Promise<Shown> {
  const answer = await api.get(`/v1/channels/${channel}`);
  assert.equal(answer.status, 200, answer.text);
  return JSON.parse(answer.text) as Shown;
}

test('each archiver says how far it is beyond what is archived, and which one writes', async () => {
  const channelId = await addChannel('orders');
  const far = { channelId, silentMs: 0, receivedPosition: 9, spooledPosition: 7 };
  await announce('b', far);
  await announce('a', { channelId, silentMs: 60_000, receivedPosition: 4, spooledPosition: 3 });
  const lease = await acquireLease(api.opened.database, channelId, 'b', 60_000);
  assert.equal(lease.outcome, 'acquired');
  const { archivedThrough, archivers } = await show('orders');
  assert.equal(archivedThrough, 3);
  assert.deepEqual(
    archivers.map(({ name, isWriting, received, spooled }) => [name, isWriting, received, spooled]),
    [
      ['a', false, 4, 3],
      ['b', true, 9, 7],
    ],
  );
  const [{ seenAt, heardAt }] = archivers;
  const silenceMs = Date.parse(seenAt) - Date.parse(heardAt);
  assert.ok(Math.abs(silenceMs - 60_000) <= 1, `silent for ${silenceMs} ms`);
  await announce('b', { ...far, receivedPosition: 12 });
  assert.equal((await show('orders')).archivers[1].received, 12);
});

test('an archiver whose lease is over is not the one that writes', async () => {
  const channelId = await addChannel('handed');
  await announce('a', { channelId, silentMs: 0, receivedPosition: 3, spooledPosition: 3 });
  const lease = await acquireLease(api.opened.database, channelId, 'a', 60_000);
  assert.ok(lease.outcome === 'acquired');
  assert.equal((await show('handed')).archivers[0].isWriting, true);
  await releaseLease(api.opened.database, { channelId, epoch: lease.epoch });
  assert.equal((await show('handed')).archivers[0].isWriting, false);
});

test('channels are listed with their own archivers', async () => {
  const channelId = await addChannel('listed');
  await announce('c', { channelId, silentMs: 0, receivedPosition: 5, spooledPosition: 4 });
  const page = JSON.parse((await api.get('/v1/channels')).text) as {
    items: (Shown & { readonly channel: string })[];
  };
  const listed = page.items.find(({ channel }) => channel === 'listed');
  assert.deepEqual(
    listed?.archivers.map(({ name }) => name),
    ['c'],
  );
});
