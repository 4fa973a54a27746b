// A small text in a file that is replaced as a whole: whoever is killed at any moment leaves the
// old text or the new one, never half of either.

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { BackcastError, rootMessage } from '#base/mod.ts';

/** The text; undefined if there is no such file. BACKCAST_USAGE for one that is unusable. */
export function readSaved(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw unusable(path, error);
  }
}

/** Replaces the text. Throws BACKCAST_USAGE where that cannot be done. */
export function writeSaved(path: string, text: string): void {
  try {
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  } catch (error) {
    throw unusable(path, error);
  }
}

function unusable(path: string, error: unknown): BackcastError {
  const problem = `the file ${path} cannot be used: ${rootMessage(error)}`;
  return new BackcastError('BACKCAST_USAGE', problem, { cause: error });
}
