// docs/cli.md against the program: the same commands, the same flags, the same exit codes, both
// ways.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { EXIT_CODES, createProgram } from '#cli/mod.ts';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';

const PAGE = readFileSync(fileURLToPath(new URL('../../../docs/cli.md', import.meta.url)), 'utf8');

const nothing = (): void => undefined;
const program = createProgram(
  {
    env: {},
    cwd: '/',
    output: { write: () => Promise.resolve() },
    signal: new AbortController().signal,
    note: nothing,
    finish: nothing,
  },
  '0.0.0',
  { out: nothing, err: nothing },
);

/** The commands that do something, with their full names. */
function leaves(command: Command, names: readonly string[]): [string, Command][] {
  if (command.commands.length === 0) return [[names.join(' '), command]];
  return command.commands.flatMap((child) => leaves(child, [...names, child.name()]));
}

function flagsIn(text: string): string[] {
  return [...new Set([...text.matchAll(/`(--[a-z-]+)/g)].map(([, flag]) => flag))].toSorted(byText);
}

function byText(left: string, right: string): number {
  return left < right ? -1 : 1;
}

const sections = new Map(
  PAGE.split(/^## /m)
    .slice(1)
    .map((section) => [section.slice(0, section.indexOf('\n')), section] as const),
);

test('the page has a section for every command, and none for anything else', () => {
  const documented = [...sections.keys()].filter((title) => title.startsWith('backcast '));
  const existing = leaves(program, ['backcast']).map(([name]) => name);
  assert.deepEqual(documented.toSorted(byText), existing.toSorted(byText));
});

for (const [name, command] of leaves(program, ['backcast']))
  test(`the section of \`${name}\` names its flags and no others`, () => {
    const flags = command.options.map(({ long }) => long ?? '').toSorted(byText);
    assert.deepEqual(flagsIn(sections.get(name) ?? ''), flags);
  });

test('the options of every command are those of the program', () => {
  const flags = [...program.options.map(({ long }) => long ?? ''), '--help'].toSorted(byText);
  assert.deepEqual(flagsIn(sections.get('Options of every command') ?? ''), flags);
});

test('the exit codes of the page are those of the program', () => {
  const rows = [...PAGE.matchAll(/^\| (\d+) +\| (.*?) +\|$/gm)].map(([, code, meaning]) => [
    Number(code),
    meaning,
  ]);
  assert.deepEqual(
    rows,
    Object.values(EXIT_CODES).map(({ code, meaning }) => [code, meaning]),
  );
});
