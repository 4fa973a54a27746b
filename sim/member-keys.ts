// The keys of simulated channels that require authentication: those of the members, and those that
// forgers have instead. Fixed, since nothing here is secret.

import { type Authenticator } from '#multicast/core/mod.ts';
import { authenticatorOf, parseKeys } from '#multicast/udp/mod.ts';
import { SIMULATED_CHANNEL } from './world.ts';

/** SIMULATED_CHANNEL, but signed. */
export const SIGNED_CHANNEL = { ...SIMULATED_CHANNEL, authentication: 'required' } as const;

const MEMBER_KEY = `1:${'0123456789abcdef'.repeat(4)}`;
/** One under the members' key id, one under an id that no member knows. */
const FORGED_KEYS = [`1:${'fedcba9876543210'.repeat(4)}`, `9:${'0123456789abcdef'.repeat(4)}`];

/** What a member of the channel has. */
export function memberAuthenticator(): Authenticator {
  return authenticatorWith(MEMBER_KEY);
}

/** What forgers have who know all but the key: a wrong key, and a right one under a wrong id. */
export function forgerAuthenticators(): Authenticator[] {
  return FORGED_KEYS.map((key) => authenticatorWith(key));
}

function authenticatorWith(key: string): Authenticator {
  const authenticator = authenticatorOf(SIGNED_CHANNEL, { keys: parseKeys(key, 'simulation') });
  if (authenticator === undefined) throw new Error('the signed channel requires authentication');
  return authenticator;
}
