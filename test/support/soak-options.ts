// The options of the commands that run for long: numbers and texts with a default each, and --help
// that says what they are.

import { parseArgs } from 'node:util';

/** An option: its default, and a sentence about it. */
type Option = readonly [fallback: number | string, sentence: string];

type Values<Options extends Readonly<Record<string, Option>>> = {
  readonly [Name in keyof Options]: Options[Name][0] extends number ? number : string;
};

/**
 * What the command line says of `options`. Ends the process with `purpose` and their sentences
 * where it asks for help, and with what is wrong where it is.
 */
export function soakOptions<Options extends Readonly<Record<string, Option>>>(
  purpose: string,
  options: Options,
): Values<Options> {
  const all = Object.entries(options);
  const lines = all.map(([name, [fallback, sentence]]) => {
    const term = `--${name} ${typeof fallback === 'number' ? 'N' : 'TEXT'}`;
    return `  ${term.padEnd(16)}${sentence} (${fallback || 'all'})`;
  });
  const help = `${purpose}\n\n${lines.join('\n')}\n`;
  try {
    const { values } = parseArgs({
      options: {
        help: { type: 'boolean', short: 'h' },
        ...Object.fromEntries(all.map(([name]) => [name, { type: 'string' }] as const)),
      },
    });
    if (values.help === true) end(help, 0);
    const given: Readonly<Record<string, unknown>> = values;
    return Object.fromEntries(
      all.map(([name, [fallback]]) => [name, valueOf(name, given[name], fallback)]),
    ) as Values<Options>;
  } catch (error) {
    return end(`${error instanceof Error ? error.message : String(error)}\n\n${help}`, 2);
  }
}

function valueOf(name: string, given: unknown, fallback: number | string): number | string {
  if (typeof given !== 'string') return fallback;
  if (typeof fallback === 'string') return given;
  const number = Number(given);
  if (given.trim() !== '' && number >= 0 && Number.isFinite(number)) return number;
  throw new Error(`--${name} is "${given}": give a number, for example ${fallback}.`);
}

function end(text: string, code: number): never {
  process.stderr.write(text);
  // Not by exit code alone: the file has tests, which would begin.
  process.exit(code);
}
