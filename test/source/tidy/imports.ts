// What a file imports: static and dynamic imports, re-exports, and files named for a worker or a
// child.

import { dirname, join } from 'node:path/posix';
import type { Scan, Token } from './scan.ts';

/** One import of one module. */
export interface Import {
  readonly specifier: string;
  readonly line: number;
  /** The path within the project, or undefined for packages and Node modules. */
  readonly target: string | undefined;
  readonly form: 'import' | 'export' | 'dynamic' | 'url';
  /** Erased before the program runs. */
  readonly isTypeOnly: boolean;
  /** Names as the module calls them; '*' stands for all of them. */
  readonly names: readonly string[];
}

/** Every import of the file at `path`. */
export function importsIn(scan: Scan, path: string): readonly Import[] {
  const found: Import[] = [];
  scan.tokens.forEach((token, index) => {
    if (token.kind === 'word' && token.text === 'import') {
      const made = importAt(scan.tokens, index, path);
      if (made !== undefined) found.push(made);
    }
    if (token.kind === 'word' && token.text === 'export') {
      const made = reExportAt(scan.tokens, index, path);
      if (made !== undefined) found.push(made);
    }
    if (namesFile(scan.tokens, index)) {
      const argument = scan.tokens[index + 2];
      if (argument !== undefined) found.push(make('url', argument, path, false, ['*']));
    }
  });
  return found;
}

/** The path that `specifier` names when it stands in the file at `path`. */
export function resolveSpecifier(specifier: string, path: string): string | undefined {
  if (specifier.startsWith('#')) return specifier.slice(1);
  return specifier.startsWith('.') ? join(dirname(path), specifier) : undefined;
}

/**
 * `new URL('x.ts', …)` and `import.meta.resolve('x.ts')`: a file for a worker or a child process.
 */
function namesFile(tokens: readonly Token[], index: number): boolean {
  const text = tokens[index]?.text;
  const isResolve = text === 'resolve' && tokens[index - 2]?.text === 'meta';
  if ((text !== 'URL' && !isResolve) || tokens[index + 1]?.text !== '(') return false;
  const argument = tokens[index + 2];
  return argument?.kind === 'string' && /\.ts['"]$/.test(argument.text);
}

function importAt(tokens: readonly Token[], index: number, path: string): Import | undefined {
  const next = tokens[index + 1];
  if (next?.text === '(') {
    const argument = tokens[index + 2];
    if (argument?.kind !== 'string') return undefined;
    return make('dynamic', argument, path, tokens[index - 1]?.text === 'typeof', ['*']);
  }
  if (next?.kind === 'string') return make('import', next, path, false, []);
  return next?.text === '.' ? undefined : clauseAt(tokens, index, path, 'import');
}

function reExportAt(tokens: readonly Token[], index: number, path: string): Import | undefined {
  const next = tokens[index + 1]?.text;
  const opens = next === 'type' ? tokens[index + 2]?.text : next;
  if (opens !== '{' && opens !== '*') return undefined;
  return clauseAt(tokens, index, path, 'export');
}

/**
 * Reads `import|export … from 'specifier'`; a list without `from` is a local export, not an import.
 */
function clauseAt(
  tokens: readonly Token[],
  index: number,
  path: string,
  form: 'import' | 'export',
): Import | undefined {
  const isTypeOnly = tokens[index + 1]?.text === 'type' && tokens[index + 2]?.text !== 'from';
  const names: string[] = [];
  let isInBraces = false;
  for (let at = index + (isTypeOnly ? 2 : 1); at < tokens.length; at += 1) {
    const token = tokens[at];
    if (token === undefined || token.text === ';') return undefined;
    if (token.text === 'from' && !isInBraces) {
      const specifier = tokens[at + 1];
      if (specifier?.kind !== 'string') return undefined;
      return make(form, specifier, path, isTypeOnly, names);
    }
    if (token.text === '{') isInBraces = true;
    else if (token.text === '}') isInBraces = false;
    else if (token.text === '*') names.push('*');
    else if (!isInBraces && token.kind === 'word') {
      if (tokens[at - 1]?.text !== 'as' && token.text !== 'as') names.push('default');
    } else if (isNameInList(tokens, at)) names.push(token.text);
    else if (token.kind !== 'word' && token.text !== ',') return undefined;
  }
  return undefined;
}

function isNameInList(tokens: readonly Token[], at: number): boolean {
  if (tokens[at]?.kind !== 'word') return false;
  const before = tokens[at - 1]?.text;
  if (before === 'type') return true;
  if (before !== '{' && before !== ',') return false;
  return tokens[at]?.text !== 'type' || tokens[at + 1]?.kind !== 'word';
}

function make(
  form: Import['form'],
  token: Token,
  path: string,
  isTypeOnly: boolean,
  names: readonly string[],
): Import {
  const specifier = token.text.slice(1, -1);
  const isBareUrl = form === 'url' && !/^[.#/]/.test(specifier);
  const target = resolveSpecifier(isBareUrl ? `./${specifier}` : specifier, path);
  return { specifier, line: token.line, target, form, isTypeOnly, names };
}
