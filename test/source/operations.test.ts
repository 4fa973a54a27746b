// docs/operations.md is read at night: the log lines that it explains are those that the program
// writes, its settings exist, and its examples can be used as they stand.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { LOADER_VARIABLES, SETTINGS } from '#config/mod.ts';
import { readProject } from './tidy/project.ts';
import { registeredCommands } from './tidy/rules-docs.ts';

const project = readProject(fileURLToPath(new URL('../..', import.meta.url)));
const text = project.texts.get('docs/operations.md') ?? '';
const PROGRAM = /^(ingest|replay-api|archive\/replica)/;

const sources = project.sources.filter(({ path }) => PROGRAM.test(path));

/** First cells of the table of log lines. */
function explainedLines(): string[] {
  const start = text.indexOf('\n| log line ');
  assert.notEqual(start, -1, 'there is a table of log lines');
  const table = text.slice(start, text.indexOf('\n\n', start + 1));
  return [...table.matchAll(/^\| `([^`]+)`/gm)].map(([, line = '']) => line);
}

/** What the archiver and the API log, where it is a constant. */
function writtenLines(): string[] {
  const calls = [
    /\.log\.\w+\(\s*(?:\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\},\s*)?'([^']+)'/g,
    /#log\(\s*'(?:info|warn)',\s*'([^']+)'/g,
    /logger\.\w+\(\s*\{[^{}]*\},\s*'([^']+)'/g,
  ];
  return sources.flatMap((source) =>
    calls.flatMap((call) => [...source.text.matchAll(call)].map(([, line = '']) => line)),
  );
}

function block(language: string): string {
  const found = new RegExp(`\`\`\`${language}\\n([^\`]+)\`\`\``).exec(text)?.[1];
  assert.ok(found !== undefined, `no example in ${language}`);
  return found;
}

test('every log line that is explained is written', () => {
  const lines = explainedLines();
  assert.ok(lines.length > 10, 'the table has rows');
  for (const line of lines) {
    const isWritten = sources.some((source) => source.text.includes(`'${line}'`));
    assert.ok(isWritten, `nothing writes "${line}"`);
  }
});

test('every warning and error that is written is explained', () => {
  const explained = new Set(explainedLines());
  const written = writtenLines();
  assert.ok(written.length > 8, 'the program writes log lines');
  for (const line of written) {
    if (line.startsWith('replay API')) continue;
    assert.ok(explained.has(line), `"${line}" is not explained`);
  }
});

test('the settings that are named exist', () => {
  const variables = new Set<string>(LOADER_VARIABLES);
  for (const { schema } of SETTINGS) if (schema.env !== undefined) variables.add(schema.env);
  const names = SETTINGS.map(({ name }) => name);
  const codes = /`(BACKCAST_[A-Z_]+)`|^Environment=(BACKCAST_[A-Z]+)|name: (BACKCAST_[A-Z]+)/gm;
  const errors = project.texts.get('docs/errors.md') ?? '';
  for (const [, quoted, unit, pod] of text.matchAll(codes)) {
    const name = quoted ?? unit ?? pod ?? '';
    assert.ok(variables.has(name) || errors.includes(`\n## ${name}\n`), name);
  }
  for (const [, name = ''] of text.matchAll(/`((?:archiver|receiver|publisher|registry)\.\w+)`/g)) {
    const isThere = names.some((known) => known === name || known.startsWith(`${name}.`));
    assert.ok(isThere, name);
  }
});

test('the examples run commands of the program, on the host’s network', () => {
  const known = registeredCommands(project);
  const started = /ExecStart=\S*backcast (\w+)/.exec(block('ini'))?.[1] ?? '';
  assert.ok(known.has(started), `the unit starts ${started}`);
  const { spec } = (parse(block('yaml')) as Deployment).spec.template;
  assert.equal(spec.hostNetwork, true);
  const [{ args, env }] = spec.containers;
  assert.ok(known.has(args[0]), `the pod starts ${args[0]}`);
  const variables = env.map(({ name }) => name);
  for (const name of ['BACKCAST_INTERFACE', 'BACKCAST_ARCHIVER', 'DATABASE_URL', 'REDIS_URL']) {
    assert.ok(variables.includes(name), `${name} is not given`);
  }
});

interface Deployment {
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly hostNetwork: boolean;
        readonly containers: readonly [
          {
            readonly args: readonly [string];
            readonly env: readonly { readonly name: string }[];
          },
        ];
      };
    };
  };
}
