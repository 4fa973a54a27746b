// Whether every sequence of an export is accounted for: between the first and the last of a session
// each is a message of the export, lost, or deleted. That can be told where the export has all of
// the channel or of the session; where it has an interval, what is missing may lie outside.

import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { SessionId } from '#base/mod.ts';
import { SequenceRanges } from './sequence-ranges.ts';
import type { ExportManifest, ListedMissing } from './types.ts';
import type { ExportProblem } from './verify.ts';

/** The sequences that nothing accounts for, in an export whose files are as they were written. */
export async function unaccountedSequences(
  path: string,
  manifest: ExportManifest,
): Promise<ExportProblem[]> {
  const { after, before, publishedFrom, publishedTo } = manifest.bounds;
  const isBounded = [after, before, publishedFrom, publishedTo].some((bound) => bound !== null);
  if (isBounded) return [];
  const accounted = new Map<SessionId, SequenceRanges>(
    manifest.sessions.map(({ session, sequences }) => [session, new SequenceRanges(sequences)]),
  );
  for (const { file } of [manifest.losses, manifest.deletions]) {
    const lines = createInterface({ input: createReadStream(join(path, file)) });
    for await (const line of lines) {
      const missing = parseMissing(line);
      if (missing === undefined) return [{ where: file, problem: 'a line of it cannot be read' }];
      const { session, first, last } = missing;
      const ranges = accounted.get(session) ?? new SequenceRanges();
      accounted.set(session, ranges);
      ranges.add(first, last);
    }
  }
  return [...accounted].flatMap(([session, { ranges }]) =>
    ranges.slice(1).map(([first], index) => ({
      where: session,
      problem: `nothing accounts for its sequences ${ranges[index][1] + 1} to ${first - 1}`,
    })),
  );
}

function parseMissing(line: string): ListedMissing | undefined {
  try {
    const missing = JSON.parse(line) as Partial<ListedMissing> | null;
    const { session, first, last } = missing ?? {};
    if (session === undefined || !Number.isSafeInteger(first) || !Number.isSafeInteger(last))
      return undefined;
    return missing as ListedMissing;
  } catch {
    return undefined;
  }
}
