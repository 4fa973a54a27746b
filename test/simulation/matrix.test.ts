// What repair costs, held to the committed matrix: the cells that are quick to compute. All of
// them: `npm run matrix`.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { MATRIX_LOSSES, matrixLine } from '#sim/mod.ts';

test('up to ten receivers repair costs what the matrix says', () => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const committed = new Set(readFileSync(join(root, 'sim', 'matrix.txt'), 'utf8').split('\n'));
  for (const receivers of [1, 10]) {
    for (const loss of MATRIX_LOSSES) {
      const line = matrixLine(loss, receivers);
      assert.ok(committed.has(line), `not in sim/matrix.txt: ${line}`);
    }
  }
});
