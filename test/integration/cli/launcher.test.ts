// The script ./backcast itself: where it finds the project and a Node, and what it says when it
// cannot.

import assert from 'node:assert/strict';
import { copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { createTestFolder, type TestFolder } from '#test/support/folder.ts';
import { BACKCAST, runBackcast } from '#test/support/cli.ts';

/** A project that has the script, packages as given and a command line that says where it is. */
async function createProject(nodes: {
  packaged?: string;
  onPath?: string;
}): Promise<TestFolder & { readonly script: string; readonly env: Record<string, string> }> {
  const folder = await createTestFolder();
  const script = join(folder.path, 'backcast');
  await copyFile(BACKCAST, script);
  await mkdir(join(folder.path, 'cli'));
  await writeFile(
    join(folder.path, 'cli/main.ts'),
    'const args: string[] = process.argv.slice(2);\nconsole.log(import.meta.dirname, ...args);\n',
  );
  const onPath = join(folder.path, 'path');
  await mkdir(onPath);
  if (nodes.onPath !== undefined)
    await writeFile(join(onPath, 'node'), nodes.onPath, { mode: 0o755 });
  if (nodes.packaged !== undefined) {
    await mkdir(join(folder.path, 'node_modules/.bin'), { recursive: true });
    if (nodes.packaged !== '')
      await symlink(nodes.packaged, join(folder.path, 'node_modules/.bin/node'));
  }
  return { ...folder, script, env: { PATH: `${onPath}:/usr/bin:/bin` } };
}

const OLD_NODE = '#!/bin/sh\necho 20\n';
const NEW_NODE = `#!/bin/sh\nexec ${process.execPath} "$@"\n`;

test('the Node among the packages runs, also through links to links', async () => {
  await using project = await createProject({ packaged: process.execPath, onPath: OLD_NODE });
  const { script, env, path } = project;
  await mkdir(join(path, 'bin'));
  await symlink('../backcast', join(path, 'bin/first'));
  await symlink(join(path, 'bin/first'), join(path, 'bin/second'));
  for (const entry of [script, join(path, 'bin/first'), join(path, 'bin/second')]) {
    const { end, stdout, stderr } = await runBackcast(['a b', '*'], { script: entry, env });
    assert.deepEqual([end, stdout, stderr], [0, `${join(path, 'cli')} a b *\n`, '']);
  }
});

test('without packages there is one line that says what to run', async () => {
  await using project = await createProject({ onPath: NEW_NODE });
  const { end, stdout, stderr } = await runBackcast([], project);
  assert.equal(end, 1);
  assert.equal(stdout, '');
  assert.equal(
    stderr,
    'backcast: its packages are not installed; ' +
      `run \`npm ci\` in ${dirname(project.script)} first\n`,
  );
});

test('without a Node among the packages, a new one on PATH serves', async () => {
  await using project = await createProject({ packaged: '', onPath: NEW_NODE });
  const { end, stdout } = await runBackcast(['x'], project);
  assert.deepEqual([end, stdout], [0, `${join(project.path, 'cli')} x\n`]);
});

test('without any Node that is new enough there is one line that says so', async () => {
  await using old = await createProject({ packaged: '', onPath: OLD_NODE });
  await using broken = await createProject({ packaged: '', onPath: '#!/bin/sh\nexit 7\n' });
  for (const project of [old, broken]) {
    const { end, stderr } = await runBackcast([], project);
    assert.equal(end, 1);
    assert.match(stderr, /^backcast: no Node 24 for this platform .*npm ci.*\n$/);
  }
});
