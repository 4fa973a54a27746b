// Makes a package of what tsc has compiled to dist/client: a manifest with the dependencies that
// the compiled files really import, the documentation and the licence. Refuses to bring anything
// that an application does not need. Run by `npm run build:client`.

import { copyFileSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PACKAGE = join(ROOT, 'dist/client');
/** Packages that only one of the doors needs: who uses it installs them. */
const OPTIONAL = new Set(['ioredis']);
const ALLOWED = new Set(['eventsource-parser', ...OPTIONAL]);
/** What tsc writes for an import of a package: one statement, at the start of a line. */
const IMPORT = /^(?:import|export) (?:[^;'"]* from )?'([^'./][^']*)';$/gm;

interface Manifest {
  readonly version: string;
  readonly license: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

const compiled = globSync('**/*.js', { cwd: PACKAGE });
const root = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;
const needed = importedPackages();
const refused = needed.filter((name) => !ALLOWED.has(name));
if (refused.length > 0) throw new Error(`the client must not import ${refused.join(', ')}`);
writeFileSync(join(PACKAGE, 'package.json'), `${JSON.stringify(manifest(), null, 2)}\n`);
copyFileSync(join(ROOT, 'docs/client.md'), join(PACKAGE, 'README.md'));
copyFileSync(join(ROOT, 'LICENSE'), join(PACKAGE, 'LICENSE'));

function manifest(): object {
  return {
    name: '@backcast/client',
    version: root.version,
    description: 'Publish, subscribe and recover on channels of Backcast.',
    license: root.license,
    type: 'module',
    engines: { node: '>=22' },
    exports: {
      '.': door('index'),
      './registry': door('registry'),
      './package.json': './package.json',
    },
    sideEffects: ['./client/package/disposable-stack.js'],
    dependencies: versions(needed.filter((name) => !OPTIONAL.has(name))),
    peerDependencies: versions(needed.filter((name) => OPTIONAL.has(name))),
    peerDependenciesMeta: Object.fromEntries(
      [...OPTIONAL].map((name) => [name, { optional: true }]),
    ),
  };
}

function door(name: string): object {
  const path = `./client/package/${name}`;
  return { types: `${path}.d.ts`, default: `${path}.js` };
}

function versions(names: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(names.map((name) => [name, `^${root.dependencies[name]}`]));
}

/** Packages that the compiled files import, without Node's own modules, in order of name. */
function importedPackages(): string[] {
  const specifiers = compiled.flatMap((path) => {
    const found = readFileSync(join(PACKAGE, path), 'utf8').matchAll(IMPORT);
    return [...found].map(([, specifier = '']) => specifier);
  });
  const packages = specifiers.filter((specifier) => !specifier.startsWith('node:'));
  return [...new Set(packages.map(packageOf))].toSorted();
}

function packageOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}
