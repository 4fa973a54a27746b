// The rules about imports, dead code and shape, each shown a snippet that it must object to and one
// that it must let pass: a rule that never fires is a wish. The rules about words:
// tidy-words.test.ts.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { deadExports, deadFiles, deadPackages } from './tidy/rules-dead.ts';
import { cycles, doors, floors, libraries, purity, targets } from './tidy/rules-imports.ts';
import {
  columns,
  docstrings,
  fileLengths,
  fileNames,
  functionLengths,
  openings,
} from './tidy/rules-shape.ts';
import { scan } from './tidy/scan.ts';
import { findings, objects, objectsToEach, passes, passesEach } from './tidy/snippets.ts';

function texts(text: string): readonly string[] {
  return scan(text).tokens.map((token) => token.text);
}

describe('scanning', () => {
  test('strings, templates, expressions and comments are told apart', () => {
    assert.deepEqual(texts(`a / b / c`), ['a', '/', 'b', '/', 'c']);
    assert.deepEqual(texts(`return /[/"]\\/x/.test(a)`), [
      'return',
      `/[/"]\\/x/`,
      '.',
      'test',
      '(',
      'a',
      ')',
    ]);
    assert.deepEqual(texts('`a${ { b: `c${d}` } }e`'), '`a${ { b : `c${ d }` } }e`'.split(' '));
    assert.deepEqual(texts(`'it\\'s // no comment' /* a */ + "b" // c`), [
      `'it\\'s // no comment'`,
      '+',
      '"b"',
    ]);
  });
  test('any text comes to an end', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...Array.from('/*`${}"\'\\[](){}\na1 ')) }),
        (text) => {
          const { tokens } = scan(text);
          return tokens.every(({ start, end }) => end > start);
        },
      ),
    );
  });
});

describe('imports', () => {
  test('an import upwards is found, also as a type, as a re-export and at run time', () => {
    objectsToEach(floors, 'base/a.ts', [
      `import { x } from '#archive/mod.ts';`,
      `import type { X } from '#archive/mod.ts';`,
      `export * from '#archive/mod.ts';`,
      `const x = await import('#archive/mod.ts');`,
    ]);
    objects(floors, { 'client/a.ts': `import { x } from '#ingest/mod.ts';` });
    passes(floors, { 'archive/a.ts': `import { x } from '#migrations/mod.ts';` });
    objects(floors, { 'migrations/a.ts': `import { x } from '#archive/mod.ts';` });
  });
  test('an import in a comment or a string is none', () => {
    passes(floors, { 'base/a.ts': `// import { x } from '#archive/mod.ts';\nconst a = "import";` });
  });
  test('a way into a folder that is not its door is found', () => {
    objects(doors, { 'archive/a.ts': `import { x } from '#base/time.ts';` });
    objects(doors, { 'archive/a.ts': `import { x } from '../base/mod.ts';` });
    objects(doors, { 'archive/a.ts': `import { x } from '#archive/b.ts';` });
    objects(doors, { 'archive/a.ts': `import { x } from './b';` });
    passes(doors, { 'archive/a.ts': `import { x } from './deep/b.ts';` });
    passes(doors, { 'test/unit/a.test.ts': `import { x } from '#base/time.ts';` });
  });
  test('an import of a file that is not there is found', () => {
    objects(targets, { 'base/a.ts': `import { x } from './b.ts';` });
    passes(targets, { 'base/a.ts': `import { x } from './b.ts';`, 'base/b.ts': '' });
  });
  test('a library behind the wrong door is found', () => {
    objects(libraries, { 'replay-api/a.ts': `import pg from 'pg';` });
    objects(libraries, { 'archive/a.ts': `import { createSocket } from 'node:dgram';` });
    passes(libraries, { 'archive/a.ts': `import pg from 'pg';` });
  });
  test('a loop of imports is found once, types do not make one', () => {
    const loop = { 'base/a.ts': `import { b } from './b.ts';` };
    objects(cycles, { ...loop, 'base/b.ts': `import { a } from './a.ts';` });
    passes(cycles, { ...loop, 'base/b.ts': `import type { A } from './a.ts';` });
  });
});

