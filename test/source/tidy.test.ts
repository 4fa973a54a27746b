// The source about itself: every rule that can be checked by machine, on the whole tree. The rules
// are tested in tidy-rules.test.ts. A finding is mended where it points, not by widening the rule.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Finding, readProject } from './tidy/project.ts';
import { deadExports, deadFiles, deadPackages } from './tidy/rules-dead.ts';
import { privateReferences } from './tidy/rules-docs.ts';
import { cycles, doors, floors, libraries, purity, targets } from './tidy/rules-imports.ts';
import {
  columns,
  docstrings,
  fileLengths,
  fileNames,
  functionLengths,
  openings,
} from './tidy/rules-shape.ts';
import { units } from './tidy/rules-units.ts';
import {
  calls,
  comments,
  syntax,
  testDiscipline,
  vagueVariables,
  words,
} from './tidy/rules-words.ts';

const project = readProject(fileURLToPath(new URL('../..', import.meta.url)));

function holds(findings: readonly Finding[]): void {
  const lines = findings.map(({ path, line, message }) => `${path}:${line} ${message}`);
  if (lines.length > 0) assert.fail(`\n${lines.join('\n')}`);
}

test('the tree was found', () => {
  assert.ok(project.sources.some(({ path }) => path === 'base/mod.ts'));
  assert.ok(project.texts.has('package.json'));
});
test('imports point to lower floors', () => holds(floors(project)));
test('a folder is entered through its mod.ts', () => holds(doors(project)));
test('what is imported exists', () => holds(targets(project)));
test('each library has one door', () => holds(libraries(project)));
test('the machines are pure', () => holds(purity(project)));
test('no file imports itself through others', () => holds(cycles(project)));
test('somebody imports or names every file', () => holds(deadFiles(project)));
test('product code uses every export', () => holds(deadExports(project)));
test('product code uses every package', () => holds(deadPackages(project)));
test('no file is too long', () => holds(fileLengths(project)));
test('no function is too long', () => holds(functionLengths(project)));
test('no line is too wide', () => holds(columns(project)));
test('file names are kebab-case and say something', () => holds(fileNames(project)));
test('a file opens with what it is', () => holds(openings(project)));
test('exported things have a docstring', () => holds(docstrings(project)));
test('the syntax can be stripped and hides nothing', () => holds(syntax(project)));
test('calls go through their door', () => holds(calls(project)));
test('tests run, whole and without sleeping', () => holds(testDiscipline(project)));
test('variables say what they hold', () => holds(vagueVariables(project)));
test('one word stands for one thing', () => holds(words(project)));
test('comments leave no work behind', () => holds(comments(project)));
test('times and sizes carry their unit', () => holds(units(project)));
test('nothing refers to what a stranger cannot open', () => holds(privateReferences(project)));
