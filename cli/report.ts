// An error as a person reads it: one line that says what to do, and with --verbose what lay beneath
// it. Pure.

import { BackcastError, toError } from '#base/mod.ts';

/**
 * `backcast: message (CODE)`, with the chain of causes below it if `isVerbose`. Ends with a
 * newline.
 */
export function describeError(error: unknown, isVerbose: boolean): string {
  const known = toError(error);
  const code = known instanceof BackcastError ? known.code : 'BACKCAST_INTERNAL';
  const advice =
    known instanceof BackcastError || isVerbose ? '' : '; --verbose shows where it comes from';
  const message = known.message === '' ? known.name : known.message;
  const line = `backcast: ${message}${advice} (${code})\n`;
  return isVerbose ? line + causes(known) : line;
}

function causes(error: Error): string {
  const stack = `${error.stack ?? error.message}\n`;
  const { cause } = error;
  if (cause === undefined) return stack;
  if (!(cause instanceof Error)) return `${stack}caused by: ${JSON.stringify(cause)}\n`;
  return `${stack}caused by: ${causes(cause)}`;
}
