// Who may export, and what is noted of it: an export is a right of its own, checked on the route
// and while it is sent.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ControlledApi, openControlledApi } from '#test/support/controlled-api.ts';
import { linesOf } from '#test/support/replay-api.ts';
import { SESSIONS, tradedChannel } from '#test/support/traded-channel.ts';

const PATH = '/v1/channels/trades/export?format=ndjson';

let api: ControlledApi;
before(async () => {
  api = await openControlledApi();
  await api.addChannel(tradedChannel('trades', 1));
});
after(() => api[Symbol.asyncDispose]());

test('only the scope of exports for the channel opens the route', async () => {
  const [right, other, reader, stranger] = await Promise.all([
    api.token('export:tra*'),
    api.token('export:orders'),
    api.token('read:trades'),
    api.token('admin'),
  ]);
  await api.access.recheck(performance.now());
  const statusOf = async (token?: string): Promise<number> =>
    (await api.ask(PATH, { token })).status;
  assert.equal(await statusOf(right), 200);
  assert.equal(await statusOf(), 401);
  assert.equal(await statusOf(reader), 403);
  assert.equal(await statusOf(other), 404);
  assert.equal(await statusOf(stranger), 404);
});

test('an export is noted with what was sent of it, not with what was looked through', async () => {
  const token = await api.token('export:*');
  const admin = await api.token('admin');
  await api.access.recheck(performance.now());
  const answer = await api.ask(`${PATH}&session=${SESSIONS[0]}`, { token });
  const sent = linesOf(answer.text).filter(({ kind }) => kind === 'message');
  await api.access.log.write();
  const list = await api.ask('/v1/access?limit=1', { token: admin });
  const [noted] = (JSON.parse(list.text) as { items: Record<string, unknown>[] }).items;
  assert.equal(noted['operation'], 'exportMessages');
  assert.equal(noted['channel'], 'trades');
  assert.equal(noted['outcome'], 'complete');
  assert.equal(noted['messages'], sent.length);
  assert.equal(noted['firstPosition'], sent[0]['position']);
  assert.equal(noted['lastPosition'], sent.at(-1)?.['position']);
});
