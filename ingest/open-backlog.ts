// Opens the backlog of a channel with its spool in a folder of its own; a spool that cannot be used
// does not keep the channel from being recorded.

import { join } from 'node:path';
import { BackcastError } from '#base/mod.ts';
import { Backlog } from './backlog.ts';
import type { BacklogOptions } from './backlog-options.ts';
import { diskStorage, Spool } from './spool/mod.ts';

/** Where an archiver spools, and how much. */
export interface SpoolSettings {
  /** Folder; each channel has one of its own in it. */
  readonly path: string;
  /** What one channel may take from the disk. */
  readonly bytesMax: number;
}

/** A backlog's options, and what its spool is made of. */
export interface OpenBacklogOptions
  extends Omit<BacklogOptions, 'spool' | 'waitMsMax' | 'directBytesMax' | 'memoryBytesMax'> {
  readonly channel: string;
  readonly spool?: SpoolSettings | undefined;
  readonly messageBytesMax: number;
  readonly batchAgeMs: number;
}

/** Beyond its batch's age, what is not committed after this long is spooled. */
const WAIT_MS = 1_000;
const DIRECT_BYTES_MAX = 16 * 1_048_576;
/** What may be held in memory before datagrams are dropped. */
const MEMORY_BYTES_MAX = 64 * 1_048_576;
const FILE_BYTES_MIN = 16 * 1_048_576;

/** Opens the backlog of `channel`. Rejects if the archive does not answer. */
export async function openBacklog(options: OpenBacklogOptions): Promise<Backlog> {
  const spool = await openSpool(options);
  try {
    return await Backlog.open({
      ...options,
      spool,
      waitMsMax: options.batchAgeMs + WAIT_MS,
      directBytesMax: DIRECT_BYTES_MAX,
      memoryBytesMax: MEMORY_BYTES_MAX,
    });
  } catch (error) {
    await spool?.[Symbol.asyncDispose]();
    throw error;
  }
}

async function openSpool(options: OpenBacklogOptions): Promise<Spool | undefined> {
  const { spool, channel, messageBytesMax } = options;
  if (spool === undefined) return undefined;
  const fileBytes = Math.max(FILE_BYTES_MIN, 2 * messageBytesMax);
  const filesMax = Math.max(2, Math.floor(spool.bytesMax / fileBytes));
  const storage = diskStorage(join(spool.path, folderOf(channel)));
  try {
    return await Spool.open({ storage, fileBytes, filesMax });
  } catch (error) {
    if (!(error instanceof BackcastError)) throw error;
    options.onSpool(error);
    return Spool.unopened({ storage, fileBytes, filesMax });
  }
}

/** A channel may be called `..`, and a folder of it may not. */
function folderOf(channel: string): string {
  return channel.replace(/^\./, '%2E');
}
