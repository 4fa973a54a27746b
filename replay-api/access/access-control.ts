// Who may ask the API. While no token was ever made and none is accepted from an issuer, everybody
// may do everything: the server then listens on the loopback interface only. From the first token
// on, for good, each request needs one.
//
// An answer that is under way is looked at again and again: when its caller has lost the right, or
// that cannot be told for too long, it is cut.

import type { FastifyBaseLogger } from 'fastify';
import { hasTokens, type OpenDatabase } from '#archive/mod.ts';
import { BackcastError, toError } from '#base/mod.ts';
import { AccessLog } from './access-log.ts';
import { type AccessCounters, newAccessCounters } from './access-metrics.ts';
import { createJwtVerifier, type JwtSettings } from './jwt-verifier.ts';
import { ANYBODY, type Principal, type Verifier } from './principal.ts';
import { createTokenVerifier } from './token-verifier.ts';

/** What access is controlled with. */
export interface AccessOptions {
  /** Where the tokens are, and where readings are noted: the primary, not a replica. */
  readonly database: OpenDatabase;
  readonly logger: FastifyBaseLogger;
  /** Whose tokens are accepted beside ours; nobody's if not given. */
  readonly jwt?: JwtSettings | undefined;
  /** How long it is kept who read what; for ever if not given. */
  readonly keptMs?: number | undefined;
  /** How often rights are looked at again: RECHECK_MS if not given. */
  readonly recheckMs?: number;
}

/** An answer under way, which ends when its caller has lost the right to it. */
export interface Grant {
  /** What was presented; undefined where nothing had to be. */
  readonly credential: string | undefined;
  /** Cuts the answer. */
  readonly revoke: (reason: BackcastError) => void;
}

/** How often rights are looked at again, while answers are under way and while all may ask. */
export const RECHECK_MS = 15_000;
/** An answer goes on for so long while nobody can tell whether its caller still has the right. */
const UNCONFIRMED_MS_MAX = 30_000;
/** A database that hangs is not waited for: the next look comes soon enough. */
const RECHECK_MS_MAX = 5_000;
/** No credential is longer; a header has no room for a much longer one. */
const CREDENTIAL_CHARACTERS_MAX = 8_192;
const BEARER = /^Bearer +([\w.~+/-]+=*) *$/i;

/** Tells who asks and follows whether they still may. Closing ends the following. */
export class AccessControl implements AsyncDisposable {
  /** What has been counted so far. */
  readonly counters: AccessCounters = newAccessCounters();
  /** Where it is noted who reads what. */
  readonly log: AccessLog;
  readonly #options: AccessOptions;
  readonly #verifiers: readonly Verifier[];
  readonly #grants = new Map<Grant, { confirmedAtMs: number }>();
  readonly #timer: NodeJS.Timeout;
  #isOpen: boolean;
  #isRechecking = false;

  private constructor(options: AccessOptions, isOpen: boolean) {
    const { database, jwt, logger, recheckMs = RECHECK_MS } = options;
    this.#options = options;
    this.#isOpen = isOpen;
    this.log = new AccessLog(options, this.counters);
    this.#verifiers = [
      createTokenVerifier(database.database),
      ...(jwt === undefined ? [] : [createJwtVerifier(jwt, logger)]),
    ];
    this.#timer = setInterval(() => void this.recheck(performance.now()), recheckMs);
    this.#timer.unref();
  }

  /** Asks whether there are tokens. Rejects as findTokens does. */
  static async open(options: AccessOptions): Promise<AccessControl> {
    const isOpen = options.jwt === undefined && !(await hasTokens(options.database.database));
    return new AccessControl(options, isOpen);
  }

  /** Whether everybody may do everything. Once false, it stays false. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /**
   * Who presents `authorization`, the header. BACKCAST_UNAUTHENTICATED if it is missing or worth
   * nothing; else the errors of Verifier.verify.
   */
  async identify(authorization: string | undefined): Promise<Principal> {
    if (this.#isOpen) return ANYBODY;
    const credential = credentialIn(authorization);
    if (credential === undefined) throw unauthenticated(MISSING);
    const principal = await this.#verify(credential, 'recent');
    if (principal === undefined) throw unauthenticated(WORTHLESS);
    return principal;
  }

  /** Follows an answer under way until the result is called. */
  follow(grant: Grant): () => void {
    this.#grants.set(grant, { confirmedAtMs: performance.now() });
    return () => void this.#grants.delete(grant);
  }

  /** Looks at the rights of all answers under way, as the timer does. Never rejects. */
  async recheck(nowMs: number): Promise<void> {
    if (this.#isRechecking) return;
    this.#isRechecking = true;
    await this.#lookForTokens();
    const credentials = new Set([...this.#grants.keys()].map(({ credential }) => credential));
    await Promise.all([...credentials].map((credential) => this.#recheck(credential, nowMs)));
    this.#isRechecking = false;
  }

  /** Ends the following, and writes down what is known of readings. Idempotent. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.log.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #lookForTokens(): Promise<void> {
    if (!this.#isOpen) return;
    try {
      if (!(await hasTokens(this.#options.database.database))) return;
      this.#isOpen = false;
      this.#options.logger.info('a token has been made');
    } catch {
      // While the database is away nobody is served anyway.
    }
  }

  async #recheck(credential: string | undefined, nowMs: number): Promise<void> {
    let problem: BackcastError | undefined;
    let isConfirmed = false;
    try {
      const isAllowed =
        credential === undefined
          ? this.#isOpen
          : (await within(RECHECK_MS_MAX, this.#verify(credential, 'fresh'))) !== undefined;
      isConfirmed = isAllowed;
      if (!isAllowed) problem = unauthenticated(credential === undefined ? MISSING : WORTHLESS);
    } catch (error) {
      const { message } = toError(error);
      this.#options.logger.warn({ reason: message }, 'rights cannot be checked');
    }
    for (const [grant, state] of this.#grants) {
      if (grant.credential !== credential) continue;
      if (isConfirmed) state.confirmedAtMs = nowMs;
      else if (problem !== undefined) grant.revoke(problem);
      else if (nowMs - state.confirmedAtMs > UNCONFIRMED_MS_MAX) grant.revoke(unconfirmed());
    }
  }

  async #verify(credential: string, freshness: 'fresh' | 'recent'): Promise<Principal | undefined> {
    const verifier = this.#verifiers.find((candidate) => candidate.knows(credential));
    return await verifier?.verify(credential, freshness);
  }
}

const MISSING =
  'This API needs a token: send "Authorization: Bearer TOKEN". Commands take it from ' +
  'BACKCAST_TOKEN.';
const WORTHLESS =
  'The token is not one of this API, or has expired or been revoked. Ask for a new one.';

/** The credential in an Authorization header; undefined if there is none that can be one. */
export function credentialIn(authorization: string | undefined): string | undefined {
  if (authorization === undefined) return undefined;
  const credential = BEARER.exec(authorization)?.[1];
  return credential === undefined || credential.length > CREDENTIAL_CHARACTERS_MAX
    ? undefined
    : credential;
}

/** What `work` gives, if it does so in time. */
async function within<Value>(ms: number, work: Promise<Value>): Promise<Value> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function unauthenticated(detail: string): BackcastError {
  return new BackcastError('BACKCAST_UNAUTHENTICATED', detail);
}

function unconfirmed(): BackcastError {
  return unauthenticated('Whether the token is still valid cannot be told at the moment.');
}
