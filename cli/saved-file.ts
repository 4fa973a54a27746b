// A small text in a file that is replaced as a whole: whoever is killed at any moment leaves the
// old text or the new one, never half of either.

import {
  accessSync,
  constants,
  existsSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { BackcastError, rootMessage } from '#base/mod.ts';

/**
 * The text; undefined if there is no such file. BACKCAST_USAGE for one that is unusable, or that
 * could not be written later.
 */
export function readSaved(path: string): string | undefined {
  try {
    accessSync(dirname(path), constants.W_OK);
    return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
  } catch (error) {
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
