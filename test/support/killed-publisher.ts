// A publisher of labelled messages as a process of its own, which ends without a word when it is
// killed. `node test/support/killed-publisher.ts OPTIONS` publishes until then.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ChannelPublisher, type OpenPublisherOptions } from '#client/mod.ts';
import { publishLabelled } from './labelled-messages.ts';

/** What it publishes, and as whom. */
export interface KilledPublisherOptions {
  readonly publisher: OpenPublisherOptions;
  readonly everyMs: number;
  readonly payloadBytes: number;
}

/** One that runs. Disposing kills it. */
export type KilledPublisher = AsyncDisposable;

/** Starts one. `env` goes on top of that of this process. */
export function startKilledPublisher(
  options: KilledPublisherOptions,
  env: Readonly<Record<string, string>>,
): KilledPublisher {
  const child: ChildProcess = spawn(
    process.execPath,
    [fileURLToPath(import.meta.url), JSON.stringify(options)],
    // Its end is told by its input, also where nobody comes to kill it.
    { stdio: ['pipe', 'ignore', 'inherit'], env: { ...process.env, ...env } },
  );
  const ended = once(child, 'exit');
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.stdin.resume().on('end', () => process.exit());
  const {
    publisher: options,
    everyMs,
    payloadBytes,
  } = JSON.parse(process.argv[2] ?? '') as KilledPublisherOptions;
  const publisher = await ChannelPublisher.open(options);
  for (;;) {
    await publishLabelled(publisher, payloadBytes);
    await delay(everyMs);
  }
}
