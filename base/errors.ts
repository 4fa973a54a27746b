// Everything that can be wrong and that somebody can mend: bad configuration, a database that is
// away, a request for what is not there. One registry row per code; docs/errors.md has a heading
// per code. Codes are never reused. Not for the impossible (assert.ts) nor for expected outcomes on
// the network, which are returned values and counters.

import { ERRORS, type ErrorCode } from './error-registry.ts';

/**
 * The one error class that crosses a door of Backcast. `message` says what is wrong and what to do.
 */
export class BackcastError extends Error {
  override readonly name = 'BackcastError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }

  /** Whether the same call may succeed later without anybody changing anything. */
  get isRetryable(): boolean {
    return ERRORS[this.code].retryable;
  }

  /** The HTTP status that the replay API answers with. */
  get httpStatus(): number {
    return ERRORS[this.code].httpStatus;
  }
}

/** `error` as an Error, whatever was thrown. */
export function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/**
 * The innermost message of a chain of causes: what the operating system or the server really said.
 */
export function rootMessage(error: unknown): string {
  let deepest = toError(error);
  while (deepest.cause instanceof Error) deepest = deepest.cause;
  if (deepest.message !== '') return deepest.message;
  return 'code' in deepest && typeof deepest.code === 'string' ? deepest.code : deepest.name;
}
