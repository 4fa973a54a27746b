// Lets go of what a standby has heard and somebody else has archived. Part of it may have been
// declared lost there: then it is offered, for the loss to be healed. What is declared lost may be
// heard here only later, so losses are remembered until that is over.

import type { SessionId } from '#base/mod.ts';
import type { SessionProgress } from '#archive/mod.ts';
import type { MessagesDelivered, ReceiverEvent } from '#multicast/core/mod.ts';
import type { ArchivedLoss, ArchivedState } from './backlog-options.ts';
import type { HeardQueue } from './heard-queue.ts';
import type { KeptEvent } from './kept-events.ts';
import type { RecentEvents } from './recent-events.ts';
import type { SessionLedger } from './session-ledger.ts';
import type { SpoolDrain } from './spool-drain.ts';

/** What it is made of. */
export interface ArchivedTrimOptions {
  readonly queue: HeardQueue;
  readonly drain: SpoolDrain | undefined;
  /** What was archived once. */
  readonly recent: RecentEvents;
  readonly head: number;
  readonly onHealing: (messages: MessagesDelivered, heardAtUs: number) => void;
}

/** Losses remembered; more at once are no accident that another archiver could mend. */
const LOSSES_MAX = 10_000;

/** The trimming of one channel's backlog. */
export class ArchivedTrim {
  /** The last position that the archive is known to have. */
  head: number;
  readonly #queue: HeardQueue;
  readonly #drain: SpoolDrain | undefined;
  readonly #recent: RecentEvents;
  readonly #options: ArchivedTrimOptions;
  #archived = new Map<SessionId, SessionProgress>();
  #losses: readonly ArchivedLoss[] = [];
  /** Entries of the spool through this one have been compared with the losses. */
  #comparedThrough = 0;

  constructor(options: ArchivedTrimOptions) {
    this.#queue = options.queue;
    this.#drain = options.drain;
    this.#recent = options.recent;
    this.#options = options;
    this.head = options.head;
  }

  /**
   * Takes what somebody else has archived; gives what of the memory is let go of. Sessions that are
   * over and have nothing left here need not be remembered in `heard`.
   */
  handleArchived(state: ArchivedState, heard: SessionLedger): KeptEvent[] {
    this.head = state.head;
    this.#archived = new Map(state.sessions.map((progress) => [progress.session, progress]));
    this.#remember(state.losses);
    const taken = this.#queue.kept.take((event) => this.#isArchived(event));
    for (const { event, heardAtUs } of taken) this.offer(event, heardAtUs);
    this.#forgetLosses(heard);
    const settled = state.sessions.filter((progress) => isSettled(progress, heard));
    heard.committed(settled, 0);
    return taken;
  }

  /**
   * Compares what lies on the disk and is archived with the losses; gives the entry through which
   * nothing there is needed any more.
   */
  async work(): Promise<number> {
    const { spans } = this.#queue;
    const through = spans.archivedThrough(
      (session, last) => last <= (this.#archived.get(session)?.watermark ?? 0),
    );
    const sessions = spans.sessions();
    const mayBeLost = this.#losses.some(({ session }) => sessions.has(session));
    if (through > this.#comparedThrough && mayBeLost) {
      const compare = this.#drain?.readAll(({ number, spooled: { event, heardAtUs } }) => {
        if (number > this.#comparedThrough && number <= through) this.offer(event, heardAtUs);
      });
      await compare?.catch(() => undefined);
    }
    this.#comparedThrough = through;
    return through;
  }

  /** Whether the archive was seen to have this session. */
  isArchived(session: SessionId): boolean {
    return this.#archived.has(session);
  }

  /** Offers what was heard, if part of it is declared lost. */
  offer(event: ReceiverEvent, heardAtUs: number): void {
    if (event.kind !== 'messages') return;
    const isWanted = this.#losses.some((loss) => isOverlap(loss, event));
    if (isWanted) this.#options.onHealing(event, heardAtUs);
  }

  /** What is not a range comes back by itself, from what is known of its session at last. */
  #isArchived(event: ReceiverEvent): boolean {
    const progress = this.#archived.get(event.session);
    if (progress === undefined) return false;
    const isRange = event.kind === 'messages' || event.kind === 'lost';
    return !isRange || event.lastSequence <= progress.watermark;
  }

  #remember(losses: readonly ArchivedLoss[]): void {
    const isKnown = ({ session, firstSequence }: ArchivedLoss): boolean =>
      this.#losses.some((it) => it.session === session && it.firstSequence === firstSequence);
    const fresh = losses.filter((loss) => !isKnown(loss));
    if (fresh.length === 0) return;
    this.#losses = [...this.#losses, ...fresh].slice(-LOSSES_MAX);
    for (const { event, heardAtUs } of this.#recent.all()) this.offer(event, heardAtUs);
  }

  /** Losses behind which all is heard, and of which nothing is here any more. */
  #forgetLosses(heard: SessionLedger): void {
    if (this.#losses.length === 0) return;
    const spooled = this.#queue.spans.sessions();
    const firsts = this.#queue.kept.firstSequences();
    this.#losses = this.#losses.filter(({ session, lastSequence }) => {
      const isHeard = (heard.find(session)?.watermark ?? 0) >= lastSequence;
      const isHere = (firsts.get(session) ?? Number.POSITIVE_INFINITY) <= lastSequence;
      return !isHeard || isHere || spooled.has(session);
    });
  }
}

function isOverlap(loss: ArchivedLoss, event: MessagesDelivered): boolean {
  if (loss.session !== event.session) return false;
  return loss.firstSequence <= event.lastSequence && loss.lastSequence >= event.firstSequence;
}

/** Over in the archive, to the last thing that was heard of it. */
function isSettled(archived: SessionProgress, heard: SessionLedger): boolean {
  const known = heard.find(archived.session);
  if (known === undefined || known.state === 'open' || archived.state === 'open') return false;
  return known.watermark <= archived.watermark;
}
