// Work in the background that comes again and again, and whose failures are nobody else's.

import { setTimeout as delay } from 'node:timers/promises';
import { toError } from '#base/mod.ts';
import type { ArchiverLog } from './archiver.ts';

/**
 * Repeats `work`, the first time after `everyMs`, until the signal fires. A failure is logged once,
 * and once more when it is over; `what` is its subject.
 */
export async function repeat(
  everyMs: number,
  what: string,
  work: () => Promise<void>,
  { signal, log }: { readonly signal: AbortSignal; readonly log: ArchiverLog },
): Promise<void> {
  let isFailing = false;
  while (!signal.aborted) {
    await delay(everyMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    try {
      await work();
      if (isFailing) log.info({}, `${what} works again`);
      isFailing = false;
    } catch (error) {
      if (!isFailing) log.warn({ reason: toError(error).message }, `${what} fails`);
      isFailing = true;
    }
  }
}
