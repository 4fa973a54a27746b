// Rules about the shape of files: sizes, file names, opening paragraphs, docstrings.

import type { FunctionSpan } from './functions.ts';
import type { Finding, Project, SourceFile } from './project.ts';

const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 70;
const COLUMNS_MAX = 100;
/** Fewer words cannot say what a file is and what it is not. */
const OPENING_WORDS_MIN = 6;

/**
 * Files that are held to less than the common maximum, because the design stands or falls with it.
 */
const FILE_LINES_MAX_OF: Readonly<Record<string, number>> = { 'multicast/udp/driver.ts': 100 };

const VAGUE_NAMES = /(^|[/-])(utils?|commons?|helpers?|managers?|misc|sync)([-./]|$)/;

/** No file is longer than one can hold in mind. */
export function fileLengths(project: Project): Finding[] {
  return forEachSource(project, (file) => {
    const lineCount = file.text.trimEnd().split('\n').length;
    const lineCountMax = FILE_LINES_MAX_OF[file.path] ?? FILE_LINES_MAX;
    if (lineCount <= lineCountMax) return [];
    return [[lineCount, `${lineCount} lines, more than ${lineCountMax}: split it by concept`]];
  });
}

/** No function is longer than a screen. Callbacks of describe and suite only group tests. */
export function functionLengths(project: Project): Finding[] {
  return forEachSource(project, (file) =>
    file.functions
      .filter((span) => span.lineCount > FUNCTION_LINES_MAX && !isTestGroup(file, span))
      .map(({ name, line, lineCount }) => [
        line,
        `${name || 'this function'} has ${lineCount} lines, more than ${FUNCTION_LINES_MAX}`,
      ]),
  );
}

/** No line is wider than two windows side by side. */
export function columns(project: Project): Finding[] {
  return forEachSource(project, (file) =>
    file.text
      .split('\n')
      .map((text, index): [number, string] => [index + 1, text])
      .filter(([, text]) => columnCount(text) > COLUMNS_MAX)
      .map(([line, text]) => [line, `${columnCount(text)} columns, more than ${COLUMNS_MAX}`]),
  );
}

/** File names are kebab-case nouns that say what is inside. */
export function fileNames(project: Project): Finding[] {
  return forEachSource(project, ({ path }) => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    if (VAGUE_NAMES.test(path)) return [[1, 'the name says nothing: name the concept']];
    if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.(test|config|d))?\.ts$/.test(name))
      return [[1, 'not kebab-case']];
    return [];
  });
}

/** A file opens with a paragraph that says what it is. Tests are named by the facts they hold. */
export function openings(project: Project): Finding[] {
  return forEachSource(project, (file) => {
    if (file.path.endsWith('.test.ts')) return [];
    const firstToken = file.scan.tokens[0]?.start ?? file.text.length;
    const words = file.scan.comments
      .filter(({ start, text }) => start < firstToken && !text.startsWith('#!'))
      .flatMap(({ text }) => text.match(/[\p{L}\p{N}]+/gu) ?? []);
    if (words.length >= OPENING_WORDS_MIN) return [];
    return [[1, 'open with a comment: what this file is, and what it is not']];
  });
}

/** What is exported has a docstring. */
export function docstrings(project: Project): Finding[] {
  return forEachSource(project, (file) =>
    file.exports
      .filter(({ hasDocstring }) => !hasDocstring)
      .map(({ name, line }) => [line, `${name} is exported without a docstring`]),
  );
}

function columnCount(text: string): number {
  return Array.from(text).length;
}

function isTestGroup(file: SourceFile, span: FunctionSpan): boolean {
  const { tokens, partner } = file.scan;
  for (let at = span.open - 1; at > 0; at -= 1) {
    const text = tokens[at]?.text ?? '';
    if (text === '(' && tokens[at]?.kind === 'punct') {
      return ['describe', 'suite'].includes(tokens[at - 1]?.text ?? '');
    }
    if (text === ';' || text === '{') return false;
    if (/^[)\]}]$/.test(text)) at = partner.get(at) ?? 0;
  }
  return false;
}

function forEachSource(
  project: Project,
  judge: (file: SourceFile) => (readonly [number, string])[],
): Finding[] {
  return project.sources.flatMap((file) =>
    judge(file).map(([line, message]) => ({ path: file.path, line, message })),
  );
}
