// Notes an export that reads the database itself among the readings of the API, so that who asks
// who read a channel finds it there. A database that takes no note, such as a replica, is no reason
// not to export: that is told, and nothing more.

import { randomUUID } from 'node:crypto';
import { hostname, userInfo } from 'node:os';
import type { Channel, NewAccess, OpenDatabase } from '#archive/mod.ts';
import { toError } from '#base/mod.ts';
import type { ExportStep } from '#replay-api/mod.ts';

/** What is noted. */
export interface ExportNoteOptions {
  readonly opened: OpenDatabase;
  readonly channel: Channel;
  /** What was asked for, in words. */
  readonly request: string;
  /** Told where no note can be taken. */
  readonly warn: (line: string) => void;
}

/** A note that an export has begun. */
export interface ExportNote {
  /** Completes the note. */
  end(outcome: 'complete' | 'aborted', read: ExportStep['read'] | undefined): Promise<void>;
}

/** Writes the note. Never rejects. */
export async function noteExport(options: ExportNoteOptions): Promise<ExportNote> {
  const { opened, channel, request, warn } = options;
  const { writeAccesses } = await import('#archive/mod.ts');
  const begun: NewAccess = {
    id: randomUUID(),
    channelId: channel.channelId,
    startedAtUs: Date.now() * 1_000,
    endedAtUs: null,
    outcome: 'running',
    operation: 'backcast export',
    who: `command:${userInfo().username}`,
    remote: hostname(),
    request,
    messageCount: 0,
    firstPosition: null,
    lastPosition: null,
  };
  const write = async (access: NewAccess): Promise<void> => {
    try {
      await writeAccesses(opened.database, [access]);
    } catch (error) {
      warn(`no note could be taken of this export: ${toError(error).message}`);
    }
  };
  await write(begun);
  return {
    end: (outcome, read) => write({ ...begun, ...read, outcome, endedAtUs: Date.now() * 1_000 }),
  };
}
