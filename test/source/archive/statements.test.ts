// The SQL in the source, held to a rule that only a distributed PostgreSQL would enforce at run
// time: what an upsert sets is the proposed value itself, never a computed one.

import assert from 'node:assert/strict';
import { glob, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const UPSERT = /ON CONFLICT \([^)]*\) DO (NOTHING|UPDATE SET([^`;]*))/g;
const ASSIGNMENT = /^\s*(\w+) = excluded\.\1$/;

test('ON CONFLICT sets columns to excluded values and to nothing else', async () => {
  let upserts = 0;
  for await (const path of glob('{archive,migrations,ingest}/**/*.ts', { cwd: ROOT })) {
    const text = await readFile(`${ROOT}${path}`, 'utf8');
    for (const [, action, assignments] of text.matchAll(UPSERT)) {
      upserts += 1;
      if (action === 'NOTHING') continue;
      for (const assignment of assignments.split(',')) {
        assert.match(assignment, ASSIGNMENT, `an upsert in ${path}`);
      }
    }
  }
  assert.ok(upserts >= 3, 'the statements of the append were looked at');
});
