// Which offered messages heal which losses: every lost sequence at most once, whoever offers it.
// Pure.

import type { ArchivedLoss } from './backlog-options.ts';
import type { Framing } from '#base/mod.ts';
import type { HealOffer } from '#archive/mod.ts';
import type { MessagesDelivered } from '#multicast/core/mod.ts';
import { cutBlock } from '#multicast/wire/mod.ts';
import { readSpooledEvent } from './spool/mod.ts';

/** Messages that were declared lost, in one block. */
export interface HealedBlock {
  readonly messages: MessagesDelivered;
  /** Dates those of a framing that states no publish time. */
  readonly heardAtUs: number;
  /** The archiver that had heard them. */
  readonly by: string;
}

/** What of `offers` is still lost, per session in any order and apart from each other. */
export function planHeals(
  offers: readonly HealOffer[],
  losses: readonly ArchivedLoss[],
  framing: Framing,
): HealedBlock[] {
  let lost = [...losses];
  const healed: HealedBlock[] = [];
  for (const { by, content } of offers) {
    const { event, heardAtUs } = readSpooledEvent(content);
    if (event.kind !== 'messages') continue;
    for (const loss of lost) {
      const messages = overlapOf(event, loss, framing);
      if (messages !== undefined) healed.push({ messages, heardAtUs, by });
    }
    lost = lost.flatMap((loss) => without(loss, event));
  }
  return healed;
}

/** The messages of `event` that lie in `loss`, as a block. */
function overlapOf(
  event: MessagesDelivered,
  loss: ArchivedLoss,
  framing: Framing,
): MessagesDelivered | undefined {
  if (loss.session !== event.session) return undefined;
  const firstSequence = Math.max(loss.firstSequence, event.firstSequence);
  const lastSequence = Math.min(loss.lastSequence, event.lastSequence);
  if (firstSequence > lastSequence) return undefined;
  const isWhole = firstSequence === event.firstSequence && lastSequence === event.lastSequence;
  if (isWhole) return event;
  const from = firstSequence - event.firstSequence;
  const to = Math.min(event.messageCount, lastSequence - event.firstSequence + 1);
  if (from >= to) return undefined;
  const block = cutBlock(framing, event, from, to);
  return { ...event, ...block, firstSequence, lastSequence, messageCount: to - from };
}

/** What is left of `loss`. */
function without(loss: ArchivedLoss, event: MessagesDelivered): ArchivedLoss[] {
  const { session, firstSequence, lastSequence } = loss;
  const isApart = event.firstSequence > lastSequence || event.lastSequence < firstSequence;
  if (session !== event.session || isApart) return [loss];
  const before = { session, firstSequence, lastSequence: event.firstSequence - 1 };
  const behind = { session, firstSequence: event.lastSequence + 1, lastSequence };
  return [before, behind].filter((it) => it.firstSequence <= it.lastSequence);
}
