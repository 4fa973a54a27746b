import assert from 'node:assert/strict';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { KeyRing } from '#multicast/udp/mod.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { NEW_KEY, OLD_KEY } from '#test/support/sealed-packets.ts';

interface Scene extends AsyncDisposable {
  readonly file: string;
  readonly changes: (readonly number[])[];
  readonly problems: string[];
  write(text: string, mode?: number): void;
  open(): KeyRing;
}

async function setScene(): Promise<Scene> {
  const folder = await createTestFolder();
  const file = join(folder.path, 'keys');
  const changes: (readonly number[])[] = [];
  const problems: string[] = [];
  return {
    file,
    changes,
    problems,
    write: (text, mode = 0o600) => {
      writeFileSync(file, text);
      chmodSync(file, mode);
    },
    open: () => {
      const ring = KeyRing.open(
        { keysFile: file },
        { onChange: (ids) => changes.push(ids), onProblem: (problem) => problems.push(problem) },
      );
      assert.ok(ring !== undefined);
      return ring;
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

function idsOf({ keys }: KeyRing): number[] {
  return keys.map(({ id }) => id);
}

test('keys come from the file, or from a text, or there are none', async () => {
  await using scene = await setScene();
  scene.write(`${OLD_KEY}\n${NEW_KEY}\n`);
  using ring = scene.open();
  assert.deepEqual(idsOf(ring), [1, 2]);
  using given = KeyRing.open({ keys: NEW_KEY });
  assert.deepEqual(given && idsOf(given), [2]);
  assert.equal(KeyRing.open({}), undefined);
});

test('new content counts when it has been read twice in a row', async () => {
  await using scene = await setScene();
  scene.write(OLD_KEY);
  using ring = scene.open();
  const { keys } = ring;
  ring.refresh();
  assert.equal(ring.keys, keys);
  scene.write(`${OLD_KEY}\n${NEW_KEY.slice(0, 30)}`);
  ring.refresh();
  scene.write(`${OLD_KEY}\n${NEW_KEY}`);
  ring.refresh();
  assert.deepEqual([idsOf(ring), scene.changes], [[1], []]);
  ring.refresh();
  ring.refresh();
  assert.deepEqual([idsOf(ring), scene.changes], [[1, 2], [[1, 2]]]);
});

test('a file that cannot be used any more leaves the keys as they were and is told', async () => {
  await using scene = await setScene();
  scene.write(OLD_KEY);
  using ring = scene.open();
  const spoil = [
    () => scene.write('nonsense'),
    () => rmSync(scene.file),
    () => scene.write(NEW_KEY, 0o644),
  ];
  for (const [index, change] of spoil.entries()) {
    change();
    for (let n = 0; n < 4; n += 1) ring.refresh();
    assert.deepEqual([idsOf(ring), scene.problems.length], [[1], index + 1]);
  }
  assert.match(scene.problems[0], /line 1: it is not a key id/);
  assert.match(scene.problems[1], /cannot be read: .*ENOENT/);
  assert.match(scene.problems[2], /chmod o-rw/);
  chmodSync(scene.file, 0o640);
  ring.refresh();
  ring.refresh();
  assert.deepEqual([idsOf(ring), scene.changes], [[2], [[2]]]);
});

test('a file that everybody may read or write, or that is not there, is refused', async () => {
  await using scene = await setScene();
  const open = (): KeyRing => scene.open();
  assert.throws(open, { code: 'BACKCAST_KEYS_INVALID', message: /cannot be read.*ENOENT/ });
  for (const mode of [0o644, 0o602]) {
    scene.write(OLD_KEY, mode);
    assert.throws(open, {
      code: 'BACKCAST_KEYS_INVALID',
      message: /every user of this host/,
    });
  }
  scene.write('x'.repeat(70_000));
  assert.throws(open, { message: /70000 bytes/ });
});