describe('purity', () => {
  const path = 'multicast/core/a.ts';
  test('a clock, a timer, randomness and Node are found', () => {
    objectsToEach(purity, path, [
      'const now = Date.now();',
      'const now = new Date();',
      'const now = performance.now();',
      'setTimeout(run, 5);',
      'queueMicrotask(run);',
      'const x = Math.random();',
      'const bytes = Buffer.alloc(4);',
      'const home = process.env.HOME;',
      'const key = crypto.randomUUID();',
      `import { join } from 'node:path';`,
      `import { Value } from 'typebox';`,
      `import { openSocket } from '#multicast/udp/mod.ts';`,
    ]);
  });
  test('names of ours, values and pure doors pass', () => {
    passesEach(purity, path, [
      'const instant = new Date(ms).toISOString();',
      'queue.process(packet);',
      'interface Doors { readonly fetch: number; process: string }',
      `import { assert } from '#base/mod.ts';`,
      `const a = 'setTimeout(run, 5)'; // Date.now()`,
      'const text = `${a} process.env`;',
    ]);
  });
  test('only the machines are held to it, and pure files import pure files', () => {
    passes(purity, { 'ingest/archiver.ts': 'const now = Date.now();' });
    objects(purity, { 'ingest/batcher.ts': 'const now = Date.now();' });
    objects(purity, { 'client/merge-window.ts': `import { get } from './replay-source.ts';` });
    passes(purity, { 'client/merge.ts': `import { catchUp } from './catch-up.ts';` });
  });
});

describe('what nobody uses', () => {
  test('a file that nobody imports is found unless a document names it', () => {
    const file = { 'bench/append.ts': 'run();' };
    objects(deadFiles, file);
    passes(deadFiles, { ...file, 'docs/benchmarks.md': '# B\n`node bench/append.ts`' });
    passes(deadFiles, {
      ...file,
      'cli/mod.ts': `import '#bench/append.ts';`,
      'README.md': 'cli/mod.ts',
    });
    passes(deadFiles, {
      ...file,
      'test/a.test.ts': `new URL('../bench/append.ts', import.meta.url)`,
    });
  });
  test('an export that only tests use is found', () => {
    const file = { 'base/a.ts': 'export const a = 1;' };
    objects(deadExports, file);
    objects(deadExports, { ...file, 'test/a.test.ts': `import { a } from '#base/a.ts';` });
    passes(deadExports, { 'base/a.ts': 'export const a = 1; export const b = a; use(b);' });
    passes(deadExports, { ...file, 'package.json': '"--test-global-setup=base/a.ts"' });
  });
  test('what exists for tests lives by them', () => {
    const world = {
      'sim/world.ts': 'export const a = 1;',
      'test/support/b.ts': 'export const b = 1;',
    };
    const user = `import { a } from '#sim/world.ts'; import { b } from './support/b.ts';`;
    assert.equal(findings(deadExports, world).length, 2);
    passes(deadExports, { ...world, 'test/c.test.ts': user });
  });
  test('a use through a door, a list of names or a namespace keeps an export alive', () => {
    const file = { 'base/a.ts': 'export const a = 1;', 'base/mod.ts': `export * from './a.ts';` };
    objects(deadExports, file);
    passes(deadExports, { ...file, 'cli/b.ts': `import { type A, a as b } from '#base/mod.ts';` });
    passes(deadExports, { ...file, 'cli/b.ts': `import * as base from '#base/mod.ts';` });
    passes(deadExports, { ...file, 'client/mod.ts': `export { a } from '#base/mod.ts';` });
  });
  test('a package that nothing imports is found', () => {
    const manifest = { 'package.json': '{"dependencies":{"pg":"8.0.0"}}' };
    objects(deadPackages, manifest);
    objects(deadPackages, { ...manifest, 'test/a.ts': `import pg from 'pg';` });
    passes(deadPackages, { ...manifest, 'archive/a.ts': `import pg from 'pg';` });
  });
});

