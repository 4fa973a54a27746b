// Verifies tokens of another issuer: JWTs (RFC 7519) signed with one of its public keys. Which
// algorithms count is decided here and never by a token: only signatures with asymmetric keys, so
// that no public key can be taken for a secret one.

import type { FastifyBaseLogger } from 'fastify';
import { errors, type JWTPayload, jwtVerify, type JWTVerifyGetKey } from 'jose';
import { BackcastError, parseScope, type Scope } from '#base/mod.ts';
import { createIssuerKeys, type IssuerKeys } from './issuer-keys.ts';
import type { Principal, Verifier } from './principal.ts';

/** Whose tokens are accepted. */
export interface JwtSettings {
  /** Where the issuer's public keys are (JWKS). */
  readonly jwksUrl: string;
  /** What `iss` must be. */
  readonly issuer: string;
  /** What `aud` must be or contain. */
  readonly audience: string;
}

/** The algorithms of signatures that are accepted (RFC 7518, RFC 8037, RFC 9864). */
export const JWT_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
/** How far the issuer's clock may be off. */
const CLOCK_OFF_SECONDS = 5;
const COMPACT_JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/** A verifier of the tokens of one issuer. Each verification checks signature and claims anew. */
export function createJwtVerifier(settings: JwtSettings, logger: FastifyBaseLogger): Verifier {
  const keys = createIssuerKeys(settings.jwksUrl, logger);
  return {
    knows: (credential) => COMPACT_JWT.test(credential),
    verify: async (credential) => {
      const payload = await payloadOf(credential, keys, settings);
      return payload === undefined ? undefined : principalOf(payload);
    },
  };
}

/** The claims of a token that holds; undefined if it does not. */
async function payloadOf(
  token: string,
  keys: IssuerKeys,
  settings: JwtSettings,
): Promise<JWTPayload | undefined> {
  try {
    try {
      return await check(token, await keys.load(), settings);
    } catch (error) {
      // A new key, or one that signs from now on: its issuer may have it by now.
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      return await check(token, await keys.reload(), settings);
    }
  } catch (error) {
    if (error instanceof BackcastError) throw error;
    if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined;
    throw error;
  }
}

async function check(
  token: string,
  find: JWTVerifyGetKey,
  { issuer, audience }: JwtSettings,
): Promise<JWTPayload> {
  const { payload } = await jwtVerify(token, find, {
    algorithms: JWT_ALGORITHMS,
    issuer,
    audience,
    clockTolerance: CLOCK_OFF_SECONDS,
    requiredClaims: ['exp', 'sub'],
  });
  return payload;
}

function principalOf(payload: JWTPayload): Principal {
  return { who: `jwt:${String(payload.sub)}`, scopes: scopesIn(payload) };
}

/** `scope` as OAuth 2.0 has it (RFC 8693, section 4.2): words between spaces, some not ours. */
function scopesIn(payload: JWTPayload): Scope[] {
  const { scope } = payload;
  if (typeof scope !== 'string') return [];
  return scope.split(' ').flatMap((word) => parseScope(word) ?? []);
}
