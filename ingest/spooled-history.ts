// What was heard, told again to somebody who knows part of it: after a restart, or when another
// begins to write a channel. It may be in the archive for long, whole or its first messages; and
// something may be missing in front of it, which nobody else will declare. Pure.

import type { Framing, SessionId } from '#base/mod.ts';
import type { SessionProgress } from '#archive/mod.ts';
import { cutBlock } from '#multicast/wire/mod.ts';
import type { MessagesDelivered, MessagesLost, ReceiverEvent } from '#multicast/core/mod.ts';
import type { SessionLedger } from './session-ledger.ts';
import type { SessionIdentity } from './spool/mod.ts';

/** Where a session is looked up. */
type Sessions = Pick<SessionLedger, 'find'>;

/** How things are told again. */
export interface Retelling {
  /** How the channel's packets are cut into messages. */
  readonly framing: Framing;
  /** Why something is missing before what is told. */
  readonly missing: 'corrupt' | 'resync';
  /** What is known of sessions whose opening is not told again. */
  readonly heard?: Sessions | undefined;
  /** Of which source the session is, as what is told says by itself. */
  readonly identity?: SessionIdentity | undefined;
}

/** Stands for the transport of a session whose opening is damaged. */
const UNKNOWN_TSI = '000000000000.0';
/** Numbers of a foreign session are made of packet numbers, and those begin here. */
const FOREIGN_SEQUENCE_MIN = 2 ** 32;

/**
 * What of `event` is news to `sessions`, in order: nothing, the event or its last messages, or also
 * what it shows to be missing before it, as a loss.
 */
export function newsOf(
  sessions: Sessions,
  event: ReceiverEvent,
  retelling: Retelling,
): ReceiverEvent[] {
  const known = sessions.find(event.session);
  switch (event.kind) {
    case 'opened':
      return known?.state === 'closed' ? [] : [event];
    case 'source':
    case 'lead':
    case 'conflict':
    case 'closed':
      return known === undefined || known.state === 'closed' ? [] : [event];
    case 'messages':
    case 'lost':
      if (known !== undefined) return newsOfRange(known, event, retelling);
      return [...reopened(event, retelling), ...newsOfRange(undefined, event, retelling)];
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
    case 'conflict':
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
  known: SessionProgress | undefined,
  event: MessagesDelivered | MessagesLost,
  { framing, missing, identity }: Retelling,
): ReceiverEvent[] {
  const isForeign = (known ?? identity)?.isForeign ?? isForeignRange(event);
  const watermark = known?.watermark ?? 0;
  const hasNothing = watermark < (known?.firstArchived ?? 1);
  const { session, firstSequence, lastSequence, nextSqn } = event;
  if (lastSequence <= watermark) return [];
  if ((isForeign && hasNothing) || firstSequence === watermark + 1) return [event];
  if (firstSequence > watermark + 1) {
    const range = { firstSequence: watermark + 1, lastSequence: firstSequence - 1 };
    return [{ kind: 'lost', session, ...range, cause: missing, nextSqn: nextSqn - 1 }, event];
  }
  if (event.kind === 'lost') return [{ ...event, firstSequence: watermark + 1 }];
  return behind(event, watermark, framing);
}

/** The messages behind `watermark`; at the end of a foreign block may be numbers without one. */
function behind(
  event: MessagesDelivered,
  watermark: number,
  framing: Framing,
): MessagesDelivered[] {
  const knownCount = watermark + 1 - event.firstSequence;
  if (knownCount >= event.messageCount) return [];
  const block = cutBlock(framing, event, knownCount, event.messageCount);
  const messageCount = event.messageCount - knownCount;
  return [{ ...event, ...block, firstSequence: watermark + 1, messageCount }];
}

/** What its opening said, as far as anybody knows. */
function reopened(
  event: MessagesDelivered | MessagesLost,
  { heard, identity }: Retelling,
): ReceiverEvent[] {
  const { session } = event;
  const known = heard?.find(session);
  const { tsi, isForeign } = identity ??
    known ?? { tsi: UNKNOWN_TSI, isForeign: isForeignRange(event) };
  const opened = { kind: 'opened', session, tsi, isForeign } as const;
  if (known?.source === undefined) return [opened];
  return [opened, { kind: 'source', session, source: known.source }];
}

function isForeignRange({ firstSequence }: MessagesDelivered | MessagesLost): boolean {
  return firstSequence >= FOREIGN_SEQUENCE_MIN;
}
