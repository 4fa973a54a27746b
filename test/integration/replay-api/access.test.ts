// Who is let in, who is cut off, and what is noted of it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createToken, parseToken, revokeToken } from '#archive/mod.ts';
import type { SessionId } from '#base/mod.ts';
import { startReplayServer } from '#replay-api/mod.ts';
import { type ControlledApi, openControlledApi } from '#test/support/controlled-api.ts';
import { instantAt, segmentsOf } from '#test/support/filled-archive.ts';
import { silentLogger } from '#test/support/replay-api.ts';

const SESSION = '00000000000000aa' as SessionId;
const MESSAGES = '/v1/channels/orders.eu/messages';
const SEGMENTS = 24;
const MEBIBYTE = 1_048_576;

let api: ControlledApi;
before(async () => {
  api = await openControlledApi();
  for (const name of ['orders.eu', 'orders.us', 'trades'])
    await api.addChannel({ name, deliveries: segmentsOf(SESSION, 3, Buffer.alloc(1)) });
  await api.addChannel({
    name: 'orders.large',
    deliveries: segmentsOf(SESSION, SEGMENTS, Buffer.alloc(MEBIBYTE)),
  });
});
after(() => api[Symbol.asyncDispose]());

function codeOf(text: string): string {
  return (JSON.parse(text) as { readonly code: string }).code;
}

function idOf(token: string): string {
  const id = parseToken(token)?.id;
  assert.ok(id);
  return id;
}

test('before the first token everybody may ask, and from then on nobody without', async () => {
  await using fresh = await openControlledApi();
  assert.equal((await fresh.ask('/v1/channels')).status, 200);
  assert.equal((await fresh.ask('/v1/access')).status, 200);
  const token = await fresh.token('admin');
  await fresh.access.recheck(performance.now());
  assert.equal((await fresh.ask('/v1/channels')).status, 401);
  await revokeToken(fresh.opened.database, idOf(token));
  await fresh.access.recheck(performance.now());
  assert.equal((await fresh.ask('/v1/channels')).status, 401, 'the last token opens nothing');
});

test('a server that needs no token listens on this host only, and says what to do', async () => {
  await using fresh = await openControlledApi();
  const { opened: database, access } = fresh;
  const options = { database, logger: silentLogger, access, host: '0.0.0.0', port: 0 };
  await assert.rejects(startReplayServer(options), {
    code: 'BACKCAST_API_OPEN',
    message: /backcast token create/,
  });
  await assert.rejects(startReplayServer({ ...options, access: undefined }), {
    code: 'BACKCAST_API_OPEN',
  });
  await using server = await startReplayServer({ ...options, host: '127.0.0.1' });
  assert.equal((await fetch(`${server.url}/v1/channels`)).status, 200);
});

test('no token, half a token and a wrong secret are all worth nothing', async () => {
  const token = await api.token('read:*');
  await api.access.recheck(performance.now());
  const [id] = token.split('.');
  const wrong = [undefined, '', 'x', id, `${id}.`, `${id}.${'A'.repeat(43)}`, `${token}A`, 'a.b.c'];
  for (const presented of wrong) {
    const answer = await api.ask(MESSAGES, { token: presented });
    assert.equal(answer.status, 401, String(presented));
    assert.equal(codeOf(answer.text), 'BACKCAST_UNAUTHENTICATED');
    assert.match(String(answer.headers['www-authenticate']), /^Bearer/);
    assert.ok(!answer.text.includes(token.slice(20)), 'no part of a token is repeated');
  }
  assert.equal((await api.ask(MESSAGES, { token })).status, 200);
});

test('an expired token is worth nothing', async () => {
  const scopes = [{ kind: 'read', pattern: '*' } as const];
  const wanted = { name: 'old', scopes, expiresAtUs: instantAt(0) };
  const { text } = await createToken(api.opened.database, wanted);
  await api.access.recheck(performance.now());
  assert.equal((await api.ask(MESSAGES, { token: text })).status, 401);
});

test('a channel that may not be read looks as one that does not exist', async () => {
  const token = await api.token('read:orders.*', 'export:orders.eu', 'admin');
  await api.access.recheck(performance.now());
  for (const path of ['', '/sessions', '/losses', '/deletions', '/conflicts', '/messages']) {
    const forbidden = await api.ask(`/v1/channels/trades${path}`, { token });
    const unknown = await api.ask(`/v1/channels/nobody${path}`, { token });
    const within = await api.ask(`/v1/channels/orders.no${path}`, { token });
    const told = [forbidden, unknown, within].map(({ status, text }) => {
      const { instance: _, ...problem } = JSON.parse(text) as Record<string, string>;
      const name = /"(trades|nobody|orders\.no)"/;
      return { status, ...problem, detail: problem['detail'].replace(name, 'NAME') };
    });
    assert.equal(told[0].status, 404);
    assert.deepEqual(told[0], told[1]);
    assert.deepEqual(told[0], told[2]);
  }
});

