// Checks an exported folder against its manifest, with no database and no network: that every file
// is there, whole and unchanged, that nothing else lies between them, that the numbers add up, and
// that every sequence of a session is a message, lost or deleted, as far as the bounds reach.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { BackcastError, rootMessage } from '#base/mod.ts';
import { DurableFolder } from './durable-folder.ts';
import { MANIFEST_FILE, parseManifest } from './manifest.ts';
import { PROGRESS_FILE } from './progress-file.ts';
import { unaccountedSequences } from './accounting.ts';
import type { ExportedFile, ExportManifest } from './types.ts';

/** Something that is not as the manifest says. */
export interface ExportProblem {
  /** Where: the name of a file, or of a session. */
  readonly where: string;
  /** What, in a sentence without its full stop. */
  readonly problem: string;
}

/** What was found. */
export interface Verification {
  readonly manifest: ExportManifest;
  /** None if the export is what was written. */
  readonly problems: readonly ExportProblem[];
}

/**
 * Verifies the export in the folder at `path`. Reads every file once. With `sha256`, the manifest
 * must be the one that has it. BACKCAST_EXPORT_DAMAGED if there is no manifest that can be trusted,
 * BACKCAST_EXPORT_FOLDER if the folder cannot be read.
 */
export async function verifyExport(
  path: string,
  { sha256, signal }: { readonly sha256: string | undefined; readonly signal: AbortSignal },
): Promise<Verification> {
  const folder = new DurableFolder(path);
  const manifest = await loadManifest(folder, path);
  if (sha256 !== undefined && sha256.toLowerCase() !== manifest.sha256) {
    throw new BackcastError(
      'BACKCAST_EXPORT_DAMAGED',
      `${MANIFEST_FILE} has the SHA-256 ${manifest.sha256}, not ${sha256}: this is another ` +
        'export, or it was changed',
    );
  }
  const files = [...manifest.parts, manifest.losses, manifest.deletions];
  const names = await folder.names();
  const problems = unlisted(names, files);
  for (const file of files) {
    signal.throwIfAborted();
    if (names.includes(file.file)) problems.push(...(await differencesOf(path, file)));
    else problems.push({ where: file.file, problem: 'it is missing' });
  }
  problems.push(...countProblems(manifest));
  if (problems.length === 0) problems.push(...(await unaccountedSequences(path, manifest)));
  return { manifest, problems };
}

async function loadManifest(folder: DurableFolder, path: string): Promise<ExportManifest> {
  const text = await folder.readText(MANIFEST_FILE);
  if (text !== undefined) return parseManifest(text);
  const isBegun = (await folder.readText(PROGRESS_FILE)) !== undefined;
  throw new BackcastError(
    'BACKCAST_EXPORT_DAMAGED',
    isBegun
      ? `the export in ${path} is not finished: run the command that began it once more`
      : `the folder ${path} has no ${MANIFEST_FILE}: it is no export`,
  );
}

function unlisted(names: readonly string[], files: readonly ExportedFile[]): ExportProblem[] {
  const known = new Set([MANIFEST_FILE, ...files.map(({ file }) => file)]);
  return names
    .filter((name) => !known.has(name))
    .map((where) => ({ where, problem: 'the manifest does not know it' }));
}

async function differencesOf(
  path: string,
  { file, bytes, sha256 }: ExportedFile,
): Promise<ExportProblem[]> {
  const hash = createHash('sha256');
  let found = 0;
  try {
    for await (const chunk of createReadStream(join(path, file))) {
      hash.update(chunk as Buffer);
      found += (chunk as Buffer).length;
    }
  } catch (error) {
    return [{ where: file, problem: `it cannot be read: ${rootMessage(error)}` }];
  }
  if (found !== bytes) return [{ where: file, problem: `it has ${found} bytes, not ${bytes}` }];
  if (hash.digest('hex') === sha256) return [];
  return [{ where: file, problem: 'its bytes are not those that were written' }];
}

function countProblems({ messages, parts, sessions }: ExportManifest): ExportProblem[] {
  const sums = [
    ['parts', parts],
    ['sessions', sessions],
  ] as const;
  return sums.flatMap(([name, counted]) => {
    const sum = counted.reduce((total, one) => total + one.messages, 0);
    if (sum === messages.count) return [];
    const problem = `the ${name} have ${sum} messages together, not ${messages.count}`;
    return [{ where: MANIFEST_FILE, problem }];
  });
}
