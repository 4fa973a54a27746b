// What a spool tells, against what is known already. An entry may be in the archive for long, since
// files are given back whole; and where an entry is damaged, something is missing in front of the
// next one of its session. Pure.

import type { SessionId } from '#base/mod.ts';
import type { SessionProgress } from '#archive/mod.ts';
import type { MessagesDelivered, MessagesLost, ReceiverEvent } from '#multicast/core/mod.ts';
import type { SessionLedger } from './session-ledger.ts';
import type { SessionIdentity, SpooledEvent } from './spool/mod.ts';

/** Where a session is looked up. */
type Sessions = Pick<SessionLedger, 'find'>;

/**
 * What of `event` is news to `sessions`, in order: nothing, the event, or also what it shows to be
 * missing before it, as a loss with cause `corrupt`.
 */
export function newsOf(
  sessions: Sessions,
  { event, identity }: Pick<SpooledEvent, 'event' | 'identity'>,
): ReceiverEvent[] {
  const known = sessions.find(event.session);
  switch (event.kind) {
    case 'opened':
      return known?.state === 'closed' ? [] : [event];
    case 'source':
    case 'lead':
    case 'closed':
      return known === undefined || known.state === 'closed' ? [] : [event];
    case 'messages':
    case 'lost':
      if (known !== undefined) return newsOfRange(known, event);
      return [reopened(event, identity), ...newsOfRange(identity, event)];
    default:
      return event satisfies never;
  }
}

/** Tells a ledger of `event`, which it then knows as a batcher would. */
export function follow(ledger: SessionLedger, event: ReceiverEvent, wallClockUs: number): void {
  const { session } = event;
  switch (event.kind) {
    case 'opened':
      ledger.open(session, event.tsi, event.isForeign, 0);
      break;
    case 'source':
      ledger.change(session, 0).source = event.source;
      break;
    case 'messages':
    case 'lost': {
      const range = { first: event.firstSequence, last: event.lastSequence };
      ledger.advance(session, range, event.nextSqn, 0);
      break;
    }
    case 'lead':
      if (event.sequence > ledger.progressOf(session).lead)
        ledger.change(session, 0).lead = event.sequence;
      break;
    case 'closed':
      closeSession(ledger, session, event.cause === 'fin' ? 'closed' : 'expired', wallClockUs);
      break;
    default:
      event satisfies never;
  }
}

function closeSession(
  ledger: SessionLedger,
  session: SessionId,
  state: 'closed' | 'expired',
  wallClockUs: number,
): void {
  const progress = ledger.change(session, 0);
  if (progress.state === 'closed') return;
  progress.state = state;
  progress.closedAtUs = wallClockUs;
}

function newsOfRange(
  known: Pick<SessionProgress, 'isForeign'> & Partial<SessionProgress>,
  event: MessagesDelivered | MessagesLost,
): ReceiverEvent[] {
  const { isForeign, watermark = 0, firstArchived = 1 } = known;
  const hasNothing = watermark < firstArchived;
  const { firstSequence, lastSequence, nextSqn } = event;
  if (lastSequence <= watermark) return [];
  if ((isForeign && hasNothing) || firstSequence === watermark + 1) return [event];
  if (firstSequence > watermark + 1)
    return [corrupt(event, watermark + 1, firstSequence - 1, nextSqn - 1), event];
  if (event.kind === 'lost') return [{ ...event, firstSequence: watermark + 1 }];
  return [corrupt(event, watermark + 1, lastSequence, nextSqn)];
}

function corrupt(
  { session }: ReceiverEvent,
  firstSequence: number,
  lastSequence: number,
  nextSqn: number,
): MessagesLost {
  return { kind: 'lost', session, firstSequence, lastSequence, cause: 'corrupt', nextSqn };
}

/** The opening was damaged, and every entry tells what it said. */
function reopened({ session }: ReceiverEvent, { tsi, isForeign }: SessionIdentity): ReceiverEvent {
  return { kind: 'opened', session, tsi, isForeign };
}
