// The rules about syntax, calls, words, units and documents, each shown what it must object to and
// what it must let pass.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  changelog,
  commands,
  differences,
  floorTable,
  headings,
  links,
  privateReferences,
  registeredCommands,
  titles,
} from './tidy/rules-docs.ts';
import { FLOORS } from './tidy/parts.ts';
import { type Finding, type Project, projectOf } from './tidy/project.ts';
import { units } from './tidy/rules-units.ts';
import {
  calls,
  comments,
  syntax,
  testDiscipline,
  vagueVariables,
  words,
} from './tidy/rules-words.ts';
import { objects, objectsToEach, passes, passesEach } from './tidy/snippets.ts';

function commandsOfUp(project: Project): Finding[] {
  return commands(project, new Set(['up']));
}

describe('syntax, calls and words', () => {
  const path = 'archive/a.ts';
  test('syntax that cannot be stripped or hides is found', () => {
    objectsToEach(syntax, path, [
      'let a: any;',
      'const a = b as any;',
      'const a: Map<string, any> = b;',
      'enum A { B }',
      'export const enum A { B }',
      'namespace A { }',
      'export default 1;',
      'class A extends B {}',
      'class A { constructor(private readonly b: number) {} }',
    ]);
    passesEach(syntax, path, [
      'const a = AbortSignal.any(signals);',
      'class A extends TypeError {}',
      'type A = B extends C ? 1 : 2;',
      'class A { constructor(b: number) {} }',
      `const a = 'enum A { B } any'; // as any`,
    ]);
  });
  test('calls past their door are found', () => {
    objectsToEach(calls, path, [
      'console.log(a);',
      'process.exit(1);',
      'const a = `SELECT b FROM c OFFSET $1`;',
    ]);
    passes(calls, { 'cli/a.ts': 'console.log(a); process.exit(1);' });
  });
  test('tests that do not run, or that sleep, are found', () => {
    objectsToEach(testDiscipline, 'test/unit/a.test.ts', [
      `test.only('a', f);`,
      `test.skip('a', f);`,
      `test.todo('a');`,
      `test('a', { skip: true }, f);`,
      'await sleep(5);',
      'setTimeout(f, 5);',
      `import { setTimeout } from 'node:timers/promises';`,
    ]);
    passes(testDiscipline, { 'test/integration/a.test.ts': 'setTimeout(f, 5);' });
    passes(testDiscipline, { 'base/a.ts': 'const a = { skip: 1 };' });
  });
  test('variables and parameters that could hold anything are found', () => {
    objectsToEach(vagueVariables, path, [
      'const data = 1;',
      'let info;',
      'for (const item of list) use(item);',
      'function f(data: string): void {}',
      'const f = (a: number, ...info: string[]) => a;',
      'list.map((item) => item.a);',
    ]);
    passesEach(vagueVariables, path, ['const a = { data: 1 };', 'a.data = b.info;']);
  });
  test('words that mean something else are found', () => {
    objectsToEach(words, path, [
      'const gapCount = 1;',
      'const sequenceOffset = 1;',
      'const record = rows[0];',
      'function syncSessions() {}',
    ]);
    passesEach(words, path, ['fs.readFileSync(a);', 'pino({ sync: true });', 'const a = b.gaps;']);
    passes(words, { 'multicast/core/a.ts': 'const gapCount = 1;' });
  });
  test('work left behind in comments is found', () => {
    objectsToEach(comments, path, [
      `// ${['TO', 'DO'].join('')}: later`,
      `/* ${['FIX', 'ME'].join('')} */`,
      '// @ts-ignore',
      '// oxlint-disable-next-line no-console',
    ]);
    passes(comments, { [path]: '// oxlint-disable-next-line no-console -- the door itself' });
  });
  test('a time or a size without its unit is found', () => {
    objectsToEach(units, path, [
      'const timeout = 5;',
      'const BATCH_AGE_MAX = 20;',
      'function f(pageSize: number) {}',
      'interface A { readonly nakInterval: number }',
      'type A = { backoffDelay?: number };',
      'class A { readonly #lingerPeriod = 5; }',
    ]);
    passesEach(units, path, [
      'const timeoutMs = 5;',
      'const BATCH_AGE_MS_MAX = 20;',
      'const usage = 1; const page = 2; const message = 3;',
      'server({ connectionTimeout: 5 });',
      'machine.handleTimeout(nowMs);',
      'interface A { readonly length: number; packetBytesSize: number }',
    ]);
  });
  test('references to what a stranger cannot open are found', () => {
    for (const pieces of [
      ['/wo', 'rk/notes'],
      ['see desi', 'gn.md'],
      ['far', 'm-tool'],
    ]) {
      objects(privateReferences, { 'docs/a.md': pieces.join('') });
    }
    passes(privateReferences, { 'docs/a.md': 'the worker works; farming; see protocol.md' });
  });
});

