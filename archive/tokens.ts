// The tokens of the replay API. A token is `bct_ID.SECRET`: the id finds the row and may be shown,
// the secret has 256 random bits, of which the archive keeps a SHA-256 only. So many bits need no
// slow hash: nobody can try them. Tokens are revoked, never removed.

import { createHash, randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import { sql } from 'kysely';
import { BackcastError, formatInstant, parseScope, type Scope, scopeText } from '#base/mod.ts';
import type { ArchiveDatabase } from './connect.ts';
import { explained, rowsOf } from './read-sql.ts';

/** A token as the archive knows it: everything but its secret. */
export interface Token {
  readonly id: string;
  /** What it is for, in its maker's words. */
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly createdAtUs: number;
  /** From then on it is worth nothing; null: it never expires. */
  readonly expiresAtUs: number | null;
  readonly revokedAtUs: number | null;
}

/** A token that can be compared with what somebody presents. */
export interface StoredToken extends Token {
  readonly secretSha256: Buffer;
}

/** What to make. */
export interface NewToken {
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly expiresAtUs: number | undefined;
}

/** What every token begins with, so that one that leaked is recognised. */
export const TOKEN_PREFIX = 'bct_';
/** Small letters and digits that are not mistaken for each other. */
const ID_ALPHABET = 'abcdefghjkmnpqrstuvwxyz23456789';
/** 31^12 is about 2^59: no two are the same by chance. */
const ID_CHARACTERS = 12;
const SECRET_BYTES = 32;
const TOKEN = /^bct_([a-z0-9]{12})\.([A-Za-z0-9_-]{43})$/;

/** What somebody presents: which token, and the hash of what makes it theirs. */
export interface PresentedToken {
  readonly id: string;
  readonly secretSha256: Buffer;
}

/** The parts of `text`; undefined if it cannot be a token of ours. Asks nobody. */
export function parseToken(text: string): PresentedToken | undefined {
  const [, id, secret] = TOKEN.exec(text) ?? [];
  return secret === undefined ? undefined : { id, secretSha256: sha256(secret) };
}

/** Whether `presented` has the secret of `stored`; takes the same time wherever they differ. */
export function hasSecretOf(presented: PresentedToken, stored: StoredToken): boolean {
  return timingSafeEqual(presented.secretSha256, stored.secretSha256);
}

/** Whether the token is worth anything at `nowUs`. */
export function isTokenValid({ expiresAtUs, revokedAtUs }: Token, nowUs: number): boolean {
  return revokedAtUs === null && (expiresAtUs === null || nowUs < expiresAtUs);
}

/** Makes a token and returns it with its text, which can be had this once only. */
export async function createToken(
  db: ArchiveDatabase,
  { name, scopes, expiresAtUs }: NewToken,
): Promise<{ readonly token: Token; readonly text: string }> {
  const id = randomId();
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  const [{ nowUs }] = await rowsOf(sql<{ nowUs: number }>`SELECT now() AS "nowUs"`.execute(db));
  await explained(
    db
      .insertInto('tokens')
      .values({
        token_id: id,
        name,
        secret_sha256: sha256(secret),
        scopes: scopes.map(scopeText),
        created_at: formatInstant(nowUs),
        expires_at: expiresAtUs === undefined ? null : formatInstant(expiresAtUs),
      })
      .execute(),
  );
  const token: Token = {
    id,
    name,
    scopes,
    createdAtUs: nowUs,
    expiresAtUs: expiresAtUs ?? null,
    revokedAtUs: null,
  };
  return { token, text: `${TOKEN_PREFIX}${id}.${secret}` };
}

/** All tokens, the newest first, also those that are revoked or expired. */
export async function listTokens(db: ArchiveDatabase): Promise<Token[]> {
  const query = selectTokens(db).orderBy('created_at', 'desc').orderBy('token_id');
  return (await rowsOf(query.execute())).map(toToken);
}

/** Those of `ids` that exist. */
export async function findTokens(
  db: ArchiveDatabase,
  ids: readonly string[],
): Promise<StoredToken[]> {
  if (ids.length === 0) return [];
  return (await rowsOf(selectTokens(db).where('token_id', 'in', ids).execute())).map(toToken);
}

/** Whether a token was ever made here. */
export async function hasTokens(db: ArchiveDatabase): Promise<boolean> {
  return (await rowsOf(db.selectFrom('tokens').select('token_id').limit(1).execute())).length > 0;
}

/**
 * Revokes a token for good and returns it; one that was revoked before stays as it was.
 * BACKCAST_TOKEN_UNKNOWN if there is none of this id.
 */
export async function revokeToken(db: ArchiveDatabase, id: string): Promise<Token> {
  await explained(
    sql`UPDATE tokens SET revoked_at = now()
        WHERE token_id = ${id} AND revoked_at IS NULL`.execute(db),
  );
  const [token] = await findTokens(db, [id]);
  if (token !== undefined) return token;
  throw new BackcastError(
    'BACKCAST_TOKEN_UNKNOWN',
    `no token has the id "${id}". backcast token list shows those there are.`,
  );
}

function selectTokens(db: ArchiveDatabase) {
  return db
    .selectFrom('tokens')
    .select([
      'token_id as id',
      'name',
      'scopes',
      'secret_sha256 as secretSha256',
      'created_at as createdAtUs',
      'expires_at as expiresAtUs',
      'revoked_at as revokedAtUs',
    ]);
}

/** A scope that this version does not know allows nothing. */
function toToken<Row extends { readonly scopes: readonly string[] }>(
  row: Row,
): Omit<Row, 'scopes'> & { readonly scopes: readonly Scope[] } {
  const scopes = row.scopes.flatMap((text) => parseScope(text) ?? []);
  return { ...row, scopes };
}

function sha256(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

function randomId(): string {
  const letters = Array.from(
    { length: ID_CHARACTERS },
    () => ID_ALPHABET[randomInt(ID_ALPHABET.length)],
  );
  return letters.join('');
}
