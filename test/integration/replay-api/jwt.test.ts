// Tokens of another issuer, which is a server of this test: what counts, what does not, and what
// happens when its keys change or it goes away.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { exportJWK, generateKeyPair, type JSONWebKeySet, SignJWT } from 'jose';
import { type ControlledApi, openControlledApi } from '#test/support/controlled-api.ts';

type KeyPair = Awaited<ReturnType<typeof generateKeyPair>>;

const ISSUER = 'https://login.test/';
const AUDIENCE = 'backcast';
const ORDERS = '/v1/channels/orders';

let pair: KeyPair;
let keys: JSONWebKeySet = { keys: [] };
let answer = (): { status: number; body: string } => ({ status: 200, body: JSON.stringify(keys) });
let asked = 0;
const server = createServer((_request, response) => {
  asked += 1;
  const { status, body } = answer();
  response.writeHead(status, { location: '/elsewhere' }).end(body);
});
let api: ControlledApi;

before(async () => {
  pair = await generateKeyPair('ES256');
  keys = { keys: [await publicKey(pair, 'one')] };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const jwksUrl = `http://127.0.0.1:${port}/keys`;
  api = await openControlledApi({ jwt: { jwksUrl, issuer: ISSUER, audience: AUDIENCE } });
  await api.addChannel({ name: 'orders', deliveries: [] });
});
after(async () => {
  await api[Symbol.asyncDispose]();
  server.close();
});

async function publicKey({ publicKey: key }: KeyPair, kid: string) {
  return { ...(await exportJWK(key)), kid, alg: 'ES256', use: 'sig' };
}

interface Claims {
  readonly scope?: unknown;
  readonly issuer?: string;
  readonly audience?: string;
  readonly expires?: string;
  readonly subject?: string;
  readonly kid?: string;
  readonly by?: KeyPair;
}

function token(claims: Claims = {}): Promise<string> {
  const { scope = 'openid read:orders', issuer = ISSUER, audience = AUDIENCE } = claims;
  const { expires = '1h', subject = 'somebody', kid = 'one', by = pair } = claims;
  return new SignJWT({ scope })
    .setProtectedHeader({ alg: 'ES256', kid })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject(subject)
    .setExpirationTime(expires)
    .sign(by.privateKey);
}

function header(alg: string): string {
  return Buffer.from(JSON.stringify({ alg, kid: 'one' })).toString('base64url');
}

async function statusOf(presented: string, path = ORDERS): Promise<number> {
  return (await api.ask(path, { token: presented })).status;
}

test('with an issuer configured nobody asks without a token, also before the first of ours', () =>
  api.ask(ORDERS).then(({ status }) => assert.equal(status, 401)));

test('a JWT of the issuer gives the rights in its scope, and no others', async () => {
  const good = await token();
  assert.equal(await statusOf(good), 200);
  assert.equal(await statusOf(good, '/v1/channels/trades'), 404);
  assert.equal(await statusOf(good, '/v1/access'), 403);
  assert.equal(await statusOf(await token({ scope: ['read:orders'] })), 404);
  assert.equal(await statusOf(await token({ scope: 'admin' }), '/v1/access'), 200);
});

test('a JWT of another issuer, audience, time or key is worth nothing', async () => {
  const stranger = await generateKeyPair('ES256');
  const wrong = await Promise.all([
    token({ issuer: 'https://login.test' }),
    token({ audience: 'other' }),
    token({ expires: '-1h' }),
    token({ by: stranger }),
  ]);
  for (const presented of wrong) assert.equal(await statusOf(presented), 401);
});

test('a JWT that is not signed, or with the public key as a secret, is worth nothing', async () => {
  const [, payload] = (await token()).split('.');
  const secret = Buffer.from(JSON.stringify(keys.keys[0]));
  const forged = await new SignJWT({ scope: 'read:orders' })
    .setProtectedHeader({ alg: 'HS256', kid: 'one' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setSubject('forger')
    .setExpirationTime('1h')
    .sign(secret);
  for (const presented of [`${header('none')}.${payload}.AA`, `${header('ES256')}.${payload}.AA`])
    assert.equal(await statusOf(presented), 401);
  assert.equal(await statusOf(forged), 401);
});

test('a JWT without a subject or without an end is worth nothing', async () => {
  const bare = new SignJWT({ scope: 'read:orders' })
    .setProtectedHeader({ alg: 'ES256', kid: 'one' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE);
  const endless = await bare.setSubject('somebody').sign(pair.privateKey);
  assert.equal(await statusOf(endless), 401);
  const nameless = await new SignJWT({ scope: 'read:orders' })
    .setProtectedHeader({ alg: 'ES256', kid: 'one' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setExpirationTime('1h')
    .sign(pair.privateKey);
  assert.equal(await statusOf(nameless), 401);
});

test('keys are fetched once for many tokens, however many come at once', async () => {
  asked = 0;
  const tokens = await Promise.all(Array.from({ length: 20 }, () => token()));
  const statuses = await Promise.all(tokens.map((presented) => statusOf(presented)));
  assert.deepEqual(new Set(statuses), new Set([200]));
  assert.ok(asked <= 1, `${asked} fetches`);
});

test('our own tokens work beside', async () => {
  const own = await api.token('read:orders');
  assert.equal(await statusOf(own), 200);
});

const FAILURES: Readonly<Record<string, () => { status: number; body: string }>> = {
  'answers 500': () => ({ status: 500, body: '' }),
  'leads elsewhere': () => ({ status: 302, body: '' }),
  'answers something else': () => ({ status: 200, body: '<html>' }),
  'answers without end': () => ({ status: 200, body: ' '.repeat(300_000) }),
};

for (const [what, failure] of Object.entries(FAILURES))
  test(`while an issuer ${what} its tokens are told to wait`, async () => {
    const before = answer;
    answer = failure;
    const { port } = server.address() as AddressInfo;
    const jwksUrl = `http://127.0.0.1:${port}/keys`;
    await using fresh = await openControlledApi({
      jwt: { jwksUrl, issuer: ISSUER, audience: AUDIENCE },
    });
    const { status, text, headers } = await fresh.ask(ORDERS, { token: await token() });
    answer = before;
    assert.equal(status, 503);
    assert.match(text, /BACKCAST_ISSUER_UNREACHABLE/);
    assert.match(String(headers['retry-after']), /^\d+$/);
  });
