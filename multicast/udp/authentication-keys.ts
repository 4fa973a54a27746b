// The text of authentication keys, as a file or the environment holds it. Says what is wrong with a
// line by its number and never by what stands in it, since that may be a key.
//
//     # anything behind a hash is for people
//     1795345858:5f0c…        key id, colon, 16 to 64 bytes in hex or base64
//
// The first key signs; all of them are accepted. Lines may be separated by commas too.

import { randomBytes } from 'node:crypto';
import {
  AUTHENTICATION_KEY_BYTES_MAX,
  AUTHENTICATION_KEY_BYTES_MIN,
  AUTHENTICATION_KEYS_MAX,
  BackcastError,
} from '#base/mod.ts';

/** One key. */
export interface AuthenticationKey {
  /** Tells the keys of an installation apart in packets: 1 to 2^32 − 1. Not secret. */
  readonly id: number;
  readonly secret: Uint8Array;
}

const KEY_ID_MAX = 0xffff_ffff;
const NEW_KEY_BYTES = 32;
const LINE = /^(?<id>[1-9]\d{0,9})\s*:\s*(?<secret>\S+)$/;

/**
 * The keys that `text` holds, the one that signs first. `where` is the name of the place for the
 * errors. Throws BACKCAST_KEYS_INVALID.
 */
export function parseKeys(text: string, where: string): AuthenticationKey[] {
  const keys: AuthenticationKey[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    for (const entry of line.replace(/#.*$/, '').split(',')) {
      if (entry.trim() === '') continue;
      const key = parseKey(entry.trim());
      if (typeof key === 'string') throw invalidKeys(`${where}, line ${index + 1}: ${key}`);
      if (keys.some(({ id }) => id === key.id))
        throw invalidKeys(`${where}, line ${index + 1}: the key id ${key.id} stands there twice`);
      keys.push(key);
    }
  }
  if (keys.length === 0) throw invalidKeys(`${where} holds no key`);
  if (keys.length > AUTHENTICATION_KEYS_MAX)
    throw invalidKeys(`${where} holds ${keys.length} keys; ${AUTHENTICATION_KEYS_MAX} may be live`);
  return keys;
}

/** A line with a new key of 256 bits; its id is the second in which it was made. */
export function generateKeyLine(nowMs: number): string {
  return `${Math.floor(nowMs / 1000)}:${randomBytes(NEW_KEY_BYTES).toString('hex')}`;
}

/** The error for keys that cannot be used, with how to make good ones. */
export function invalidKeys(problem: string, cause?: unknown): BackcastError {
  const advice = '`backcast keys generate` prints a line with a new key';
  return new BackcastError('BACKCAST_KEYS_INVALID', `${problem}; ${advice}`, { cause });
}

/** The key of one line, or what is wrong with it. */
function parseKey(line: string): AuthenticationKey | string {
  const { id, secret } = LINE.exec(line)?.groups ?? {};
  if (id === undefined || secret === undefined)
    return 'it is not a key id, a colon and a key in hex or base64';
  if (Number(id) > KEY_ID_MAX) return `a key id is a number from 1 to ${KEY_ID_MAX}`;
  const bytes = decodeSecret(secret);
  if (bytes === undefined) return 'its key is neither hex nor base64';
  if (bytes.length < AUTHENTICATION_KEY_BYTES_MIN || bytes.length > AUTHENTICATION_KEY_BYTES_MAX)
    return (
      `its key has ${bytes.length} bytes and should have ${AUTHENTICATION_KEY_BYTES_MIN} to ` +
      `${AUTHENTICATION_KEY_BYTES_MAX}`
    );
  return { id: Number(id), secret: bytes };
}

/** Hex if it can be hex, so that every host reads the same text in the same way. */
function decodeSecret(text: string): Uint8Array | undefined {
  if (/^([0-9a-f]{2})+$/i.test(text)) return new Uint8Array(Buffer.from(text, 'hex'));
  const isBase64 = /^[A-Za-z0-9+/]+={0,2}$/.test(text) || /^[A-Za-z0-9_-]+={0,2}$/.test(text);
  return isBase64 ? new Uint8Array(Buffer.from(text, 'base64')) : undefined;
}
