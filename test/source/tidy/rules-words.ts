// Rules about syntax, calls and words that the project does without.

import { isTestCode, partOf } from './parts.ts';
import type { Finding, Project, SourceFile } from './project.ts';
import type { Token } from './scan.ts';

type Judge = (tokens: readonly Token[], index: number, file: SourceFile) => string | undefined;

/** Syntax that Node cannot strip, or that hides more than it says. */
export function syntax(project: Project): Finding[] {
  return forEachWord(project, (tokens, index, file) => {
    const [before, word, after] = around(tokens, index);
    if (word === 'any' && before !== '.' && !/^[(:=]$/.test(after)) return 'any: say what it is';
    if (word === 'enum' && startsStatement(before)) return 'enum: a union of literals';
    if (word === 'namespace' && tokens[index + 2]?.text === '{') return 'namespace: a file';
    if (word === 'default' && before === 'export' && !file.path.endsWith('.config.ts')) {
      return 'default export: export by name';
    }
    if (word === 'extends' && isClassOfOther(tokens, index)) {
      return 'only errors inherit: compose, or write a function';
    }
    if (word === 'constructor' && after === '(' && hasParameterProperty(file, index + 1)) {
      return 'parameter property: Node cannot strip it';
    }
    return undefined;
  });
}

/** Calls with a better place: output through the command line's door, pages by key. */
export function calls(project: Project): Finding[] {
  const called = forEachWord(project, (tokens, index, file) => {
    const [before, word, after] = around(tokens, index);
    if (word === 'console' && after === '.' && before !== '.' && partOf(file.path) !== 'cli') {
      return 'console belongs to cli: log through pino or return a value';
    }
    if (word === 'process' && after === '.' && tokens[index + 2]?.text === 'exit') {
      const isAllowed = ['cli', 'bench', 'test'].includes(partOf(file.path) ?? '');
      return isAllowed ? undefined : 'process.exit belongs to cli: throw or return';
    }
    return undefined;
  });
  const paged = forEachToken(project, (tokens, index, file) => {
    const token = tokens[index];
    if (token?.kind !== 'string' || isTestCode(file.path)) return undefined;
    return /\bOFFSET\s+(\d|\$)/i.test(token.text) ? 'OFFSET: page by key' : undefined;
  });
  return [...called, ...paged];
}

/** A committed test runs, whole and without waiting for time to pass. */
export function testDiscipline(project: Project): Finding[] {
  return forEachWord(project, (tokens, index, file) => {
    if (!isTestCode(file.path)) return undefined;
    const [before, word, after] = around(tokens, index);
    if (/^(only|skip|todo)$/.test(word)) {
      if (before === '.' && after === '(') return `.${word}: a committed test runs`;
      if (/^[{,]$/.test(before) && after === ':') return `${word}: a committed test runs`;
    }
    if (!/^test\/(unit|property|simulation)\//.test(file.path)) return undefined;
    if (/^(setTimeout|setInterval|setImmediate|sleep|delay)$/.test(word) && before !== '.') {
      return `${word}: time is a variable here, pass nowMs`;
    }
    return undefined;
  });
}

/** Names that could name anything: data, info, item. */
export function vagueVariables(project: Project): Finding[] {
  const named = forEachWord(project, (tokens, index) => {
    const [before, word] = around(tokens, index);
    if (!/^(const|let|var)$/.test(before) || !isVague(word)) return undefined;
    return `a variable called ${word}: say what it holds`;
  });
  const handed = project.sources.flatMap((file) =>
    file.functions.flatMap((span) =>
      parameterNames(file, span.open, span.close)
        .filter(({ text }) => isVague(text))
        .map(({ text, line }) => ({
          path: file.path,
          line,
          message: `a parameter called ${text}: say what it holds`,
        })),
    ),
  );
  return [...named, ...handed];
}

/** Words that mean something else to the reader, where they can be told apart by machine. */
export function words(project: Project): Finding[] {
  return forEachWord(project, (tokens, index, file) => {
    const [before, word] = around(tokens, index);
    if (before === '.' || before === '?.' || tokens[index]?.kind !== 'word') return undefined;
    const parts = nameParts(word);
    const isStored = /^(archive|migrations|replay-api)\//.test(file.path);
    if (isStored && parts.some((part) => /^gaps?$/.test(part)))
      return `${word}: a stored one is a loss`;
    if (/(sequence|position|message)s?Offset/i.test(word)) return `${word}: it is a sequence`;
    if (/^(const|let)$/.test(before) && /^records?$/.test(word)) return `${word}: it is a row`;
    const isOption = word === 'sync' && tokens[index + 1]?.text === ':';
    if (parts.includes('sync') && !word.endsWith('Sync') && !isOption)
      return `${word}: say what is brought in line`;
    return undefined;
  });
}

/** Work that is not done is not left in the source, and a silenced check says why. */
export function comments(project: Project): Finding[] {
  return project.sources.flatMap((file) =>
    file.scan.comments.flatMap(({ text, line }) => {
      const message = commentProblem(text);
      return message === undefined ? [] : [{ path: file.path, line, message }];
    }),
  );
}

/** The parts of a name in lower case: `batchAgeMs` and `BATCH_AGE_MS` are batch, age, ms. */
export function nameParts(name: string): readonly string[] {
  return name
    .replace(/^[#_$]+/, '')
    .split(/_|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/)
    .map((part) => part.toLowerCase());
}

/** The names of the parameters between two brackets, also those with a modifier or a spread. */
export function parameterNames(file: SourceFile, open: number, close: number): readonly Token[] {
  const { tokens, partner } = file.scan;
  const names: Token[] = [];
  for (let at = open + 1; at < close; at += 1) {
    const token = tokens[at];
    if (token === undefined) break;
    const before = tokens[at - 1]?.text ?? '';
    if (token.kind === 'word' && (at === open + 1 || /^(,|\.\.\.)$/.test(before)))
      names.push(token);
    if (token.kind === 'punct' && '([{'.includes(token.text)) at = partner.get(at) ?? at;
  }
  return names;
}

function commentProblem(text: string): string | undefined {
  const unfinished = /\b(TO[D]O|FIX[M]E|XX[X]|HACK)\b/.exec(text)?.[0];
  if (unfinished !== undefined) return `${unfinished}: do it or leave it`;
  if (/@ts-(ignore|nocheck)/.test(text)) return 'a type error is mended, not ignored';
  if (/(ox|es)lint-disable|biome-ignore|@ts-expect-error/.test(text) && !/ -- \S|: \S/.test(text)) {
    return 'a silenced check says why, behind two dashes';
  }
  return undefined;
}

function isVague(name: string): boolean {
  return name === 'data' || name === 'info' || name === 'item';
}

function startsStatement(before: string): boolean {
  return before === '' || /^([;}]|export|const|declare)$/.test(before);
}

/** Whether `extends` at `index` belongs to a class, and what it extends is not an error. */
function isClassOfOther(tokens: readonly Token[], index: number): boolean {
  if (tokens[index + 1]?.text.endsWith('Error')) return false;
  const isNamed = tokens[index - 2]?.text === 'class';
  return isNamed || tokens[index - 1]?.text === 'class';
}

function hasParameterProperty(file: SourceFile, open: number): boolean {
  const close = file.scan.partner.get(open) ?? open;
  return parameterNames(file, open, close).some(({ text }) =>
    /^(public|private|protected|readonly|override)$/.test(text),
  );
}

function around(tokens: readonly Token[], index: number): [string, string, string] {
  return [tokens[index - 1]?.text ?? '', tokens[index]?.text ?? '', tokens[index + 1]?.text ?? ''];
}

function forEachWord(project: Project, judge: Judge): Finding[] {
  return forEachToken(project, (tokens, index, file) =>
    tokens[index]?.kind === 'word' ? judge(tokens, index, file) : undefined,
  );
}

function forEachToken(project: Project, judge: Judge): Finding[] {
  return project.sources.flatMap((file) =>
    file.scan.tokens.flatMap((token, index) => {
      const message = judge(file.scan.tokens, index, file);
      return message === undefined ? [] : [{ path: file.path, line: token.line, message }];
    }),
  );
}
