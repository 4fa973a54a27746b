// Asking the replay API as the configuration names it, and reading lists page after page.

import { apiUrl } from '#config/mod.ts';
import type { ReplayApi } from '#client/mod.ts';
import type { CommandContext } from './command.ts';

/** The replay API that commands ask, and the token that they show there. */
export function replayApiOf({ config }: Pick<CommandContext, 'config'>): ReplayApi {
  return { url: apiUrl(config), token: config.api.token };
}

/**
 * The answer to GET `path`. Throws BACKCAST_API_UNREACHABLE when nothing or something else answers
 * there, and the error that the API names otherwise.
 */
export async function requestApi(
  context: CommandContext,
  path: string,
  accept: string,
): Promise<Response> {
  const { askReplayApi } = await import('#client/mod.ts');
  return await askReplayApi(replayApiOf(context), { path, accept, signal: context.signal });
}

/** Every entry of the list at `path`, page after page. */
export async function requestList(
  context: CommandContext,
  path: string,
): Promise<readonly Record<string, unknown>[]> {
  const { askForJson, unreachableApi } = await import('#client/mod.ts');
  const entries: Record<string, unknown>[] = [];
  const api = replayApiOf(context);
  let next: unknown = path;
  while (typeof next === 'string') {
    const page = await askForJson(api, { path: next, signal: context.signal });
    const { items: listed } = page;
    if (!isList(listed))
      throw unreachableApi(api.url, 'it answers with something else than a list', undefined);
    entries.push(...listed);
    next = page['next'];
  }
  return entries;
}

function isList(value: unknown): value is readonly Record<string, unknown>[] {
  return (
    Array.isArray(value) && value.every((entry) => typeof entry === 'object' && entry !== null)
  );
}
