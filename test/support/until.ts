// Waiting for something that another process does, where nothing tells when it is done: asks again
// until it is so, within a bound. Not for waiting "long enough".

import { setTimeout as wait } from 'node:timers/promises';

const ASK_EVERY_MS = 10;

/**
 * Resolves with the first answer of `ask` that is not undefined or false; throws `what` after
 * `boundMs`.
 */
export async function until<Answer>(
  what: string,
  ask: () => Promise<Answer | undefined | false> | Answer | undefined | false,
  boundMs = 10_000,
): Promise<Answer> {
  const giveUpAtMs = performance.now() + boundMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > giveUpAtMs) throw new Error(`not within ${boundMs} ms: ${what}`);
    await wait(ASK_EVERY_MS);
  }
}
