// A folder of a test's own, gone when the test is done.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A fresh, empty folder; disposing of it removes it with everything in it. */
export interface TestFolder extends AsyncDisposable {
  readonly path: string;
}

/** Makes a folder under the system's temporary folder. */
export async function createTestFolder(): Promise<TestFolder> {
  const path = await mkdtemp(join(tmpdir(), 'backcast-test-'));
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}
