// TLS: what is spoken, what is refused, and that a renewed certificate serves without a restart.

import assert from 'node:assert/strict';
import { copyFile, chmod, readFile, writeFile } from 'node:fs/promises';
import { get } from 'node:https';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { connect, type PeerCertificate, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { startReplayServer } from '#replay-api/mod.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { openTestApi, silentLogger } from '#test/support/replay-api.ts';

const FIXTURES = fileURLToPath(new URL('../../fixtures/tls/', import.meta.url));

async function install(folder: string, name: string): Promise<void> {
  const keyFile = join(folder, 'api.key');
  await copyFile(join(FIXTURES, `${name}.crt`), join(folder, 'api.crt'));
  await writeFile(keyFile, await readFile(join(FIXTURES, `${name}.key`)), { mode: 0o600 });
}

function filesIn(folder: string) {
  return { certFile: join(folder, 'api.crt'), keyFile: join(folder, 'api.key') };
}

/** The name in the certificate that a server shows. */
function nameAt(url: string): Promise<string> {
  const { port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connect(
      { host: '127.0.0.1', port: Number(port), rejectUnauthorized: false },
      () => {
        const { subject }: PeerCertificate = socket.getPeerCertificate();
        socket.destroy();
        resolve(String(subject.CN));
      },
    );
    socket.once('error', reject);
  });
}

test('the API speaks TLS to who trusts its certificate, and to nobody else', async () => {
  await using api = await openTestApi();
  await using folder = await createTestFolder();
  await install(folder.path, 'first');
  await using server = await startReplayServer({
    database: api.opened,
    logger: silentLogger,
    host: '127.0.0.1',
    port: 0,
    tls: filesIn(folder.path),
  });
  assert.match(server.url, /^https:/);
  const ca = await readFile(join(FIXTURES, 'first.crt'));
  const status = await new Promise((resolve, reject) => {
    get(`${server.url}/healthz`, { ca }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    }).once('error', reject);
  });
  assert.equal(status, 200);
  await assert.rejects(fetch(`${server.url}/healthz`));
  await assert.rejects(fetch(server.url.replace('https', 'http')));
});

test('a renewed certificate serves new connections, a broken one does not', async () => {
  const changed = Promise.withResolvers<void>();
  const broken = Promise.withResolvers<void>();
  const log = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (chunk.includes('certificate replaced')) changed.resolve();
      if (chunk.includes('certificate cannot be used')) broken.resolve();
      done();
    },
  });
  await using api = await openTestApi();
  await using folder = await createTestFolder();
  await install(folder.path, 'first');
  await using server = await startReplayServer({
    database: api.opened,
    logger: pino({}, log),
    host: '127.0.0.1',
    port: 0,
    tls: filesIn(folder.path),
  });
  assert.equal(await nameAt(server.url), 'first');
  await install(folder.path, 'second');
  await changed.promise;
  assert.equal(await nameAt(server.url), 'second');
  await copyFile(join(FIXTURES, 'first.crt'), join(folder.path, 'api.crt'));
  await broken.promise;
  assert.equal(await nameAt(server.url), 'second');
});

test('files that are no certificate and its key are refused at the start, by name', async () => {
  await using api = await openTestApi();
  await using folder = await createTestFolder();
  const start = () =>
    startReplayServer({
      database: api.opened,
      logger: silentLogger,
      host: '127.0.0.1',
      port: 0,
      tls: filesIn(folder.path),
    });
  const code = 'BACKCAST_TLS_UNUSABLE';
  await assert.rejects(start(), { code, message: /api\.crt cannot be read/ });
  await install(folder.path, 'first');
  await copyFile(join(FIXTURES, 'second.crt'), join(folder.path, 'api.crt'));
  await assert.rejects(start(), { code, message: /no certificate and its key/ });
  await install(folder.path, 'first');
  await chmod(join(folder.path, 'api.key'), 0o644);
  await assert.rejects(start(), { code, message: /chmod o-rw/ });
});
