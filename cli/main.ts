// The process behind ./backcast: signals, streams, exit code. Everything else is in program.ts and
// the commands.

import { readFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import type { CommandHost } from './command.ts';
import { EXIT_CODES, outcomeOf, type Outcome } from './exit-codes.ts';
import { openOutput, OutputClosed } from './output.ts';
import { createProgram } from './program.ts';
import { describeError } from './report.ts';

/** Why a command is told to stop. */
class Interruption extends Error {
  override readonly name = 'Interruption';
  readonly outcome: Outcome;

  constructor(outcome: Outcome) {
    super(outcome);
    this.outcome = outcome;
  }
}

const stop = new AbortController();
const isVerbose = process.argv.includes('--verbose');
let outcome: Outcome = 'ok';

listen('SIGINT', 'interrupted');
listen('SIGTERM', 'terminated');
process.stderr.on('error', () => undefined);

const host: CommandHost = {
  env: process.env,
  cwd: process.cwd(),
  output: openOutput(process.stdout, (reason) => stop.abort(reason)),
  signal: stop.signal,
  note: (line) => process.stderr.write(`${line}\n`),
  finish: (end) => {
    outcome = end === 'interrupted' ? interruption() : end;
  },
};

try {
  const writers = {
    out: (text: string) => process.stdout.write(text),
    err: (text: string) => process.stderr.write(text),
  };
  await createProgram(host, readVersion(), writers).parseAsync(process.argv);
} catch (error) {
  outcome = conclude(error);
}
process.exitCode = EXIT_CODES[outcome].code;

/** The first signal asks the command to end in order, the second ends it at once. */
function listen(signal: 'SIGINT' | 'SIGTERM', end: Outcome): void {
  process.on(signal, () => {
    if (stop.signal.aborted) process.exit(EXIT_CODES[end].code);
    stop.abort(new Interruption(end));
  });
}

function conclude(error: unknown): Outcome {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 'ok' : 'usage';
  if (error instanceof OutputClosed) return 'ok';
  if (stop.signal.aborted && isAbort(error)) return interruption();
  process.stderr.write(describeError(error, isVerbose));
  return outcomeOf(error);
}

/** How a command ended that was told to stop: by which signal, or because nobody reads any more. */
function interruption(): Outcome {
  const reason: unknown = stop.signal.reason;
  if (reason instanceof OutputClosed) return 'ok';
  return reason instanceof Interruption ? reason.outcome : 'interrupted';
}

function isAbort(error: unknown): boolean {
  return error === stop.signal.reason || (error instanceof Error && error.name === 'AbortError');
}

function readVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { readonly version: string };
  return version;
}
