// Gathers the sources of the package in dist/client-source: every file that one of its doors
// reaches, with `#` imports made relative, since tsc rewrites only those to what it emits. The
// first step of `npm run build:client`; tsc is the second, assemble.ts the third.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const STAGE = join(ROOT, 'dist/client-source');
const DOORS = ['client/package/index.ts', 'client/package/registry.ts'];
/** A module as an import names it: relative or by `#`, with its extension. */
const MODULE = /(?<=\b(?:from|import)\s*\(?\s*')([.#][^']*\.ts)(?=')/g;

for (const folder of ['dist/client-source', 'dist/client'])
  rmSync(join(ROOT, folder), { recursive: true, force: true });
const waiting = [...DOORS];
const staged = new Set(waiting);
for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
  for (const target of stage(path)) {
    if (staged.has(target)) continue;
    staged.add(target);
    waiting.push(target);
  }
}

/** Writes the file at `path` to the stage; returns what it imports. */
function stage(path: string): readonly string[] {
  const targets: string[] = [];
  const text = readFileSync(join(ROOT, path), 'utf8').replaceAll(MODULE, (specifier: string) => {
    const isNamed = specifier.startsWith('#');
    const target = isNamed ? specifier.slice(1) : posix.join(posix.dirname(path), specifier);
    targets.push(target);
    return relativeTo(path, target);
  });
  const place = join(STAGE, path);
  mkdirSync(dirname(place), { recursive: true });
  writeFileSync(place, text);
  return targets;
}

function relativeTo(path: string, target: string): string {
  const relative = posix.relative(posix.dirname(path), target);
  return relative.startsWith('.') ? relative : `./${relative}`;
}
