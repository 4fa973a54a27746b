// The registry as commands use it: opened from the configuration, kept in step with its store, and
// heard when something in it cannot be used or Redis comes and goes. Each such thing is told once,
// however often the registry is asked.

import type { Config } from '#config/mod.ts';
import type { ReachabilityChange, Registry } from '#registry/mod.ts';

/** Things told at most; a registry that is poisoned through and through fills no disk. */
const TOLD_MAX = 1_000;

/**
 * Opens the registry that `config` describes into `resources` and tells `tell` a sentence about
 * each thing that is wrong with it. Three times within a lease it renews what was announced and
 * restores what the store has lost. Errors: those of openRegistry.
 */
export async function openCommandRegistry(
  config: Config,
  resources: AsyncDisposableStack,
  tell: (sentence: string) => void,
): Promise<Registry> {
  const { openKeptRegistry } = await import('#registry/mod.ts');
  const tellOnce = onlyOnce(tell);
  return resources.use(
    await openKeptRegistry(config, {
      onInvalid: ({ channel, problem }) => tellOnce(sentenceAbout(channel, problem)),
      onReachability: tellOutages(tell),
      onReconciled: ({ restoredChannels, conflicts }) => {
        if (restoredChannels.length > 0)
          tell(`registry: restored what it had lost: ${restoredChannels.join(', ')}`);
        for (const { channel, problem } of conflicts) tellOnce(sentenceAbout(channel, problem));
      },
      onTrouble: ({ message }) => tellOnce(`registry: ${message}`),
    }),
  );
}

/** That Redis answers is worth a word only after it did not. */
function tellOutages(tell: (sentence: string) => void): (change: ReachabilityChange) => void {
  let isAway = false;
  return ({ isReachable, reason }) => {
    if (!isReachable) tell(`registry: Redis is away: ${reason}`);
    else if (isAway) tell('registry: Redis answers again');
    isAway = !isReachable;
  };
}

function sentenceAbout(channel: string, problem: string): string {
  return channel === '' ? `registry: ${problem}` : `registry: channel "${channel}": ${problem}`;
}

function onlyOnce(tell: (sentence: string) => void): (sentence: string) => void {
  const told = new Set<string>();
  return (sentence) => {
    if (told.has(sentence) || told.size >= TOLD_MAX) return;
    told.add(sentence);
    tell(sentence);
  };
}
