// Who asks, as far as the API knows: a name for the notes of who read what, and the rights that go
// with it.

import type { Scope } from '#base/mod.ts';

/** Somebody who may ask. */
export interface Principal {
  /** `token:ID`, `jwt:SUBJECT`, or `anybody`. */
  readonly who: string;
  readonly scopes: readonly Scope[];
}

/** Tells who presents a credential. */
export interface Verifier {
  /** Whether `credential` is of the kind that this one knows; asks nobody. */
  readonly knows: (credential: string) => boolean;
  /**
   * Whose it is; undefined if it is worth nothing, or not any more. What was found out before may
   * be used again for a few seconds, unless the answer is to be `fresh`. Rejects with a
   * BackcastError of HTTP status 503 when that cannot be told now.
   */
  readonly verify: (
    credential: string,
    freshness: 'fresh' | 'recent',
  ) => Promise<Principal | undefined>;
}

/** Everybody, where no token has been made. */
export const ANYBODY: Principal = {
  who: 'anybody',
  scopes: [{ kind: 'read', pattern: '*' }, { kind: 'export', pattern: '*' }, { kind: 'admin' }],
};

/** Somebody without any right. */
export const NOBODY: Principal = { who: 'nobody', scopes: [] };
