// `keys generate`: a new authentication key, as a line for the file of keys.

import type { Command } from 'commander';
import { explain, runs, type CommandContext, type CommandHost } from '../command.ts';
import type { Outcome } from '../exit-codes.ts';

/** Adds the commands. */
export function addKeysCommands(program: Command, host: CommandHost): void {
  const keys = program.command('keys').description('make authentication keys');
  const generate = keys.command('generate').description('print a line with a new key');
  runs(generate, host, generateKey);
  explain(generate, [
    '(umask 077; backcast keys generate > keys)',
    'backcast keys generate >> keys',
  ]);
}

async function generateKey({ output }: CommandContext): Promise<Outcome> {
  const { generateKeyLine } = await import('#multicast/udp/mod.ts');
  await output.write(`${generateKeyLine(Date.now())}\n`);
  return 'ok';
}
