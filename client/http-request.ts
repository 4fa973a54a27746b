// Asking the replay API over HTTP: what it answers, or one error that says what to do. Problems
// that the API names come through with their code. Knows no route and reads no answer.

import { BackcastError, ERRORS, type ErrorCode, rootMessage } from '#base/mod.ts';
import type { Problem } from './contract.ts';

/** Where the replay API is, and who asks. */
export interface ReplayApi {
  /** `http://host:port`, with or without a slash at the end. */
  readonly url: string;
  /** Sent as bearer token. */
  readonly token?: string | undefined;
}

/** One question to the replay API. */
export interface ReplayQuestion {
  /** Path and query, from the slash on. */
  readonly path: string;
  /** The media type wanted. */
  readonly accept: string;
  /** Posted as JSON; without one, it is a GET. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

/** A refusal that says when to ask again. */
export class RefusedError extends BackcastError {
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, retryAfterMs: number | undefined) {
    super(code, message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** How long the API may think before it begins to answer. */
const ANSWER_MS_MAX = 30_000;

/**
 * The answer, begun: its body is still to be read. Errors: BACKCAST_API_UNREACHABLE when nothing or
 * something else answers there; the error that the API names, as RefusedError; BACKCAST_USAGE where
 * nothing can; the reason of `signal`.
 */
export async function askReplayApi(api: ReplayApi, question: ReplayQuestion): Promise<Response> {
  const base = baseOf(api);
  const { path, signal } = question;
  signal?.throwIfAborted();
  const patience = new AbortController();
  const timer = setTimeout(() => {
    patience.abort(new Error(`no answer within ${ANSWER_MS_MAX / 1000} s`));
  }, ANSWER_MS_MAX);
  let response: Response;
  try {
    const signals = signal === undefined ? [patience.signal] : [signal, patience.signal];
    response = await fetch(new URL(base + path), {
      ...describe(api, question),
      signal: AbortSignal.any(signals),
    });
  } catch (cause) {
    signal?.throwIfAborted();
    throw unreachableApi(base, rootMessage(cause), cause);
  } finally {
    clearTimeout(timer);
  }
  if (response.ok) return response;
  throw await explainRefusal(response, base);
}

/** Every name that a member of `Answer`, or of one of several, has. */
export type MemberOf<Answer> = Answer extends unknown ? keyof Answer : never;

/** What came in place of `Answer`: its members, as nobody has looked at them yet. */
export type Unchecked<Answer> = { readonly [Name in MemberOf<Answer>]?: unknown };

/** The JSON object that answers `question`. Errors: those of askReplayApi. */
export async function askForJson(
  api: ReplayApi,
  question: Omit<ReplayQuestion, 'accept'>,
): Promise<Readonly<Record<string, unknown>>> {
  const response = await askReplayApi(api, { ...question, accept: 'application/json' });
  const json: unknown = await response.json().catch(() => undefined);
  question.signal?.throwIfAborted();
  if (isObject(json)) return json;
  throw unreachableApi(api.url, 'it answers with something else than a JSON object', undefined);
}

/** The error that says that `base` is not a replay API, or not now. */
export function unreachableApi(base: string, reason: string, cause: unknown): BackcastError {
  return new BackcastError(
    'BACKCAST_API_UNREACHABLE',
    `the replay API at ${base} cannot be used: ${reason}; start it with \`backcast serve\` or ` +
      '`backcast up`, or set BACKCAST_API to where it is',
    { cause },
  );
}

function baseOf({ url }: ReplayApi): string {
  if (/^https?:$/.test(URL.parse(url)?.protocol ?? '')) return url.replace(/\/+$/, '');
  throw new BackcastError(
    'BACKCAST_USAGE',
    `${JSON.stringify(url)} is not where a replay API can be: give a URL such as ` +
      'http://10.0.0.9:8080.',
  );
}

function describe({ token }: ReplayApi, { accept, body, headers }: ReplayQuestion): RequestInit {
  const bearer = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const common = { accept, ...bearer, ...headers };
  if (body === undefined) return { headers: common };
  return {
    method: 'POST',
    headers: { ...common, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  };
}

async function explainRefusal(response: Response, base: string): Promise<BackcastError> {
  const answer: unknown = await response.json().catch(() => undefined);
  const { code, detail, title }: Unchecked<Problem> = isObject(answer) ? answer : {};
  if (isErrorCode(code)) {
    const sentence = typeof detail === 'string' ? detail : String(title);
    return new RefusedError(code, sentence, retryAfterMs(response));
  }
  const status = `${response.status} ${response.statusText}`.trim();
  const reason = `it answers ${status}, which is not an answer of Backcast`;
  return unreachableApi(base, reason, undefined);
}

/** What Retry-After says in seconds; its other form, a date, the API does not use. */
function retryAfterMs({ headers }: Response): number | undefined {
  const seconds = Number(headers.get('retry-after') ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : undefined;
}

/** Whether `value` names an error of Backcast. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERRORS, value);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