test('the list of channels has those that may be read, page by page', async () => {
  const token = await api.token('read:orders.*', 'read:_rades');
  await api.access.recheck(performance.now());
  const names: string[] = [];
  let next: string | null = '/v1/channels?limit=1';
  while (next !== null) {
    const { text } = await api.ask(next, { token });
    const page = JSON.parse(text) as { items: { channel: string }[]; next: string | null };
    names.push(...page.items.map(({ channel }) => channel));
    ({ next } = page);
  }
  assert.deepEqual(names, ['orders.eu', 'orders.large', 'orders.us']);
  const none = await api.token('export:*');
  assert.match((await api.ask('/v1/channels', { token: none })).text, /"items":\[\]/);
});

test('a stream ends when its token is revoked, and its note says so', async () => {
  const token = await api.token('read:orders.large');
  const admin = await api.token('admin');
  await api.access.recheck(performance.now());
  const { opened: database, access } = api;
  const options = { database, logger: silentLogger, access, host: '127.0.0.1', port: 0 };
  await using server = await startReplayServer(options);
  const headers = { authorization: `Bearer ${token}`, accept: 'application/x-ndjson' };
  const answer = await fetch(`${server.url}/v1/channels/orders.large/messages`, { headers });
  const reader = answer.body?.getReader();
  assert.ok(reader);
  await reader.read();
  await revokeToken(api.opened.database, idOf(token));
  await api.access.recheck(performance.now());
  await assert.rejects(async () => {
    while (!(await reader.read()).done);
  });
  await server.close();
  await api.access.log.write();
  const who = `token:${idOf(token)}`;
  const listed = await api.ask(`/v1/access?who=${who}`, { token: admin });
  const { items } = JSON.parse(listed.text) as { items: Record<string, unknown>[] };
  assert.equal(items.length, 1);
  assert.equal(items[0]['outcome'], 'revoked');
  assert.equal(items[0]['channel'], 'orders.large');
});

test('a tail on which nothing happens ends when its token is revoked', async () => {
  const token = await api.token('read:trades');
  await api.access.recheck(performance.now());
  const { opened: database, access } = api;
  const options = { database, logger: silentLogger, access, host: '127.0.0.1', port: 0 };
  await using server = await startReplayServer(options);
  const headers = { authorization: `Bearer ${token}`, accept: 'text/event-stream' };
  const answer = await fetch(`${server.url}/v1/channels/trades/tail`, { headers });
  assert.equal(answer.status, 200);
  await revokeToken(api.opened.database, idOf(token));
  await api.access.recheck(performance.now());
  // An event stream has no end record: it may end in order.
  await answer.text().catch(() => undefined);
  await server.close();
  await api.access.log.write();
  const admin = await api.token('admin');
  const listed = await api.ask(`/v1/access?who=token:${idOf(token)}`, { token: admin });
  const { items } = JSON.parse(listed.text) as { items: Record<string, unknown>[] };
  assert.deepEqual(
    items.map(({ operation, outcome }) => [operation, outcome]),
    [['tailChannel', 'revoked']],
  );
});

test('what began before the first token ends with it', async () => {
  await using fresh = await openControlledApi();
  const reasons: string[] = [];
  fresh.access.follow({ credential: undefined, revoke: ({ code }) => reasons.push(code) });
  await fresh.access.recheck(performance.now());
  assert.deepEqual(reasons, []);
  await fresh.token('admin');
  await fresh.access.recheck(performance.now());
  assert.deepEqual(reasons, ['BACKCAST_UNAUTHENTICATED']);
});

test('while nobody can tell whether a token is valid its answers go on for a while', async () => {
  await using fresh = await openControlledApi();
  const token = await fresh.token('read:*');
  const { access, opened } = fresh;
  const reasons: string[] = [];
  const beganMs = performance.now();
  access.follow({ credential: token, revoke: ({ code }) => reasons.push(code) });
  await access.recheck(beganMs + 10_000);
  await opened.database.schema.alterTable('tokens').renameTo('tokens_away').execute();
  await access.recheck(beganMs + 25_000);
  await access.recheck(beganMs + 39_000);
  assert.deepEqual(reasons, []);
  await access.recheck(beganMs + 41_000);
  assert.deepEqual(reasons, ['BACKCAST_UNAUTHENTICATED']);
  await opened.database.schema.alterTable('tokens_away').renameTo('tokens').execute();
});

test('an answer that was let go is not cut any more', async () => {
  await using fresh = await openControlledApi();
  const token = await fresh.token('read:*');
  let cuts = 0;
  const forget = fresh.access.follow({ credential: token, revoke: () => void (cuts += 1) });
  forget();
  await revokeToken(fresh.opened.database, idOf(token));
  await fresh.access.recheck(performance.now());
  assert.equal(cuts, 0);
});
