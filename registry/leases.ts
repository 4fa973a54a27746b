// What stands in a registry for a while only: sessions that are announced and members that have
// joined. Both are kept in the same way, by every store: an entry under its channel and its name,
// with the instant at which it ends unless it is renewed. Pure.

import { FANOUT_MEMBERS_MAX, REGISTRY_SESSIONS_MAX } from '#base/mod.ts';
import type { ChannelMember, SessionAnnouncement } from '#registry/directory/mod.ts';

/** The sorts of entries that stand on lease. */
export type LeaseKind = 'sessions' | 'members';

/** Something to keep for the length of a lease. */
export interface Leased {
  readonly kind: LeaseKind;
  readonly channel: string;
  /** Tells it from others of its kind and channel. */
  readonly name: string;
  readonly value: object;
}

/** How many of a kind one channel may have, those included that have just ended. */
export const LEASES_MAX: Readonly<Record<LeaseKind, number>> = {
  sessions: REGISTRY_SESSIONS_MAX,
  members: 2 * FANOUT_MEMBERS_MAX,
};

/** `session` as it is kept. */
export function leasedSession(session: SessionAnnouncement): Leased {
  const { channel, session: name } = session;
  return { kind: 'sessions', channel, name, value: session };
}

/** `member` as it is kept. */
export function leasedMember(member: ChannelMember): Leased {
  const { channel, id: name } = member;
  return { kind: 'members', channel, name, value: member };
}

/** What tells one entry of a kind from another. */
export function leaseKey(channel: string, name: string): string {
  return `${channel} ${name}`;
}

/** What is wrong when a channel has as many of `kind` as it may. */
export function tooManyLeases(kind: LeaseKind): string {
  const who = kind === 'sessions' ? 'publisher' : 'receiver';
  return (
    `${LEASES_MAX[kind]} ${kind} stand on it, as many as may; ` +
    `look for a ${who} that restarts without end`
  );
}
