// The options that say which part of a channel's history is meant, as several commands take them,
// and what they mean to the client.

import type { Command } from 'commander';
import { BackcastError, isSessionId, parseInstant } from '#base/mod.ts';
import type { HistoryOptions } from '#client/mod.ts';
import { wholeNumber } from './command.ts';

/** Which part of a history. */
export interface HistoryPartOptions {
  readonly after?: number;
  readonly from?: string;
  readonly to?: string;
  readonly session?: string;
  readonly first?: number;
  readonly last?: number;
  readonly limit?: number;
}

/** Adds the options of HistoryPartOptions. */
export function addHistoryPartOptions(command: Command): Command {
  return command
    .option('--after <position>', 'begin behind this position', wholeNumber(0))
    .option('--from <time>', 'published at or after, RFC 3339 such as 2026-11-22T14:00:00Z')
    .option('--to <time>', 'published before')
    .option('--session <session>', 'only this session, 16 hex digits')
    .option('--first <sequence>', 'first sequence (with --session)', wholeNumber(1))
    .option('--last <sequence>', 'last sequence (with --session)', wholeNumber(1))
    .option('--limit <count>', 'at most so many messages', wholeNumber(1));
}

/** The same for the client. Throws BACKCAST_USAGE for what is no instant or no session. */
export function historyPart({
  after,
  from,
  to,
  session,
  first,
  last,
  limit,
}: HistoryPartOptions): Omit<HistoryOptions, 'url' | 'channel'> {
  if (session !== undefined && !isSessionId(session))
    throw new BackcastError('BACKCAST_USAGE', `--session ${session} is not 16 hex digits`);
  requireInstant('--from', from);
  requireInstant('--to', to);
  return { after, from, to, session, first, last, limit };
}

function requireInstant(flag: string, text: string | undefined): void {
  if (text === undefined || parseInstant(text) !== undefined) return;
  throw new BackcastError(
    'BACKCAST_USAGE',
    `${flag} ${JSON.stringify(text)} is not an instant such as 2026-11-22T14:00:00Z`,
  );
}
