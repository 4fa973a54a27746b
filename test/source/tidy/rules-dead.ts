// Rules about what nobody uses: files, exports, packages. A use by tests alone does not keep
// product code alive, since a hook that only tests pull is dead weight; what exists for tests
// (their own support, the simulation, the measurements) lives by them. The door that other programs
// embed is a use by itself.

import { isTestCode, partOf } from './parts.ts';
import type { Finding, Project, SourceFile } from './project.ts';

/** Doors that programs outside of this project import. */
const PUBLIC_DOORS = new Set(['client/mod.ts']);

/** A file that nobody imports must be a test, or be named by package.json or a document. */
export function deadFiles(project: Project): Finding[] {
  const imported = new Set(project.sources.flatMap(({ imports }) => imports.map((i) => i.target)));
  const named = [...project.texts]
    .filter(([path]) => !path.endsWith('.ts'))
    .map(([, text]) => text);
  return project.sources
    .filter(({ path }) => !path.endsWith('.test.ts') && !PUBLIC_DOORS.has(path))
    .filter(({ path }) => !imported.has(path) && !named.some((text) => text.includes(path)))
    .map(({ path }) => ({ path, line: 1, message: 'nobody imports or names this file' }));
}

/** An export is used by product code; one that only tests use is a hook that nobody needs. */
export function deadExports(project: Project): Finding[] {
  const byPath = new Map(project.sources.map((file) => [file.path, file]));
  const used = usedNames(project, byPath);
  return project.sources
    .filter(({ path }) => !path.endsWith('.test.ts') && !isNamedByManifest(project, path))
    .flatMap((file) =>
      file.exports
        .filter(({ name }) => !used.has(`${file.path}:${name}`) && !isUsedInside(file, name))
        .map(({ name, line }) => ({
          path: file.path,
          line,
          message: `${name} is exported and nothing but tests uses it`,
        })),
    );
}

/** Every package among the runtime dependencies is named by product code. */
export function deadPackages(project: Project): Finding[] {
  const manifest = JSON.parse(project.texts.get('package.json') ?? '{}') as {
    dependencies?: Record<string, string>;
  };
  const strings = new Set(
    project.sources
      .filter(({ path }) => !isTestCode(path))
      .flatMap(({ scan }) => scan.tokens.filter(({ kind }) => kind === 'string'))
      .map(({ text }) => text.slice(1, -1)),
  );
  return Object.keys(manifest.dependencies ?? {})
    .filter((name) => !strings.has(name))
    .map((name) => ({ path: 'package.json', line: 1, message: `nothing imports ${name}` }));
}

/** Keys `path:name` of every export that another file uses, seen through re-exports. */
function usedNames(project: Project, byPath: ReadonlyMap<string, SourceFile>): ReadonlySet<string> {
  const used = new Set<string>();
  const use = (path: string, name: string, seen: ReadonlySet<string>): void => {
    const file = byPath.get(path);
    if (file === undefined || seen.has(path)) return;
    const deeper = new Set([...seen, path]);
    for (const own of file.exports) {
      if (own.name === name || name === '*') used.add(`${path}:${own.name}`);
    }
    for (const { form, target, names } of file.imports) {
      if (form !== 'export' || target === undefined) continue;
      if (names.includes('*')) use(target, name, deeper);
      else
        for (const passed of names)
          if (name === '*' || passed === name) use(target, passed, deeper);
    }
  };
  for (const file of project.sources) {
    for (const { form, target, names } of file.imports) {
      if (target === undefined || form === 'export') continue;
      const isUse = !isTestCode(file.path) || livesByTests(target);
      if (isUse) for (const name of names) use(target, name, new Set());
    }
  }
  for (const door of PUBLIC_DOORS) use(door, '*', new Set());
  return used;
}

function livesByTests(path: string): boolean {
  return ['test', 'sim', 'bench'].includes(partOf(path) ?? '');
}

/** Whether a script of package.json hands the file to Node, which then calls what it exports. */
function isNamedByManifest(project: Project, path: string): boolean {
  return project.texts.get('package.json')?.includes(path) ?? false;
}

function isUsedInside(file: SourceFile, name: string): boolean {
  const places = file.scan.tokens.filter(({ kind, text }) => kind === 'word' && text === name);
  return places.length > 1;
}
