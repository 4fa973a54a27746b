// Documents and program, held together in both directions: what one names, the other has.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ERRORS, LOSS_CAUSES } from '#base/mod.ts';
import { type Finding, readProject } from './tidy/project.ts';
import {
  changelog,
  commands,
  differences,
  floorTable,
  headings,
  links,
  registeredCommands,
  titles,
} from './tidy/rules-docs.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const project = readProject(root);

const MENDERS = {
  caller: 'the caller',
  operator: 'the operator',
  peer: 'the operator of a peer',
} as const;

function holds(findings: readonly Finding[]): void {
  const lines = findings.map(({ path, line, message }) => `${path}:${line} ${message}`);
  if (lines.length > 0) assert.fail(`\n${lines.join('\n')}`);
}

function textOf(path: string): string {
  const text = project.texts.get(path);
  assert.ok(text !== undefined, `${path} is missing`);
  return text;
}

/** The section of a document under `heading`, without the heading. */
function section(text: string, heading: string): string {
  const start = text.indexOf(`## ${heading}\n`);
  assert.notEqual(start, -1, `no section ${heading}`);
  const from = start + heading.length + 4;
  const end = text.indexOf('\n## ', from);
  return text.slice(from, end === -1 ? text.length : end);
}

function packagesIn(text: string): ReadonlySet<string> {
  const rows = text.split('\n').filter((line) => line.startsWith('| `'));
  const cells = rows.map((line) => line.split('|')[1] ?? '');
  return new Set(cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name)));
}

test('every error code is explained, and every explained code exists', () => {
  const documented = headings(textOf('docs/errors.md'));
  const codes = new Set([...documented].filter((title) => title !== 'Errors'));
  holds(differences('docs/errors.md', new Set(Object.keys(ERRORS)), codes));
});

test('an explained code says what the registry says', () => {
  const text = textOf('docs/errors.md');
  for (const [code, { title, mendedBy, retryable, httpStatus }] of Object.entries(ERRORS)) {
    const facts = section(text, code);
    const retry = retryable ? 'retry' : 'no retry';
    const line = `Mended by ${MENDERS[mendedBy]} · ${retry} · HTTP ${httpStatus}`;
    assert.ok(facts.includes(`\n${title}\n`), `${code}: the title is "${title}"`);
    assert.ok(facts.includes(`\n${line}\n`), `${code}: the facts are "${line}"`);
    for (const part of ['Meaning', 'Likely cause', 'What to do']) {
      assert.ok(facts.includes(`- **${part}.** `), `${code} lacks "${part}"`);
    }
  }
});

test('every cause of a loss is explained with the sentence of the program', () => {
  const text = textOf('docs/losses.md');
  const causes = headings(text.slice(text.indexOf('## Causes')));
  const named = new Set([...causes].filter((title) => title !== 'Causes'));
  holds(differences('docs/losses.md', new Set(Object.keys(LOSS_CAUSES)), named));
  const prose = text.replaceAll(/\s+/g, ' ');
  for (const sentence of Object.values(LOSS_CAUSES)) assert.ok(prose.includes(sentence), sentence);
});

test('every package has a reason, and every reason a package', () => {
  const path = 'docs/dependencies.md';
  const text = textOf(path);
  const manifest = JSON.parse(textOf('package.json')) as Record<string, Record<string, string>>;
  const sections = {
    'At run time': 'dependencies',
    'Optional, by platform': 'optionalDependencies',
    'For development': 'devDependencies',
  };
  for (const [heading, key] of Object.entries(sections)) {
    const installed = new Set(Object.keys(manifest[key] ?? {}));
    holds(differences(path, installed, packagesIn(section(text, heading))));
  }
});

test('versions are exact', () => {
  const manifest = JSON.parse(textOf('package.json')) as Record<string, Record<string, string>>;
  for (const key of ['dependencies', 'optionalDependencies', 'devDependencies']) {
    for (const [name, version] of Object.entries(manifest[key] ?? {})) {
      assert.match(version, /^\d+\.\d+\.\d+(-[\w.]+)?$/, name);
    }
  }
});

test('the floors that people see are the floors that are held', () => {
  holds(floorTable('ARCHITECTURE.md', textOf('ARCHITECTURE.md')));
});

test('links lead somewhere', () => holds(links(project)));
test('a document has one title', () => holds(titles(project)));
test('the changelog tells of this version', () => holds(changelog(project)));

test('commands that documents show exist', () => {
  const names = registeredCommands(project);
  assert.ok(names.size > 0, 'the command line registers no commands');
  holds(commands(project, names));
});

test('the documents that a newcomer looks for are there', () => {
  for (const path of ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'docs/protocol.md']) {
    assert.ok(textOf(path).length > 1_000, `${path} says next to nothing`);
  }
  assert.match(readFileSync(`${root}/LICENSE`, 'utf8'), /Apache License\s+Version 2\.0/);
});
