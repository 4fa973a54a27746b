import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessKeptMs, apiUrl, loadConfig, redact } from '#config/mod.ts';

function load(env: Readonly<Record<string, string>>) {
  return loadConfig({ cwd: '/', env });
}

test('without settings there is no TLS, no issuer and no token, and notes stay a year', () => {
  const { api } = load({});
  assert.deepEqual([api.tls, api.jwt, api.token], [{}, {}, undefined]);
  assert.equal(accessKeptMs(api), 365 * 86_400_000);
  assert.equal(accessKeptMs(load({ BACKCAST_ACCESS_AGE: 'forever' }).api), undefined);
});

test('certificate and key go together, and so do the settings of an issuer', () => {
  const halves = {
    'api.tls.keyFile': { BACKCAST_TLS_CERT_FILE: '/a.crt' },
    'api.tls.certFile': { BACKCAST_TLS_KEY_FILE: '/a.key' },
    'api.jwt.issuer': { BACKCAST_JWKS_URL: 'https://a/keys', BACKCAST_JWT_AUDIENCE: 'b' },
    'api.jwt.jwksUrl': { BACKCAST_JWT_ISSUER: 'a', BACKCAST_JWT_AUDIENCE: 'b' },
  };
  for (const [missing, env] of Object.entries(halves))
    assert.throws(() => load(env), {
      code: 'BACKCAST_CONFIG_INVALID',
      message: new RegExp(`\`${missing}\` is missing`),
    });
});

test('keys of an issuer come by https, or from this host', () => {
  const whole = { BACKCAST_JWT_ISSUER: 'a', BACKCAST_JWT_AUDIENCE: 'b' };
  for (const BACKCAST_JWKS_URL of ['https://a/keys', 'http://127.0.0.1:80/k', 'http://[::1]/k'])
    load({ ...whole, BACKCAST_JWKS_URL });
  for (const BACKCAST_JWKS_URL of ['http://login.example.com/keys', 'file:///keys', 'ftp://a/k'])
    assert.throws(() => load({ ...whole, BACKCAST_JWKS_URL }), { code: 'BACKCAST_CONFIG_INVALID' });
});

test('commands find an API with a certificate by https', () => {
  const tls = { BACKCAST_TLS_CERT_FILE: '/a.crt', BACKCAST_TLS_KEY_FILE: '/a.key' };
  assert.equal(apiUrl(load(tls)), 'https://127.0.0.1:8080');
  assert.equal(apiUrl(load({})), 'http://127.0.0.1:8080');
});

test('a token shows in no log and no error', () => {
  const BACKCAST_TOKEN = `bct_abcdefghjkmn.${'S'.repeat(43)}`;
  assert.ok(!JSON.stringify(redact(load({ BACKCAST_TOKEN }))).includes('SSS'));
  assert.throws(
    () => load({ BACKCAST_TOKEN: 'two words SSS' }),
    (error: Error) => !error.message.includes('SSS'),
  );
});