describe('documents', () => {
  test('a link that leads nowhere, or to a heading that is not there, is found', () => {
    const other = { 'docs/b.md': '# B\n\n## What `b` does: it waits\n' };
    objectsToEach(links, 'docs/a.md', [
      '# A [b](b.md)',
      '# A [b](../docs/c/)',
      '# A [b](#c)',
      '# A [b](c.ts)',
    ]);
    objects(links, { 'docs/a.md': '# A\n\n[b](b.md#c)', ...other }, 3);
    passes(links, { 'docs/a.md': '# A [b](b.md#what-b-does-it-waits) [c](#a-b-c)', ...other });
    passesEach(links, 'a.md', ['# A [b](https://example.org/b)', '```\n[a](b.md)\n```']);
  });
  test('a second title is found, a comment in a shell is none', () => {
    objectsToEach(titles, 'a.md', ['# A\n# B', 'A', '## A']);
    passes(titles, { 'a.md': '# A\n```sh\n# not a title\n```\n## B' });
  });
  test('a command that does not exist is found, also behind npm run', () => {
    const manifest = { 'package.json': '{"scripts":{"check":""}}' };
    objects(commandsOfUp, { ...manifest, 'a.md': '# A\n`./backcast down`' }, 2);
    objects(commandsOfUp, { ...manifest, 'a.md': '# A\n```sh\nnpm ci && ./backcast down\n```' }, 3);
    objects(commandsOfUp, { ...manifest, 'a.md': 'npm run nothing' });
    passes(commandsOfUp, {
      ...manifest,
      'a.md': '`npm ci && ./backcast up --demo`, `npm run check`',
    });
    passes(commandsOfUp, { ...manifest, 'a.md': 'The backcast archive is no command here.' });
  });
  test('registered commands are found however they are registered', () => {
    const text = `a.command('up'); new Command('serve'); run({ name: 'audit' });`;
    const project = projectOf(new Map([['cli/a.ts', text]]));
    assert.deepEqual(registeredCommands(project), new Set(['up', 'serve', 'audit']));
  });
  test('what only one side names is found on both sides', () => {
    const found = differences('a.md', new Set(['a', 'b']), headings('# `b`\n## c\n```\n# d\n```'));
    const said = found.map(({ message }) => message);
    assert.deepEqual(said, ['a is not documented', 'c does not exist']);
  });
  test('a floor that is drawn elsewhere than it is held is found twice', () => {
    const rows = Object.entries(FLOORS).filter(([part]) => part !== 'console' && part !== 'test');
    const table = rows.map(([part, floor]) => `| \`${part}/\` | ${floor} |`).join('\n');
    assert.deepEqual(floorTable('a.md', table), []);
    assert.equal(floorTable('a.md', table.replace('`base/` | 0', '`base/` | 1')).length, 2);
  });
  test('a changelog that does not know this version, or an entry without a part, is found', () => {
    const manifest = { 'package.json': '{"version":"1.2.3"}' };
    const entry = '\n- **[wire]** A packet.\n  And more of it.\n';
    passes(changelog, { ...manifest, 'CHANGELOG.md': `# C\n## 1.2.3\n${entry}` });
    objects(changelog, { ...manifest, 'CHANGELOG.md': `# C\n## 1.2.4\n${entry}` });
    objects(changelog, { ...manifest, 'CHANGELOG.md': '# C\n## 1.2.3\n- A packet.' }, 3);
  });
});
