// The configuration without its secrets, for logs. Pure.

import type { Config } from './schema.ts';
import { SETTINGS } from './settings.ts';

const HIDDEN = '***';

/**
 * A copy of `config` without keys and in which no URL carries a password. For reading, not for
 * running.
 */
export function redact(config: Config): Config {
  const copy = structuredClone(config) as unknown as Record<string, unknown>;
  for (const { path, schema } of SETTINGS) {
    if (schema.secret !== true) continue;
    let section = copy;
    for (const name of path.slice(0, -1)) section = section[name] as Record<string, unknown>;
    const name = path[path.length - 1];
    const value = section[name];
    if (typeof value === 'string') section[name] = name.endsWith('Url') ? redactUrl(value) : HIDDEN;
  }
  return copy as unknown as Config;
}

/** `url` without its password; wholly hidden if it is not a URL. */
export function redactUrl(url: string): string {
  if (url.startsWith('/')) return url.replace(/\?.*$/, `?${HIDDEN}`);
  if (!URL.canParse(url)) return HIDDEN;
  const parsed = new URL(url);
  if (parsed.password !== '') parsed.password = HIDDEN;
  for (const name of parsed.searchParams.keys())
    if (/pass|secret|token/i.test(name)) parsed.searchParams.set(name, HIDDEN);
  return parsed.toString();
}
