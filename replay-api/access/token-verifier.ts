// Verifies tokens of ours. A token that was looked up is good for a few seconds without asking the
// database again, so a token that is used much costs next to nothing.

import { LRUCache } from 'lru-cache';
import {
  type ArchiveDatabase,
  findTokens,
  hasSecretOf,
  isTokenValid,
  parseToken,
  type StoredToken,
  TOKEN_PREFIX,
} from '#archive/mod.ts';
import type { Verifier } from './principal.ts';

/** How long what is known of a token is used without asking: what revoking it may take. */
const TOKEN_KNOWN_MS = 5_000;
/** Tokens that are known at once: more than an installation has. */
const TOKENS_KNOWN_MAX = 4_096;

/** A verifier of the tokens in `db`; lookups of one token at the same time are one. */
export function createTokenVerifier(db: ArchiveDatabase): Verifier {
  const known = new LRUCache<string, { readonly token: StoredToken | undefined }>({
    max: TOKENS_KNOWN_MAX,
    ttl: TOKEN_KNOWN_MS,
    fetchMethod: async (id) => ({ token: (await findTokens(db, [id])).at(0) }),
  });
  return {
    knows: (credential) => credential.startsWith(TOKEN_PREFIX),
    verify: async (credential, freshness) => {
      const presented = parseToken(credential);
      if (presented === undefined) return undefined;
      const found = await known.fetch(presented.id, { forceRefresh: freshness === 'fresh' });
      const token = found?.token;
      if (token === undefined || !hasSecretOf(presented, token)) return undefined;
      if (!isTokenValid(token, Date.now() * 1_000)) return undefined;
      return { who: `token:${token.id}`, scopes: token.scopes };
    },
  };
}
