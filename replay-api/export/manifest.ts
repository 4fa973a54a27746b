// The manifest: what an export holds, and the hash of every file of it and of itself, so that one
// hash, noted elsewhere, speaks for the whole folder. Written last: a folder without it is no
// export. Its text is a function of its values, so a changed byte anywhere shows.

import { createHash } from 'node:crypto';
import { Value } from 'typebox/value';
import { assert, BackcastError, formatInstant } from '#base/mod.ts';
import { MANIFEST_SCHEMA } from './manifest-schema.ts';
import type { ExportProgress } from './progress-file.ts';
import type {
  ExportedMissing,
  ExportManifest,
  ExportPlan,
  ExportStatus,
  ListedMissing,
} from './types.ts';

/** Its name. */
export const MANIFEST_FILE = 'manifest.json';
/** Losses and deletions that the manifest lists itself; all stand in files of their own. */
export const LISTED_MAX = 1_000;

/** The text of the manifest of a finished export. */
export function manifestText(
  progress: ExportProgress,
  deletions: ExportedMissing<ListedMissing>,
): string {
  const { plan, settled, totals, sessions, parts } = progress;
  assert(settled !== undefined, 'an export is settled before it is finished');
  const { scope, framing, losses } = settled;
  const { publishedFromUs, publishedThroughUs, ...messages } = totals;
  const isEmpty = scope.positions.last < scope.positions.first;
  const manifest: ExportManifest = {
    kind: 'backcast-export',
    version: 1,
    channel: plan.channel,
    framing,
    format: plan.format,
    bounds: boundsOf(plan),
    settledAt: formatInstant(scope.settledAtUs),
    archivedThrough: scope.archivedThrough,
    positions: isEmpty ? null : scope.positions,
    status: statusOf(scope, { losses: losses.count, deletions: deletions.count }),
    messages: {
      ...messages,
      publishedFrom: instantOrNull(publishedFromUs),
      publishedThrough: instantOrNull(publishedThroughUs),
    },
    sessions,
    losses,
    deletions,
    partMessages: plan.partMessages,
    parts,
    sha256: '',
  };
  return render({ ...manifest, sha256: digestOf(manifest) });
}

/** The bounds of `plan` as the manifest has them. */
export function boundsOf(plan: ExportPlan): ExportManifest['bounds'] {
  const { after, before, publishedFromUs, publishedToUs, session } = plan;
  return {
    after: after ?? null,
    before: before ?? null,
    publishedFrom: instantOrNull(publishedFromUs ?? null),
    publishedTo: instantOrNull(publishedToUs ?? null),
    session: session ?? null,
  };
}

/**
 * The manifest in `text`. BACKCAST_EXPORT_DAMAGED if it is none, or not, to the last byte, one that
 * was written here.
 */
export function parseManifest(text: string): ExportManifest {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw damaged('it is no JSON', cause);
  }
  if (!Value.Check(MANIFEST_SCHEMA, json)) throw damaged('it is no manifest of version 1');
  const manifest = json as unknown as ExportManifest;
  if (manifest.sha256 !== digestOf(manifest)) throw damaged('its SHA-256 is not the one it names');
  if (text !== render(manifest)) throw damaged('it was written anew by something else');
  return manifest;
}

/** Whether everything that was asked for is there. */
export function statusOf(
  { unsettled }: Pick<NonNullable<ExportProgress['settled']>['scope'], 'unsettled'>,
  missing: { readonly losses: number; readonly deletions: number },
): ExportStatus {
  if (unsettled !== undefined) return unsettled.isUnknown === true ? 'unknown' : 'unsettled';
  if (missing.deletions > 0) return 'deleted';
  return missing.losses > 0 ? 'partial' : 'complete';
}

function render(manifest: ExportManifest): string {
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}

function digestOf(manifest: ExportManifest): string {
  const text = render({ ...manifest, sha256: '' });
  return createHash('sha256').update(text).digest('hex');
}

function instantOrNull(us: number | null): string | null {
  return us === null ? null : formatInstant(us);
}

function damaged(reason: string, cause?: unknown): BackcastError {
  return new BackcastError(
    'BACKCAST_EXPORT_DAMAGED',
    `${MANIFEST_FILE} cannot be trusted: ${reason}. Make the export again.`,
    { cause },
  );
}
