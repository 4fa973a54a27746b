// What one ledger knows of sessions beside their messages and losses, told to another that lacks
// it. While somebody else writes a channel, openings, names, leads and ends are not kept in order:
// the last state of each is what counts. Pure.

import type { SessionProgress } from '#archive/mod.ts';
import type { ReceiverEvent } from '#multicast/core/mod.ts';
import type { SessionLedger } from './session-ledger.ts';

/** Something to tell, and when it was heard if that is known. */
interface Told {
  readonly event: ReceiverEvent;
  readonly heardAtUs: number;
}

/** What `heard` knows and `known`, which has all its messages and losses, does not. */
export function reconcile(
  heard: Pick<SessionLedger, 'all'>,
  known: Pick<SessionLedger, 'find'>,
): Told[] {
  return heard.all().flatMap((progress) => {
    const events = newsOfSession(progress, known.find(progress.session));
    return events.map((event) => ({ event, heardAtUs: progress.closedAtUs ?? 0 }));
  });
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
