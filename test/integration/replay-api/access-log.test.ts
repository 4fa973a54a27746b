// What is noted of each reading, how it is listed, and that notes wait for nobody and nobody for
// them.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get } from 'node:http';
import { after, before, test } from 'node:test';
import { writeAccesses } from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import { startReplayServer } from '#replay-api/mod.ts';
import { type ControlledApi, openControlledApi } from '#test/support/controlled-api.ts';
import { segmentsOf } from '#test/support/filled-archive.ts';
import { silentLogger } from '#test/support/replay-api.ts';

const SESSION = '00000000000000aa' as SessionId;
const MEBIBYTE = 1_048_576;

interface Item {
  readonly id: string;
  readonly channel: string;
  readonly who: string;
  readonly remote: string;
  readonly operation: string;
  readonly request: string;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly outcome: string;
  readonly messages: number;
  readonly firstPosition: number | null;
  readonly lastPosition: number | null;
}

let api: ControlledApi;
let admin: string;
let reader: string;
let orders: number;
before(async () => {
  api = await openControlledApi();
  orders = await api.addChannel({
    name: 'orders',
    deliveries: segmentsOf(SESSION, 9, Buffer.alloc(1)),
  });
  await api.addChannel({ name: 'trades', deliveries: segmentsOf(SESSION, 2, Buffer.alloc(1)) });
  await api.addChannel({
    name: 'large',
    deliveries: segmentsOf(SESSION, 24, Buffer.alloc(MEBIBYTE)),
  });
  admin = await api.token('admin');
  reader = await api.token('read:*');
  await api.access.recheck(performance.now());
});
after(() => api[Symbol.asyncDispose]());

async function listed(query: string): Promise<{ items: Item[]; next: string | null }> {
  await api.access.log.write();
  const path = query.startsWith('/') ? query : `/v1/access?${query}`;
  const { status, text } = await api.ask(path, { token: admin });
  assert.equal(status, 200, text);
  return JSON.parse(text) as { items: Item[]; next: string | null };
}

test('a reading is noted with who, what, how many and how it ended', async () => {
  const query = 'after=2&limit=3';
  await api.ask(`/v1/channels/orders/messages?${query}`, { token: reader });
  const { items } = await listed('channel=orders');
  assert.equal(items.length, 1);
  const [{ id, startedAt, endedAt, ...item }] = items;
  assert.deepEqual(item, {
    channel: 'orders',
    who: `token:${reader.slice(4, 16)}`,
    remote: '127.0.0.1',
    operation: 'readMessages',
    request: query,
    outcome: 'complete',
    messages: 3,
    firstPosition: 3,
    lastPosition: 5,
  });
  assert.match(id, /^[0-9a-f-]{36}$/);
  assert.ok(endedAt !== null && startedAt <= endedAt);
});

test('a stream is noted as a page is, also backwards', async () => {
  const path = '/v1/channels/trades/messages?order=desc';
  await api.ask(path, { token: reader, accept: 'application/x-ndjson' });
  const [item] = (await listed('channel=trades')).items;
  const { messages, firstPosition, lastPosition, outcome } = item;
  assert.deepEqual([messages, firstPosition, lastPosition, outcome], [2, 1, 2, 'complete']);
});

test('what is refused, and what is no message, leaves no entry', async () => {
  const before = (await listed('')).items.length;
  for (const path of ['/v1/channels/orders', '/v1/channels/orders/losses', '/v1/channels'])
    await api.ask(path, { token: reader });
  await api.ask('/v1/channels/orders/messages', { token: admin });
  await api.ask('/v1/channels/none/messages', { token: reader });
  await api.ask('/v1/channels/orders/messages?after=x', { token: reader });
  assert.equal((await listed('')).items.length, before);
});

test('a reading is listed while it runs, and as aborted when its reader leaves', async () => {
  const { opened: database, access } = api;
  const options = { database, logger: silentLogger, access, host: '127.0.0.1', port: 0 };
  await using server = await startReplayServer(options);
  const headers = { authorization: `Bearer ${reader}`, accept: 'application/x-ndjson' };
  const request = get(`${server.url}/v1/channels/large/messages`, { headers });
  const [answer] = (await once(request, 'response')) as [
    NodeJS.ReadableStream & { destroy(): void },
  ];
  await once(answer, 'readable');
  const running = (await listed('channel=large')).items[0];
  assert.deepEqual([running.outcome, running.endedAt], ['running', null]);
  answer.destroy();
  await server.close();
  let [ended] = (await listed('channel=large')).items;
  while (ended.endedAt === null) [ended] = (await listed('channel=large')).items;
  assert.equal(ended.id, running.id);
  assert.equal(ended.outcome, 'aborted');
  assert.ok(ended.endedAt !== null && ended.messages < 24, `${ended.messages} messages`);
});

