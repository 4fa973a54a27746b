// `npm run check` needs no server: what it runs must not reach for one. Tests that do stand under
// test/integration and test/contract.

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const QUICK = 'test/{unit,property,simulation,source}/**/*.test.ts';
const SUPPORT = 'test/support/*.ts';
const IMPORT = /from '(?:#test\/support|\.)\/([a-z-]+)\.ts'/g;
/** What starts or needs a server, a socket of its own, or a process of ours. */
const SLOW = ['cli', 'postgres-server', 'redis'];

/** The support files that `path` imports by name. */
function supportOf(path: string): string[] {
  return [...readFileSync(join(ROOT, path), 'utf8').matchAll(IMPORT)].map(([, name]) => name ?? '');
}

test('quick tests import nothing that starts a server, however indirectly', () => {
  const imports = new Map(
    globSync(SUPPORT, { cwd: ROOT }).map((path) => {
      const name = path.replace(/^.*\/|\.ts$/g, '');
      return [name, supportOf(path)] as const;
    }),
  );
  for (const name of SLOW) assert.ok(imports.has(name), `${name} is no support file any more`);
  const isSlow = (name: string, seen: readonly string[] = []): boolean =>
    SLOW.includes(name) ||
    (imports.get(name) ?? []).some((next) => !seen.includes(next) && isSlow(next, [...seen, name]));
  const quick = globSync(QUICK, { cwd: ROOT });
  assert.ok(quick.length > 50);
  for (const path of quick) {
    const slow = supportOf(path).filter((name) => isSlow(name));
    assert.deepEqual(slow, [], `${path} belongs under test/integration`);
  }
});
