// The programs that the manual of the client shows, and the requests that documents make with curl,
// run as they stand against a real archiver, a real database and the real API. Only addresses are
// put in their place, and what a program takes from its application.

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { SessionId } from '#base/mod.ts';
import { type Scene, setScene } from '#test/support/archiving.ts';
import { instantAt } from '#test/support/filled-archive.ts';
import { createTestFolder, type TestFolder } from '#test/support/folder.ts';
import { type ListeningApi, startTestApi } from '#test/support/listening-api.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const SESSION = '5f0c9d2ab8e17346' as SessionId;
const IMPORT = /^import [^;]*;$/gm;

/** Thrown by what an application does with a message, to end a program that has no end. */
const ENOUGH = new Error('the application has what it wants');

let scene: Scene;
let api: ListeningApi;
let folder: TestFolder;
const resources = new AsyncDisposableStack();
before(async () => {
  folder = resources.use(await createTestFolder());
  scene = resources.use(await setScene({ channel: 'orders.eu' }));
  resources.use(await scene.startArchiver({ acknowledge: ['orders.eu'] }));
  api = resources.use(await startTestApi(scene.databaseUrl));
  for (const [name, count] of [
    ['demo.orders', 42],
    ['demo.tour', 1_000],
  ] as const)
    await api.addChannel({ name, deliveries: [segmentOf(count)] });
});
after(() => resources.disposeAsync());

function segmentOf(count: number) {
  const messages = Array.from({ length: count }, (_, index) => {
    const payload = Buffer.from(`message ${index + 1}`);
    return { session: SESSION, sequence: index + 1, publishedAtUs: instantAt(index), payload };
  });
  return { kind: 'segment', archivedAtUs: instantAt(count), messages } as const;
}

/** Addresses of the manual, as they are here. */
function placed(text: string): string {
  return (
    text
      .replaceAll('http://10.0.0.9:8080', api.url)
      .replaceAll(/http:\/\/127\.0\.0\.1:(8080|7780)/g, api.url)
      .replaceAll('10.0.0.5', '127.0.0.1')
      .replaceAll('239.192.0.7', scene.address.group)
      .replaceAll('20007', String(scene.address.port))
      // What is left is a registry in a file.
      .replaceAll(/redisUrl: '[^']*',?\s*/g, '')
      .replaceAll(/home: '[^']*'/g, `home: '${folder.path}'`)
  );
}

/** What programs take from the application around them. */
function application(applied: string[]) {
  return {
    address: { ...scene.address },
    cursor: undefined,
    from: new Date(0),
    ranges: [{ session: SESSION, first: 1, last: 2 }],
    apply: (payload: Uint8Array) => void applied.push(Buffer.from(payload).toString()),
    alarm: (...told: unknown[]) => assert.fail(`lost: ${told.join(' ')}`),
    save: async (cursor: string | undefined) => {
      assert.match(cursor ?? 'bc1.', /^bc1\./);
      if (applied.length >= 2) throw ENOUGH;
    },
    console: { log: (...told: unknown[]) => void applied.push(told.map(String).join(' ')) },
  };
}

/** Runs `program`; returns what it has applied or printed. */
async function run(program: string, index: number): Promise<readonly string[]> {
  const applied: string[] = [];
  const given = application(applied);
  const declares = (name: string): boolean =>
    new RegExp(`\\b(const|using) ${name}\\b`).test(program);
  const names = Object.keys(given).filter((name) => !declares(name));
  const kept = [...program.matchAll(/^const (\w+) = await/gm)].map(([, name]) => name);
  const imports = program.match(IMPORT)?.join('\n') ?? '';
  const text =
    imports
      .replaceAll("'@backcast/client'", `'${join(ROOT, 'client/package/index.ts')}'`)
      .replaceAll("'@backcast/client/registry'", `'${join(ROOT, 'client/package/registry.ts')}'`) +
    `\nexport async function run({ ${names.join(', ')} }: any): Promise<unknown[]> {\n` +
    `${program.replaceAll(IMPORT, '')}\nreturn [${kept.join(', ')}];\n}\n`;
  const path = join(folder.path, `program-${index}.ts`);
  await writeFile(path, text);
  const module = (await import(pathToFileURL(path).href)) as {
    run: (given: object) => Promise<unknown[]>;
  };
  const left = await module.run(given).catch((error: unknown) => {
    if (error === ENOUGH) return [];
    throw error;
  });
  for (const resource of left.toReversed()) await letGo(resource);
  return applied;
}

/** What a program leaves open for the application. */
async function letGo(resource: unknown): Promise<void> {
  const isDisposable =
    typeof resource === 'object' && resource !== null && Symbol.asyncDispose in resource;
  if (isDisposable) await (resource as AsyncDisposable)[Symbol.asyncDispose]();
}

const PROGRAMS = [
  ...readFileSync(join(ROOT, 'docs/client.md'), 'utf8').matchAll(/^```(?:js|ts)\n([^]*?)^```$/gm),
].map(([, program]) => program);

test('the manual shows programs', () => assert.ok(PROGRAMS.length >= 5));

PROGRAMS.forEach((program, index) => {
  const [what] = /\b(?!await\b|using\b|Date\b)\w+(?=\()/.exec(program.replace(IMPORT, '')) ?? [];
  test(`program ${index + 1} of the manual of the client runs: ${what}`, async () => {
    const applied = await run(placed(program), index);
    if (/\bapply\(/.test(program)) assert.deepEqual(applied.slice(0, 2), ['hello', 'for good']);
    if (/console\.log\(/.test(program)) assert.ok(applied.length > 0, 'it prints something');
  });
});

interface Shown {
  readonly path: string;
  readonly command: string;
}

/** Every command of a document that begins with curl. */
const REQUESTS: readonly Shown[] = [
  'README.md',
  ...globSync('docs/**/*.md', { cwd: ROOT }),
].flatMap((path) => {
  const text = readFileSync(join(ROOT, path), 'utf8');
  return [...text.matchAll(/^(?:\$ )?(curl .*)$/gm)].map(([, command]) => ({ path, command }));
});

test('documents show requests', () => assert.ok(REQUESTS.length >= 5));

for (const { path, command } of REQUESTS) {
  test(`the request of ${path} is answered: ${command}`, async () => {
    const [url] = /(?<=['"\s])http[^'"\s]+/.exec(placed(command)) ?? assert.fail('a URL');
    const headers = [...command.matchAll(/-\w*H\s+(['"])([^:]+):\s*(.*?)\1/g)].map(
      ([, , name, value]) => [name, value] as [string, string],
    );
    const leaving = new AbortController();
    const answer = await fetch(url, { headers, signal: leaving.signal });
    assert.equal(answer.status, 200, url);
    const isTail = answer.headers.get('content-type')?.startsWith('text/event-stream') === true;
    if (!isTail) assert.ok((await answer.text()).length > 0);
    leaving.abort();
  });
}
