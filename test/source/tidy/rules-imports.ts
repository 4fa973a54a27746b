// Rules about who may know whom: floors, doors, purity, libraries, cycles.

import type { Import } from './imports.ts';
import { isPure, isTestCode, LIBRARY_DOORS, mayImport, partOf } from './parts.ts';
import type { Finding, Project, SourceFile } from './project.ts';
import type { Token } from './scan.ts';

const IMPURE_WORDS = new Set(
  (
    'performance setTimeout setInterval setImmediate queueMicrotask process Buffer crypto fetch ' +
    'WebSocket EventSource navigator globalThis require console Worker'
  ).split(' '),
);

/** Imports point down to lower floors, or stay within their part. */
export function floors(project: Project): Finding[] {
  return importFindings(project, (file, { target }) => {
    const from = partOf(file.path);
    const to = target === undefined ? undefined : partOf(target);
    if (from === undefined || to === undefined || mayImport(from, to)) return undefined;
    return `${from} must not import ${to}: imports point to lower floors only`;
  });
}

/**
 * Across parts a folder is entered through its mod.ts by its `#` name; inside a part, relatively.
 */
export function doors(project: Project): Finding[] {
  return importFindings(project, (file, { target, specifier }) => {
    if (target === undefined) return undefined;
    const to = partOf(target);
    const isInside = to === partOf(file.path);
    if (!target.endsWith('.ts') && !target.endsWith('.json'))
      return `${specifier} lacks its suffix`;
    if (isInside && specifier.startsWith('#') && !isTestCode(file.path)) {
      return `inside ${to ?? 'the root'} import ${target} by a relative path`;
    }
    if (isInside || to === undefined) return undefined;
    if (!specifier.startsWith('#')) return `enter ${to} as #${to}/mod.ts, not by a relative path`;
    if (isTestCode(file.path) || target === `${to}/mod.ts`) return undefined;
    return `enter ${to} through #${to}/mod.ts, not through ${target}`;
  });
}

/** Every import of a project file names a file that exists. */
export function targets(project: Project): Finding[] {
  return importFindings(project, (_file, { target, specifier }) =>
    target === undefined || project.texts.has(target) || target === 'package.json'
      ? undefined
      : `${specifier} does not exist`,
  );
}

/** A library is known only to the part that wraps it. Tests and measurements look behind doors. */
export function libraries(project: Project): Finding[] {
  return importFindings(project, (file, { target, specifier }) => {
    const part = partOf(file.path);
    if (target !== undefined || part === 'test' || part === 'bench') return undefined;
    const allowed = LIBRARY_DOORS[specifier];
    if (allowed === undefined || part === undefined || allowed.includes(part)) return undefined;
    return `${specifier} is the business of ${allowed.join(' and ')}`;
  });
}

/** Pure files touch no clock, timer, socket, randomness nor Node, and import pure files only. */
export function purity(project: Project): Finding[] {
  const imported = importFindings(project, (file, { target, specifier, isTypeOnly }) => {
    if (!isPure(file.path) || isTypeOnly) return undefined;
    if (target !== undefined && (isPure(target) || isPureDoor(target))) return undefined;
    return `a pure file must not import ${specifier}`;
  });
  const used = project.sources
    .filter((file) => isPure(file.path))
    .flatMap((file) =>
      file.scan.tokens
        .map((token, index) => ({ token, name: impureAt(file.scan.tokens, index) }))
        .filter(({ name }) => name !== undefined)
        .map(({ token, name }) => ({
          path: file.path,
          line: token.line,
          message: `a pure file must not use ${name ?? ''}: hand it in as an argument`,
        })),
    );
  return [...imported, ...used];
}

/** No file imports itself through others. Imports of types only are erased and do not count. */
export function cycles(project: Project): Finding[] {
  const findings: Finding[] = [];
  const byPath = new Map(project.sources.map((file) => [file.path, file]));
  const settled = new Set<string>();
  const walk = (file: SourceFile, trail: readonly string[]): void => {
    const loop = trail.indexOf(file.path);
    if (loop !== -1) {
      const message = `imports itself: ${[...trail.slice(loop), file.path].join(' -> ')}`;
      findings.push({ path: file.path, line: 1, message });
      return;
    }
    if (settled.has(file.path)) return;
    for (const { target, isTypeOnly, form } of file.imports) {
      const next = byPath.get(target ?? '');
      if (next !== undefined && !isTypeOnly && form !== 'url') walk(next, [...trail, file.path]);
    }
    settled.add(file.path);
  };
  for (const file of project.sources) walk(file, []);
  return findings;
}

function isPureDoor(target: string): boolean {
  return isPure(target) && target.endsWith('/mod.ts');
}

/** The impure thing that the token at `index` uses, or undefined. */
function impureAt(tokens: readonly Token[], index: number): string | undefined {
  const token = tokens[index];
  const before = tokens[index - 1]?.text;
  if (token?.kind !== 'word' || before === '.' || before === '?.') return undefined;
  const after = tokens[index + 1]?.text;
  const member = after === '.' ? tokens[index + 2]?.text : undefined;
  if (token.text === 'Math' && member === 'random') return 'Math.random';
  if (token.text === 'Date' && member === 'now') return 'Date.now';
  if (token.text === 'Date' && after === '(' && tokens[index + 2]?.text === ')')
    return 'new Date()';
  if (!IMPURE_WORDS.has(token.text) || isPropertyName(tokens, index)) return undefined;
  return token.text;
}

/** `{ process: 1 }` and `process(x) {` name something of ours. */
function isPropertyName(tokens: readonly Token[], index: number): boolean {
  const before = tokens[index - 1]?.text ?? '';
  return tokens[index + 1]?.text === ':' && /^[{,;]$|^readonly$/.test(before);
}

function importFindings(
  project: Project,
  judge: (file: SourceFile, made: Import) => string | undefined,
): Finding[] {
  return project.sources.flatMap((file) =>
    file.imports.flatMap((made) => {
      const message = judge(file, made);
      return message === undefined ? [] : [{ path: file.path, line: made.line, message }];
    }),
  );
}
