// The beginning of an export: what it covers and what is lost in it, as of one moment, with the
// file of the losses. From then on the export is about that moment, also when it goes on next
// week.

import {
  type Channel,
  type Loss,
  loadSources,
  type ReadDatabase,
  settleRange,
} from '#archive/mod.ts';
import type { DurableFolder } from './durable-folder.ts';
import { LISTED_MAX } from './manifest.ts';
import { missingText } from '../message-text.ts';
import type { SettledExport } from './progress-file.ts';
import { toPositionRequest } from './range-reading.ts';
import type { ExportPlan, ListedMissing } from './types.ts';

/** The name of the file of losses. */
export const LOSSES_FILE = 'losses.ndjson';

/** Settles the export and writes the file of its losses. Errors as settleRange, or of `signal`. */
export async function settleExport(
  opened: ReadDatabase,
  plan: ExportPlan,
  folder: DurableFolder,
  signal: AbortSignal,
): Promise<SettledExport> {
  const file = await folder.create(LOSSES_FILE);
  try {
    const listed: ListedMissing[] = [];
    let count = 0;
    const request = toPositionRequest(plan);
    const range = await settleRange(opened, { ...plan, request }, async (losses, channel) => {
      signal.throwIfAborted();
      const lines = await lossLines(opened, channel, losses);
      await file.append(Buffer.from(lines.map((line) => `${line}\n`).join('')));
      for (const line of lines.slice(0, LISTED_MAX - listed.length)) {
        listed.push(JSON.parse(line) as ListedMissing);
      }
      count += losses.length;
    });
    const { channel, settledAtUs, positions, unsettled } = range;
    const { archivedThrough, framing } = channel;
    return {
      scope: { settledAtUs, positions, unsettled, archivedThrough },
      framing,
      losses: { ...(await file.finish()), count, listed },
    };
  } finally {
    await file.abandon();
  }
}

async function lossLines(
  { database }: ReadDatabase,
  channel: Channel,
  losses: readonly Loss[],
): Promise<string[]> {
  const sessions = [...new Set(losses.map(({ session }) => session))];
  const names = await loadSources(database, channel, sessions);
  return losses.map((loss) => missingText(loss, names.get(loss.session) ?? null));
}
