// What every command is made of: its options, among them those that stand for a setting, the help
// that goes with it, and the frame in which its body runs. A body gets the loaded configuration and
// says how it ended; errors, signals and exit codes are the frame's.

import { InvalidArgumentError, Option, type Command } from 'commander';
import { assert } from '#base/mod.ts';
import { loadConfig, SETTINGS, type Config, type FlagValue } from '#config/mod.ts';
import { exitCodesHelp, type Outcome } from './exit-codes.ts';
import type { Output } from './output.ts';

/** What a body works with. */
export interface CommandContext {
  readonly config: Config;
  readonly output: Output;
  /** Aborted by Ctrl-C, SIGTERM and a reader of the output that went away. */
  readonly signal: AbortSignal;
  /** Writes a line for the person at the terminal to standard error. */
  readonly note: (line: string) => void;
}

/** The surroundings of a whole command line. */
export interface CommandHost {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly output: Output;
  readonly signal: AbortSignal;
  readonly note: (line: string) => void;
  /** Told once, how the command ended. */
  readonly finish: (outcome: Outcome) => void;
}

/** A command: its arguments as given, its options as commander parsed them. */
export type CommandBody<Options> = (
  context: CommandContext,
  options: Options,
  ...args: string[]
) => Promise<Outcome>;

const settingOf = new WeakMap<Option, string>();

/** An option that stands for the setting `name` and takes its description from there. */
export function settingOption(flags: string, name: string): Option {
  const setting = SETTINGS.find((candidate) => candidate.name === name);
  assert(setting !== undefined, 'an option stands for a setting that exists');
  const env = setting.schema.env === undefined ? '' : `, ${setting.schema.env}`;
  const meaning = asHelp(setting.schema.description ?? '');
  const option = new Option(flags, `${meaning} (${name}${env})`);
  settingOf.set(option, name);
  return option;
}

/**
 * Runs `body` when `command` is called, with the configuration that file, environment and flags
 * make.
 */
export function runs<Options>(
  command: Command,
  host: CommandHost,
  body: CommandBody<Options>,
): Command {
  return command.action(async () => {
    const options = command.optsWithGlobals<Record<string, unknown>>();
    const { env, cwd, output, signal } = host;
    const file = options['config'] as string | undefined;
    const config = loadConfig({ env, cwd, file, flags: flagsOf(command) });
    const context = { config, output, signal, note: host.note };
    host.finish(await body(context, options as Options, ...command.args));
  });
}

/** Adds the examples and the exit codes to the help of `command`. */
export function explain(command: Command, examples: readonly string[]): Command {
  const lines = examples.map((example) => `  ${example}`).join('\n');
  return command.addHelpText('after', `\nExamples:\n${lines}\n${exitCodesHelp()}`);
}

/** A parser of whole numbers from `minimum` on, up to `maximum` if there is one. */
export function wholeNumber(minimum: number, maximum?: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    const isWhole = /^\d{1,16}$/.test(text) && Number.isSafeInteger(value);
    if (isWhole && value >= minimum && value <= (maximum ?? value)) return value;
    const to = maximum === undefined ? 'on' : `to ${maximum}`;
    throw new InvalidArgumentError(`It is not a whole number from ${minimum} ${to}.`);
  };
}

/**
 * A sentence as help has it: without its capital, unless that begins a name, and without its full
 * stop.
 */
function asHelp(sentence: string): string {
  const words = sentence.replace(/\.$/, '');
  return /^[A-Z][a-z ]/.test(words) && !/^(PostgreSQL|Redis|PGM)/.test(words)
    ? words[0].toLowerCase() + words.slice(1)
    : words;
}

function flagsOf(command: Command): FlagValue[] {
  const flags: FlagValue[] = [];
  for (let level: Command | null = command; level !== null; level = level.parent)
    for (const option of level.options) {
      const name = settingOf.get(option);
      if (name === undefined) continue;
      const value: unknown = level.getOptionValue(option.attributeName());
      flags.push({ flag: option.long ?? option.flags, name, value });
    }
  return flags;
}
