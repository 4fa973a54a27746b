// Asking the replay API: what it answers, or one error that says what to do. Problems that the API
// names come through with their code.

import { BackcastError, ERRORS, rootMessage, type ErrorCode } from '#base/mod.ts';
import { apiUrl } from '#config/mod.ts';
import type { CommandContext } from './command.ts';

/** How long the API may think before it begins to answer. */
const ANSWER_MS_MAX = 30_000;

/**
 * The answer to GET `path`. Throws BACKCAST_API_UNREACHABLE when nothing or something else answers
 * there, and the error that the API names otherwise.
 */
export async function requestApi(
  context: CommandContext,
  path: string,
  accept: string,
): Promise<Response> {
  const base = apiUrl(context.config);
  const patience = new AbortController();
  const timer = setTimeout(() => {
    patience.abort(new Error(`no answer within ${ANSWER_MS_MAX / 1000} s`));
  }, ANSWER_MS_MAX);
  let response: Response;
  try {
    const signal = AbortSignal.any([context.signal, patience.signal]);
    const headers = { accept, ...authorization(context) };
    response = await fetch(new URL(base + path), { headers, signal });
  } catch (cause) {
    context.signal.throwIfAborted();
    throw unreachable(base, rootMessage(cause), cause);
  } finally {
    clearTimeout(timer);
  }
  if (response.ok) return response;
  throw await explainRefusal(response, base);
}

/** The header that shows the configured token; none without one. */
export function authorization({ config }: Pick<CommandContext, 'config'>): {
  readonly authorization?: string;
} {
  const { token } = config.api;
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

/** Every entry of the list at `path`, page after page. */
export async function requestList(
  context: CommandContext,
  path: string,
): Promise<readonly Record<string, unknown>[]> {
  const entries: Record<string, unknown>[] = [];
  let next: string | null = path;
  while (next !== null) {
    const page = await requestApi(context, next, 'application/json');
    const json = await readPage(page, apiUrl(context.config));
    entries.push(...json.items);
    next = json.next;
  }
  return entries;
}

interface Page {
  readonly items: readonly Record<string, unknown>[];
  readonly next: string | null;
}

async function readPage(response: Response, base: string): Promise<Page> {
  const json: unknown = await response.json().catch(() => undefined);
  if (!isObject(json) || !Array.isArray(json['items']) || !json['items'].every(isObject))
    throw unreachable(base, 'it answers with something else than a list', undefined);
  return {
    items: json['items'],
    next: typeof json['next'] === 'string' ? json['next'] : null,
  };
}

async function explainRefusal(response: Response, base: string): Promise<BackcastError> {
  const problem: unknown = await response.json().catch(() => undefined);
  if (isObject(problem) && isErrorCode(problem['code'])) {
    const { code, detail, title } = problem;
    return new BackcastError(code, typeof detail === 'string' ? detail : String(title));
  }
  const status = `${response.status} ${response.statusText}`.trim();
  return unreachable(base, `it answers ${status}, which is not an answer of Backcast`, undefined);
}

function unreachable(base: string, reason: string, cause: unknown): BackcastError {
  return new BackcastError(
    'BACKCAST_API_UNREACHABLE',
    `the replay API at ${base} cannot be used: ${reason}; start it with \`backcast serve\` or ` +
      '`backcast up`, or set BACKCAST_API to where it is',
    { cause },
  );
}

function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERRORS, value);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