describe('shape', () => {
  test('a file of 401 lines is too long, the driver at 101', () => {
    objects(fileLengths, { 'base/a.ts': 'a();\n'.repeat(401) }, 401);
    passes(fileLengths, { 'base/a.ts': 'a();\n'.repeat(400) });
    objects(fileLengths, { 'multicast/udp/driver.ts': 'a();\n'.repeat(101) }, 101);
  });
  test('a function of 71 lines is too long, however it is written', () => {
    const body = `{\n${'  a();\n'.repeat(68)}}`;
    const tooLong = `{\n${'  a();\n'.repeat(69)}}`;
    const heads = [
      'function f(a: number): void ',
      'function f(a: number): { a: number } ',
      'function f<T>(a: T): Promise<{ a: T }> ',
      'const f = (a: number) => ',
      'const f = async (a: number): Promise<void> => ',
      'const f = (a: number): ((b: number) => void) => ',
      'function f(a: unknown): asserts a is { b: number } ',
    ];
    passesEach(
      functionLengths,
      'base/a.ts',
      heads.map((head) => head + body),
    );
    objectsToEach(
      functionLengths,
      'base/a.ts',
      heads.map((head) => head + tooLong),
    );
    objects(functionLengths, { 'base/a.ts': `class A {\nget a(): number ${tooLong}\n}` }, 2);
    objects(functionLengths, { 'base/a.ts': `test('a', () => ${tooLong});` });
    passes(functionLengths, { 'base/a.ts': `describe('a', () => ${tooLong});` });
    passes(functionLengths, { 'base/a.ts': `for (const a of b) ${tooLong}` });
    passes(functionLengths, { 'base/a.ts': `const a = x ? (b) : ${tooLong};` });
  });
  test('a line of 101 columns is too wide', () => {
    objects(columns, { 'base/a.ts': `//${'é'.repeat(99)}` });
    passes(columns, { 'base/a.ts': `//${'é'.repeat(98)}` });
  });
  test('names that are vague or not kebab-case are found', () => {
    for (const name of [
      'utils',
      'string-helpers',
      'common',
      'nak-manager',
      'camelCase',
      'snake_case',
    ]) {
      objects(fileNames, { [`base/${name}.ts`]: '' });
    }
    objects(fileNames, { 'archive/helpers/rows.ts': '' });
    passes(fileNames, { 'base/nak-scheduler.ts': '', 'test/nak-scheduler.test.ts': '' });
  });
  test('a file without an opening paragraph is found', () => {
    objects(openings, {
      'base/a.ts': 'import a from "a";\n// A late word about what this file is.',
    });
    objects(openings, { 'base/a.ts': '// Too short.\nimport a from "a";' });
    passes(openings, { 'base/a.ts': '// Decides when to ask for missing packets.\nlet a;' });
    passes(openings, { 'base/a.test.ts': 'let a;' });
  });
  test('an export without a docstring is found, whatever it is', () => {
    objectsToEach(docstrings, 'base/a.ts', [
      'export const a = 1;',
      'export async function f() {}',
      'export abstract class A {}',
      'export type A = { a: 1 };',
      '/** One. */\nexport const a = 1;\n\nexport const b = 2;',
      '/** One. */\nexport const a = 1;\nexport type B = 2;',
      '/** One. */\nexport const a = [\n  1,\n];\nexport const b = 2;',
      '// A comment.\nexport interface A {}',
      '/** Of another. */\nconst b = 1;\nexport const a = 1;',
    ]);
    passesEach(docstrings, 'base/a.ts', [
      '/** One. */\nexport const a = 1;',
      '/** A table. */\nexport const a = 1;\nexport const b = 2;\nexport const c = 3;',
      '/** One. */\nexport function f(a: 1): 1;\nexport function f(a: 2): 2;',
      '/** One. */\nexport const A = a();\n\nexport type A = Static<typeof A>;',
      `export * from './b.ts';`,
      `export { a } from './b.ts';`,
      `export type { A } from './b.ts';`,
    ]);
  });
});
