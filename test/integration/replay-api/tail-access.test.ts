// A tail needs a right for as long as it goes on, and leaves a note of what was handed over.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parseToken, revokeToken } from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import { type ReplayServer, startReplayServer } from '#replay-api/mod.ts';
import { type ControlledApi, openControlledApi } from '#test/support/controlled-api.ts';
import { instantAt } from '#test/support/filled-archive.ts';
import { silentLogger } from '#test/support/replay-api.ts';
import { isLive, openTail } from '#test/support/tail-reader.ts';

const SESSION = '00000000000000aa' as SessionId;

let api: ControlledApi;
let server: ReplayServer;
before(async () => {
  api = await openControlledApi();
  for (const name of ['orders', 'trades']) {
    const message = { session: SESSION, publishedAtUs: instantAt(0), payload: Buffer.from('x') };
    const messages = [1, 2, 3].map((sequence) => ({ ...message, sequence }));
    const deliveries = [{ kind: 'segment', archivedAtUs: instantAt(1), messages } as const];
    await api.addChannel({ name, deliveries });
  }
  const { opened: database, access } = api;
  const place = { host: '127.0.0.1', port: 0 };
  server = await startReplayServer({ database, logger: silentLogger, access, ...place });
});
after(async () => {
  await server.close();
  await api[Symbol.asyncDispose]();
});

test('a tail ends in words when its token is revoked, and its note says what it read', async () => {
  const token = await api.token('read:orders');
  const admin = await api.token('admin');
  const id = parseToken(token)?.id;
  assert.ok(id !== undefined);
  await api.access.recheck(performance.now());
  await using tail = await openTail(`${server.url}/v1/channels/orders/tail?after=1`, '', token);
  await tail.through(isLive);
  await revokeToken(api.opened.database, id);
  await api.access.recheck(performance.now());
  const frames = await tail.through(({ kind }) => kind === 'end');
  assert.equal(frames.at(-1)?.body['code'], 'BACKCAST_UNAUTHENTICATED');
  assert.equal(frames.at(-1)?.body['position'], 3);
  await api.access.log.write();
  const listed = await api.ask(`/v1/access?who=token:${id}`, { token: admin });
  const { items } = JSON.parse(listed.text) as { items: Record<string, unknown>[] };
  assert.equal(items.length, 1);
  const { outcome, channel, request, messages, firstPosition, lastPosition } = items[0];
  assert.deepEqual(
    [outcome, channel, request, messages, firstPosition, lastPosition],
    ['revoked', 'orders', 'tail after=1', 2, 2, 3],
  );
});

test('a channel that may not be read cannot be tailed, and looks as one that is none', async () => {
  const token = await api.token('read:orders');
  await api.access.recheck(performance.now());
  const codes = ['trades', 'none'].map(async (channel) => {
    const answer = await api.ask(`/v1/channels/${channel}/tail`, { token });
    return [answer.status, (JSON.parse(answer.text) as { code: string }).code];
  });
  const refused = [404, 'BACKCAST_CHANNEL_UNKNOWN'];
  assert.deepEqual(await Promise.all(codes), [refused, refused]);
  assert.equal((await api.ask('/v1/channels/orders/tail')).status, 401);
});
