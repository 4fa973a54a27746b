// The file that says how far an export is, for the run that goes on after an interruption, and for
// people who look into the folder: while it is there, the export is not finished. It is replaced
// whole at the end of each part, so what it says is always true of the files beside it.

import type { Framing } from '#base/mod.ts';
import type { DurableFolder } from './durable-folder.ts';
import type {
  ExportedMissing,
  ExportedPart,
  ExportedSession,
  ExportedTotals,
  ExportPlan,
  ExportScope,
  ListedMissing,
} from './types.ts';

/** Its name. */
export const PROGRESS_FILE = 'export-unfinished.json';

/** What has been settled before the first message was read. */
export interface SettledExport {
  readonly scope: ExportScope;
  readonly framing: Framing;
  readonly losses: ExportedMissing<ListedMissing>;
}

/** How far an export is. */
export interface ExportProgress {
  readonly kind: 'backcast-export-unfinished';
  readonly version: 1;
  readonly plan: ExportPlan;
  /** Undefined until everything is settled; then it stays. */
  readonly settled?: SettledExport;
  readonly parts: readonly ExportedPart[];
  readonly totals: ExportedTotals;
  readonly sessions: readonly ExportedSession[];
  /** Deletions met so far, as lines of deletions.ndjson. */
  readonly deletions: readonly string[];
}

/** Replaces the file. */
export async function saveProgress(folder: DurableFolder, progress: ExportProgress): Promise<void> {
  await folder.writeText(PROGRESS_FILE, `${JSON.stringify(progress)}\n`);
}

/** What the file says; undefined if there is none. */
export async function loadProgress(folder: DurableFolder): Promise<ExportProgress | undefined> {
  const text = await folder.readText(PROGRESS_FILE);
  return text === undefined ? undefined : (JSON.parse(text) as ExportProgress);
}
