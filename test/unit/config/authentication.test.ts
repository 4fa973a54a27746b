import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Config, loadConfig, redact } from '#config/mod.ts';
import { createTestFolder } from '#test/support/folder.ts';

const KEYS = 'sesame:open sesame';

async function load(yaml: string, env: Record<string, string> = {}): Promise<Config> {
  await using folder = await createTestFolder();
  writeFileSync(join(folder.path, 'backcast.yaml'), yaml);
  return loadConfig({ cwd: folder.path, env });
}

test('keys are hidden whatever they look like, and where their file is can be told', async () => {
  for (const keys of [KEYS, `https://${KEYS}`, `/${KEYS}`]) {
    const config = await load('', { BACKCAST_AUTH_KEYS: keys });
    assert.equal(config.authentication.keys, keys);
    assert.equal(redact(config).authentication.keys, '***');
    assert.doesNotMatch(JSON.stringify(redact(config)), /sesame/);
  }
  const config = await load('authentication: { keysFile: /etc/backcast/keys }');
  assert.equal(redact(config).authentication.keysFile, '/etc/backcast/keys');
});

test('a value that is none is refused without showing it', async () => {
  await assert.rejects(load('authentication: { keys: [sesame] }'), (error: Error) => {
    assert.match(error.message, /`authentication\.keys`: the value is not a text/);
    assert.doesNotMatch(error.message, /sesame/);
    return true;
  });
});

test('keys come from one place', async () => {
  await assert.rejects(
    load('authentication: { keysFile: keys }', { BACKCAST_AUTH_KEYS: KEYS }),
    /both `authentication\.keysFile` and .*BACKCAST_AUTH_KEYS.* are given/,
  );
});

test('new channels can only require authentication where there are keys', async () => {
  const yaml = 'authentication: { newChannels: required }';
  await assert.rejects(load(yaml), /neither `authentication\.keysFile` nor BACKCAST_AUTH_KEYS/);
  const config = await load(yaml, { BACKCAST_AUTH_KEYS: KEYS });
  assert.equal(config.authentication.newChannels, 'required');
});

test('a channel of another framing cannot require authentication', async () => {
  const channel = 'name: feed, group: 239.10.0.7, port: 7600, authentication: required';
  await assert.rejects(
    load(`channels: [{ ${channel}, framing: zmq }]`),
    /"feed" cannot have framing zmq and require authentication/,
  );
  assert.equal((await load(`channels: [{ ${channel} }]`)).channels[0].authentication, 'required');
});

/** Settings of a window that just holds its largest message, or does not. */
function withWindow(packets: number): string {
  return `publisher: { packetBytesMax: 256, messageBytesMax: 10000, windowPackets: ${packets} }`;
}

test('a window that just holds the largest message must hold its tags too', async () => {
  await assert.doesNotReject(load(withWindow(106)));
  await assert.rejects(load(withWindow(105)), /needs 106 at least/);
  await assert.rejects(load(withWindow(106), { BACKCAST_AUTH_KEYS: KEYS }), /needs 120 at least/);
});
