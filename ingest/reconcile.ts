// What one ledger knows of sessions beside their messages and losses, told to another that lacks
// it. While somebody else writes a channel, openings, names, leads and ends are not kept in order:
// the last state of each is what counts. Pure.

import type { SessionProgress } from '#archive/mod.ts';
import type { MessagesLost, ReceiverEvent } from '#multicast/core/mod.ts';
import type { SessionLedger } from './session-ledger.ts';
import type { SpooledEvent } from './spool/mod.ts';

/** What `heard` knows and `known`, which has all its messages and losses, does not. */
export function reconcile(
  heard: Pick<SessionLedger, 'all'>,
  known: Pick<SessionLedger, 'find'>,
): SpooledEvent[] {
  return heard.all().flatMap((progress) => {
    const events = newsOfSession(progress, known.find(progress.session));
    return events.map((event) => ({ event, heardAtUs: progress.closedAtUs ?? 0 }));
  });
}

/**
 * What `heard` knows of messages and losses and `known`, which was told all that could be read,
 * does not: it was damaged in the spool. It is dated `lastHeardAtUs`, which is not before it.
 */
export function missing(
  heard: Pick<SessionLedger, 'all'>,
  known: Pick<SessionLedger, 'find' | 'hasForgotten'>,
  { lastHeardAtUs }: { readonly lastHeardAtUs: number },
): SpooledEvent[] {
  return heard.all().flatMap((progress) => {
    const told = known.find(progress.session);
    if (told === undefined && known.hasForgotten) return [];
    const loss = lossBetween(told, progress);
    return loss === undefined
      ? []
      : [{ event: loss, heardAtUs: lastHeardAtUs, identity: progress }];
  });
}

function lossBetween(
  told: SessionProgress | undefined,
  { session, firstArchived, watermark, resumeSqn }: SessionProgress,
): MessagesLost | undefined {
  const firstSequence = Math.max(firstArchived, (told?.watermark ?? 0) + 1);
  if (firstSequence > watermark) return undefined;
  const range = { firstSequence, lastSequence: watermark };
  return { kind: 'lost', session, ...range, cause: 'corrupt', nextSqn: resumeSqn };
}

function newsOfSession(
  heard: SessionProgress,
  known: SessionProgress | undefined,
): ReceiverEvent[] {
  const { session, tsi, isForeign, source, lead, state } = heard;
  if (known === undefined || known.state === 'closed') return [];
  const news: ReceiverEvent[] = [];
  if (state === 'open' && known.state !== 'open')
    news.push({ kind: 'opened', session, tsi, isForeign });
  if (source !== undefined && source !== known.source)
    news.push({ kind: 'source', session, source });
  if (lead > known.lead) news.push({ kind: 'lead', session, sequence: lead });
  const isOver = state !== 'open' && known.state === 'open';
  if (isOver && heard.closedAtUs !== undefined)
    news.push({ kind: 'closed', session, cause: state === 'closed' ? 'fin' : 'expired' });
  return news;
}
