// What the exit code of a command says. docs/cli.md and every --help show this table.

import { BackcastError, type ErrorCode } from '#base/mod.ts';

/** Every exit code with its meaning. */
export const EXIT_CODES = {
  ok: { code: 0, meaning: 'Done; for a service, stopped cleanly.' },
  failure: { code: 1, meaning: 'Failed, or the audit found something that is not accounted for.' },
  usage: { code: 2, meaning: 'The command line or the configuration is not valid.' },
  interrupted: { code: 130, meaning: 'Interrupted (Ctrl-C) before it was done.' },
  terminated: { code: 143, meaning: 'Terminated (SIGTERM) before it was done.' },
} as const;

/** How a command ended. */
export type Outcome = keyof typeof EXIT_CODES;

/** Errors that the caller mends by calling differently. */
const USAGE_CODES: readonly ErrorCode[] = [
  'BACKCAST_CONFIG_INVALID',
  'BACKCAST_USAGE',
  'BACKCAST_CHANNEL_NAME',
  'BACKCAST_RANGE_INVALID',
  'BACKCAST_RANGE_INVERTED',
];

/** How a command ends that threw `error`. */
export function outcomeOf(error: unknown): Outcome {
  return error instanceof BackcastError && USAGE_CODES.includes(error.code) ? 'usage' : 'failure';
}

/** The table as it stands at the end of every --help. */
export function exitCodesHelp(): string {
  const lines = Object.values(EXIT_CODES).map(
    ({ code, meaning }) => `  ${String(code).padEnd(4)} ${meaning}`,
  );
  return `\nExit codes:\n${lines.join('\n')}`;
}
