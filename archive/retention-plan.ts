// What retention would delete now, from the days that channels have, the policies and the holds.
// Pure. The unit is one channel's UTC day of archived_at, and only a day that has ended goes; so
// messages stay for as long as the policy says, and up to a day longer.

import { formatDuration, formatSize } from '#base/mod.ts';

/** How long and how much of a channel is kept; a member left out limits nothing. */
export interface RetentionPolicy {
  /** A day goes this long after its end. */
  readonly ageMs?: number;
  /** The oldest days go until the payloads of the others have at most so many bytes. */
  readonly bytesMax?: number;
}

/** One channel's part of one day. */
export interface ChannelDay {
  readonly channelId: number;
  readonly channel: string;
  /** Midnight UTC, in microseconds since 1970. */
  readonly startUs: number;
  readonly firstPosition: number;
  readonly lastPosition: number;
  readonly messageCount: number;
  readonly payloadBytes: number;
  readonly minPublishedAtUs: number;
  readonly maxPublishedAtUs: number;
}

/** An interval of a channel that must stay: half-open, without end if `toUs` is null. */
export interface HoldInterval {
  readonly channelId: number;
  readonly name: string;
  readonly fromUs: number;
  readonly toUs: number | null;
}

/** A day whose time is over. */
export interface DueDay extends ChannelDay {
  /** The policy that says so, such as `age 30d` or `bytes 100GB`. */
  readonly policy: string;
  /** The holds because of which it stays all the same; empty: it goes. */
  readonly heldBy: readonly string[];
}

/** What is due, by day and channel. */
export interface RetentionPlan {
  readonly days: readonly DueDay[];
  /** Days of which every channel that has anything in them lets go: dropped as a whole. */
  readonly wholeDaysUs: readonly number[];
  /** Days that have ended and of which nobody has anything: their partitions are dropped. */
  readonly emptyDaysUs: readonly number[];
}

/** What a plan is made from. */
export interface RetentionFacts {
  /** The clock of the database. */
  readonly nowUs: number;
  /** Of every channel, also of those without a policy. */
  readonly days: readonly ChannelDay[];
  /** Days that have a partition. */
  readonly partitionsUs: readonly number[];
  readonly holds: readonly HoldInterval[];
  readonly policyOf: (channel: string) => RetentionPolicy;
}

/** Microseconds of a day. */
export const DAY_US = 86_400_000_000;
/**
 * How long after midnight a day counts as ended: a transaction of the archiver that began before
 * it, and is dated there, is over or given up long before.
 */
export const DAY_GRACE_US = 600_000_000;

/**
 * The plan. A day that a hold keeps does not count into the size of its channel, so that a hold
 * costs the other days nothing.
 */
export function planRetention(facts: RetentionFacts): RetentionPlan {
  const { nowUs, days, holds, policyOf } = facts;
  const due: DueDay[] = [];
  const kept = new Set<number>();
  for (const own of byChannel(days).values()) {
    const policy = policyOf(own[0].channel);
    let bytes = 0;
    for (const day of own.toSorted((one, other) => other.startUs - one.startUs)) {
      const heldBy = holds.filter((hold) => touches(hold, day)).map(({ name }) => name);
      const reason = reasonOf(policy, day, { nowUs, bytes: bytes + day.payloadBytes });
      if (heldBy.length === 0) bytes += day.payloadBytes;
      if (reason !== undefined) due.push({ ...day, policy: reason, heldBy });
      if (reason === undefined || heldBy.length > 0) kept.add(day.startUs);
    }
  }
  due.sort((one, other) => one.startUs - other.startUs || one.channelId - other.channelId);
  const whole = new Set(due.map(({ startUs }) => startUs).filter((startUs) => !kept.has(startUs)));
  const filled = new Set(days.map(({ startUs }) => startUs));
  const emptyDaysUs = facts.partitionsUs.filter((startUs) => {
    return !filled.has(startUs) && nowUs - startUs - DAY_US >= DAY_GRACE_US;
  });
  return { days: due, wholeDaysUs: [...whole], emptyDaysUs };
}

/** Whether `hold` covers something of what was archived in `day`, or was published in it. */
export function touches(
  hold: HoldInterval,
  day: Pick<ChannelDay, 'channelId' | 'startUs' | 'minPublishedAtUs' | 'maxPublishedAtUs'>,
): boolean {
  if (hold.channelId !== day.channelId) return false;
  const endUs = hold.toUs ?? Number.POSITIVE_INFINITY;
  const isArchivedIn = day.startUs < endUs && day.startUs + DAY_US > hold.fromUs;
  return isArchivedIn || (day.minPublishedAtUs < endUs && day.maxPublishedAtUs >= hold.fromUs);
}

function byChannel(days: readonly ChannelDay[]): Map<number, ChannelDay[]> {
  const grouped = new Map<number, ChannelDay[]>();
  for (const day of days) {
    const own = grouped.get(day.channelId);
    if (own === undefined) grouped.set(day.channelId, [day]);
    else own.push(day);
  }
  return grouped;
}

/** `bytes` are those of the day and of the later ones. */
function reasonOf(
  { ageMs, bytesMax }: RetentionPolicy,
  { startUs }: ChannelDay,
  { nowUs, bytes }: { readonly nowUs: number; readonly bytes: number },
): string | undefined {
  const endedForUs = nowUs - startUs - DAY_US;
  if (endedForUs < DAY_GRACE_US) return undefined;
  if (ageMs !== undefined && endedForUs >= ageMs * 1000) return `age ${formatDuration(ageMs)}`;
  if (bytesMax !== undefined && bytes > bytesMax) return `bytes ${formatSize(bytesMax)}`;
  return undefined;
}
