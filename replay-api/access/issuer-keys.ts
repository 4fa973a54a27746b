// The public keys of a token issuer (JWKS, RFC 7517), fetched when they are needed and kept for a
// while. The issuer's answer is input like any other: it has a bound on its size and its time, and
// no redirect leads elsewhere. While the issuer is away, what was fetched last is used for a while.

import type { FastifyBaseLogger } from 'fastify';
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { BackcastError, rootMessage } from '#base/mod.ts';

/** Keys of an issuer, as jose asks for them. */
export interface IssuerKeys {
  /** The keys, not older than KEYS_FRESH_MS if they can be had. BACKCAST_ISSUER_UNREACHABLE. */
  readonly load: () => Promise<JWTVerifyGetKey>;
  /** The same, fetched now unless they were a moment ago: a token names a key that is not known. */
  readonly reload: () => Promise<JWTVerifyGetKey>;
}

/** A key that its issuer has withdrawn is accepted for so long at most while the issuer answers. */
export const KEYS_FRESH_MS = 30_000;
/** And for so long while it does not. */
export const KEYS_KEPT_MS = 600_000;
/** Unknown keys make us ask no more often than this. */
const RELOAD_AFTER_MS = 5_000;
const FETCH_MS_MAX = 5_000;
/** A set of a hundred large keys is smaller. */
const KEYS_BYTES_MAX = 262_144;

interface Fetched {
  readonly find: JWTVerifyGetKey;
  readonly fetchedAtMs: number;
}

/** The keys at `url`, https, or http on this host; `clockMs` is monotonic. */
export function createIssuerKeys(
  url: string,
  logger: FastifyBaseLogger,
  clockMs: () => number = () => performance.now(),
): IssuerKeys {
  let fetched: Fetched | undefined;
  let triedAtMs = Number.NEGATIVE_INFINITY;
  let fetching: Promise<void> | undefined;
  const fetchNow = async (): Promise<void> => {
    triedAtMs = clockMs();
    try {
      const find = createLocalJWKSet(await fetchKeys(url));
      fetched = { find, fetchedAtMs: clockMs() };
    } catch (error) {
      logger.warn({ url, reason: rootMessage(error) }, 'keys of the token issuer cannot be had');
    }
  };
  const within = async (ageMsMax: number): Promise<JWTVerifyGetKey> => {
    const isTooOld = clockMs() - (fetched?.fetchedAtMs ?? -Infinity) > ageMsMax;
    const isDue = fetched === undefined || clockMs() - triedAtMs > RELOAD_AFTER_MS;
    if (isTooOld && (isDue || fetching !== undefined)) {
      fetching ??= fetchNow().finally(() => {
        fetching = undefined;
      });
      await fetching;
    }
    if (fetched === undefined || clockMs() - fetched.fetchedAtMs > KEYS_KEPT_MS)
      throw unreachable(url);
    return fetched.find;
  };
  return { load: () => within(KEYS_FRESH_MS), reload: () => within(RELOAD_AFTER_MS) };
}

async function fetchKeys(url: string): Promise<JSONWebKeySet> {
  const answer = await fetch(url, {
    headers: { accept: 'application/json' },
    redirect: 'error',
    signal: AbortSignal.timeout(FETCH_MS_MAX),
  });
  if (!answer.ok) throw new Error(`it answers ${answer.status}`);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of answer.body ?? []) {
    bytes += chunk.length;
    if (bytes > KEYS_BYTES_MAX) throw new Error(`its answer has more than ${KEYS_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as JSONWebKeySet;
}

function unreachable(url: string): BackcastError {
  return new BackcastError(
    'BACKCAST_ISSUER_UNREACHABLE',
    `The keys at ${url}, which tokens are checked with, cannot be had. Try again in a moment.`,
  );
}