test('readings are listed page by page, the latest first, each once', async () => {
  for (let round = 0; round < 7; round += 1)
    await api.ask(`/v1/channels/orders/messages?after=${round}`, { token: reader });
  const all = (await listed('channel=orders&limit=100')).items;
  const paged: Item[] = [];
  let next: string | null = '/v1/access?channel=orders&limit=3';
  while (next !== null) {
    const page = await listed(next);
    paged.push(...page.items);
    ({ next } = page);
  }
  assert.deepEqual(
    paged.map(({ id }) => id),
    all.map(({ id }) => id),
  );
  const instants = all.map(({ startedAt }) => startedAt);
  assert.deepEqual(
    instants,
    instants.toSorted((a, b) => b.localeCompare(a)),
  );
});

test('readings are found by who and by when', async () => {
  const other = await api.token('read:trades');
  await api.ask('/v1/channels/trades/messages', { token: other });
  const { items } = await listed(`who=token:${other.slice(4, 16)}`);
  assert.deepEqual(
    items.map(({ channel }) => channel),
    ['trades'],
  );
  const { startedAt } = items[0];
  assert.equal((await listed(`channel=trades&to=${startedAt}`)).items.length, 1);
  assert.equal((await listed(`channel=trades&from=${startedAt}`)).items.length, 1);
});

const BAD = ['cursor=1', 'from=now', 'channel=a%20b', 'who=x&who=y', 'limit=0', 'surprise=1'];

for (const query of BAD)
  test(`/v1/access?${query} is refused`, async () => {
    const { status } = await api.ask(`/v1/access?${query}`, { token: admin });
    assert.equal(status, 400);
  });

test('what the caller wrote is kept as far as a database can keep it', async () => {
  const note = { request: '' };
  const path = `/v1/channels/orders/messages?session=${SESSION}&first=1`;
  await api.ask(path, { token: reader });
  note.request = (await listed('channel=orders&limit=1')).items[0].request;
  assert.equal(note.request, `session=${SESSION}&first=1`);
});

test('old notes are forgotten, new ones stay', async () => {
  await using fresh = await openControlledApi({ keptMs: 86_400_000 });
  const channelId = await fresh.addChannel({
    name: 'orders',
    deliveries: segmentsOf(SESSION, 1, Buffer.alloc(1)),
  });
  const ages = [0, 0.9, 1.1, 30];
  const old = ages.map((days, index) => ({
    id: `00000000-0000-4000-8000-00000000000${index}`,
    channelId,
    startedAtUs: Date.now() * 1_000 - days * 86_400_000_000,
    endedAtUs: null,
    outcome: 'running' as const,
    operation: 'readMessages',
    who: 'anybody',
    remote: '127.0.0.1',
    request: '',
    messageCount: 0,
    firstPosition: null,
    lastPosition: null,
  }));
  await writeAccesses(fresh.opened.database, old);
  await fresh.access.log.forget();
  const { text } = await fresh.ask('/v1/access');
  const { items } = JSON.parse(text) as { items: Item[] };
  assert.deepEqual(
    items.map(({ id }) => id.at(-1)),
    ['0', '1'],
  );
  assert.ok(orders > 0);
});

test('notes that cannot be written wait, and no reader with them', async () => {
  await using fresh = await openControlledApi();
  await fresh.addChannel({ name: 'orders', deliveries: segmentsOf(SESSION, 1, Buffer.alloc(1)) });
  const { database } = fresh.opened;
  await database.schema.alterTable('accesses').renameTo('accesses_away').execute();
  const { status } = await fresh.ask('/v1/channels/orders/messages');
  assert.equal(status, 200);
  await fresh.access.log.write();
  await database.schema.alterTable('accesses_away').renameTo('accesses').execute();
  await fresh.access.log.write();
  const { text } = await fresh.ask('/v1/access');
  assert.equal((JSON.parse(text) as { items: Item[] }).items.length, 1);
});
