// How old the keys of an issuer may be, against a server of this test and a clock that it sets.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import { exportJWK, generateKeyPair, type JWK, type JWTVerifyGetKey } from 'jose';
import {
  createIssuerKeys,
  type IssuerKeys,
  KEYS_FRESH_MS,
  KEYS_KEPT_MS,
} from '#replay-api/access/issuer-keys.ts';
import { silentLogger } from '#test/support/replay-api.ts';

let published: JWK[] = [];
let isAway = false;
let asked = 0;
let nowMs = 0;
let keys: IssuerKeys;
let one: JWK;
let two: JWK;
const server = createServer((_request, response) => {
  asked += 1;
  response.statusCode = isAway ? 503 : 200;
  response.end(JSON.stringify({ keys: published }));
});

before(async () => {
  [one, two] = await Promise.all(['one', 'two'].map(makeKey));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
after(() => server.close());
beforeEach(() => {
  const { port } = server.address() as AddressInfo;
  published = [one];
  isAway = false;
  asked = 0;
  nowMs = 0;
  keys = createIssuerKeys(`http://127.0.0.1:${port}/`, silentLogger, () => nowMs);
});

async function makeKey(kid: string): Promise<JWK> {
  const { publicKey } = await generateKeyPair('ES256', { extractable: true });
  return { ...(await exportJWK(publicKey)), kid, alg: 'ES256' };
}

async function has(find: JWTVerifyGetKey, kid: string): Promise<boolean> {
  const token = { payload: '', signature: '' };
  return await Promise.resolve(find({ alg: 'ES256', kid }, token)).then(
    () => true,
    () => false,
  );
}

test('a key that is withdrawn is not found half a minute later', async () => {
  assert.ok(await has(await keys.load(), 'one'));
  published = [two];
  nowMs = KEYS_FRESH_MS;
  assert.ok(await has(await keys.load(), 'one'), 'not asked again yet');
  nowMs = KEYS_FRESH_MS + 1;
  const find = await keys.load();
  assert.deepEqual([await has(find, 'one'), await has(find, 'two')], [false, true]);
  assert.equal(asked, 2);
});

test('a new key is found when a token names it, and unknown ones cost little', async () => {
  await keys.load();
  published = [one, two];
  nowMs = 4_000;
  assert.ok(!(await has(await keys.reload(), 'two')), 'asked a moment ago');
  nowMs = 6_000;
  assert.ok(await has(await keys.reload(), 'two'));
  for (let round = 0; round < 50; round += 1) await keys.reload();
  assert.equal(asked, 2);
});

test('while the issuer is away its keys are used for ten minutes', async () => {
  await keys.load();
  isAway = true;
  for (nowMs = 0; nowMs <= KEYS_KEPT_MS; nowMs += 1_000)
    assert.ok(await has(await keys.load(), 'one'), `${nowMs} ms`);
  assert.ok(asked < 120, `${asked} fetches`);
  nowMs = KEYS_KEPT_MS + 1_000;
  await assert.rejects(keys.load(), { code: 'BACKCAST_ISSUER_UNREACHABLE' });
  isAway = false;
  nowMs += 6_000;
  assert.ok(await has(await keys.load(), 'one'), 'back by itself');
});
