// The project as the rules see it: every text file by its path, TypeScript files scanned once. Made
// from the tree on disk, or from a few snippets by the tests of the rules.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { exportsIn, type Export } from './exports.ts';
import { functionsIn, type FunctionSpan } from './functions.ts';
import { importsIn, type Import } from './imports.ts';
import { scan, type Scan } from './scan.ts';

/** A TypeScript file with what the rules ask of it. */
export interface SourceFile {
  /** From the root of the project, with slashes. */
  readonly path: string;
  readonly text: string;
  readonly scan: Scan;
  readonly imports: readonly Import[];
  readonly exports: readonly Export[];
  readonly functions: readonly FunctionSpan[];
}

/** All of it. */
export interface Project {
  /** Every text file by its path. */
  readonly texts: ReadonlyMap<string, string>;
  /** The TypeScript ones, in order of path. */
  readonly sources: readonly SourceFile[];
}

/** What a rule objects to. */
export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly message: string;
}

const SKIPPED = new Set('node_modules .git .backcast .cache dist coverage fixtures'.split(' '));
const TEXT =
  /(\.(ts|tsx|md|json|ya?ml|sh|sql|mjs|css|html)|(^|\/)(Dockerfile|backcast|run|\.\w+))$/;
const GENERATED = new Set(['package-lock.json']);

/** Reads the project at `root`, without what is installed, generated or a fixture. */
export function readProject(root: string): Project {
  const texts = new Map<string, string>();
  const walk = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (SKIPPED.has(entry.name) || GENERATED.has(path)) continue;
      if (entry.isDirectory()) walk(path);
      else if (entry.isFile() && TEXT.test(path)) {
        texts.set(path, readFileSync(join(root, path), 'utf8'));
      }
    }
  };
  walk('');
  return projectOf(texts);
}

/** The project that consists of `texts`. */
export function projectOf(texts: ReadonlyMap<string, string>): Project {
  const sources = [...texts]
    .filter(([path]) => path.endsWith('.ts'))
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, text]) => sourceFile(path, text));
  return { texts, sources };
}

function sourceFile(path: string, text: string): SourceFile {
  const scanned = scan(text);
  return {
    path,
    text,
    scan: scanned,
    imports: importsIn(scanned, path),
    exports: exportsIn(scanned),
    functions: functionsIn(scanned),
  };
}
