// The client as a package: built, packed, installed in an empty project without the network, and
// run there on this Node and on the oldest one that it promises; typed for a strict compiler.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { SessionId } from '#base/mod.ts';
import { instantAt } from '#test/support/filled-archive.ts';
import { createTestFolder, type TestFolder } from '#test/support/folder.ts';
import { type ListeningApi, startTestApi } from '#test/support/listening-api.ts';
import { reserveGroup } from '#test/support/multicast.ts';
import { fetchOlderNode } from '#test/support/older-node.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');
const SESSION = '00000000000000aa' as SessionId;
const run = promisify(execFile);

/** Recovers, publishes to itself, reads a history, meets an error: what every application does. */
const PROGRAM = `
import { BackcastError, history, openPublisher } from '@backcast/client';
import { subscribe } from '@backcast/client';
const [group, port, url] = process.argv.slice(2);
const channel = 'orders';
const address = { group, port: Number(port) };
const publisher = await openPublisher({ channel, source: 'me', address, lingerMs: 1 });
const subscription = await subscribe({
  channel,
  from: 'start',
  archive: { url },
  multicast: { address },
});
const came = [];
for await (const told of subscription) {
  if (told.kind === 'live') {
    for (const text of ['1', '2']) await publisher.publish(Buffer.from(text));
  }
  if (told.kind === 'message') came.push(told.via + ' ' + Buffer.from(told.payload));
  if (came.length === 4) break;
}
const hasCursor = typeof subscription.cursor === 'string';
await subscription[Symbol.asyncDispose]();
await publisher.close();
const archived = [];
for await (const told of history({ url, channel }))
  archived.push(told.kind === 'message' ? Buffer.from(told.payload).toString() : told.status);
let code;
try {
  for await (const told of history({ url, channel: 'none' })) archived.push(told);
} catch (error) {
  code = error instanceof BackcastError ? error.code : String(error);
}
console.log(JSON.stringify({ came, hasCursor, archived, code }));
`;
const SAID = {
  came: ['replayed one', 'replayed two', 'live 1', 'live 2'],
  hasCursor: true,
  archived: ['one', 'two', 'complete'],
  code: 'BACKCAST_CHANNEL_UNKNOWN',
};

const TYPED = `
import { type ArchivedMessage, type HistoryEntry, history, type LossCause } from '@backcast/client';
import type { Contract } from '@backcast/client';
import { subscribe, type Subscription } from '@backcast/client';
import { openRegistry, type Registry } from '@backcast/client/registry';
const entries: AsyncGenerator<HistoryEntry> = history({ url: 'http://127.0.0.1', channel: 'c' });
export function positionOf(message: ArchivedMessage): number { return message.position; }
export const cause: LossCause = 'late_join';
export const open: (...given: Parameters<typeof openRegistry>) => Promise<Registry> = openRegistry;
const query: Contract.MessagesQuery = { after: 0, session: undefined };
export function lostIn(page: Contract.MessagePage): readonly LossCause[] {
  return page.losses.map((loss) => loss.cause);
}
export const isAll = (answer: Contract.Completeness): boolean => answer.status === 'complete';
// @ts-expect-error -- no such parameter
export const sessions: Contract.SessionsQuery = { state: 'asleep' };
export async function listen(registry: Registry): Promise<Subscription> {
  return await subscribe({ channel: 'c', multicast: { registry }, archive: { url: 'http://a' } });
}
// @ts-expect-error -- a channel is needed
history({ url: 'http://127.0.0.1' });
export { entries };
`;

let folder: TestFolder;
let project: string;
let api: ListeningApi;
before(async () => {
  folder = await createTestFolder();
  project = join(folder.path, 'application');
  await mkdir(project);
  await run('npm', ['run', 'build:client'], { cwd: ROOT });
  const parser = join(ROOT, 'node_modules/eventsource-parser');
  const tarballs = [await pack(join(ROOT, 'dist/client')), await pack(parser)];
  await writeFile(join(project, 'package.json'), '{"private":true,"type":"module"}');
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', ...tarballs], {
    cwd: project,
  });
  await writeFile(join(project, 'main.js'), PROGRAM);
  api = await startTestApi();
  const messages = ['one', 'two'].map((text, index) => {
    const sequence = index + 1;
    const payload = Buffer.from(text);
    return { session: SESSION, sequence, publishedAtUs: instantAt(index), payload };
  });
  const segment = { kind: 'segment', archivedAtUs: instantAt(9), messages } as const;
  await api.addChannel({ name: 'orders', deliveries: [segment] });
});
after(async () => {
  await api[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

/** Packs the package at `path`; returns where the tarball is. */
async function pack(path: string): Promise<string> {
  const args = ['pack', path, '--silent', '--pack-destination', folder.path];
  const { stdout } = await run('npm', args, { cwd: folder.path });
  return join(folder.path, stdout.trim());
}

async function runProgram(node: string): Promise<unknown> {
  await using place = await reserveGroup();
  const args = ['main.js', place.group, String(place.port), api.url];
  const { stdout, stderr } = await run(node, args, { cwd: project, timeout: 60_000 });
  assert.equal(stderr, '');
  return JSON.parse(stdout);
}

test('the package runs in an empty project on this Node', async () => {
  assert.deepEqual(await runProgram(process.execPath), SAID);
});

test('the package runs on Node 22', async () => {
  const node = await fetchOlderNode();
  const { stdout } = await run(node, ['--version']);
  assert.match(stdout, /^v22\./);
  assert.deepEqual(await runProgram(node), SAID);
});

test('an application gets nothing of the server', async () => {
  const installed = (await readdir(join(project, 'node_modules'))).filter(
    (name) => !name.startsWith('.'),
  );
  assert.deepEqual(installed.toSorted(), ['@backcast', 'eventsource-parser']);
  const client = join(project, 'node_modules/@backcast/client');
  for (const part of ['archive/connect.js', 'ingest', 'replay-api', 'cli', 'migrations'])
    assert.ok(!existsSync(join(client, part)), part);
  const manifest = JSON.parse(await readFile(join(client, 'package.json'), 'utf8')) as object;
  assert.deepEqual('dependencies' in manifest && Object.keys(manifest.dependencies as object), [
    'eventsource-parser',
  ]);
});

test('the types hold for a strict compiler that checks libraries as well', async () => {
  await writeFile(join(project, 'typed.ts'), TYPED);
  const options = {
    target: 'es2023',
    lib: ['esnext'],
    module: 'nodenext',
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    exactOptionalPropertyTypes: true,
    types: ['node'],
    typeRoots: [join(ROOT, 'node_modules/@types')],
    // Who uses the door to the registry installs it.
    paths: { ioredis: [join(ROOT, 'node_modules/ioredis/built/index.d.ts')] },
  };
  const config = { compilerOptions: options, files: ['typed.ts'] };
  await writeFile(join(project, 'tsconfig.json'), JSON.stringify(config));
  const checked = await run(process.execPath, [TSC, '-p', '.'], { cwd: project }).catch(
    (error: unknown) => error as { readonly stdout: string },
  );
  assert.equal(checked.stdout, '');
});
