// The command line as a whole: every command, the options that all of them take, and how wrong
// usage is told. Commands import the larger parts of Backcast when they run, so that `history` need
// not wait for PostgreSQL's client to load.

import { Command } from 'commander';
import { addArchiveCommand } from './commands/archive.ts';
import { addAuditCommand } from './commands/audit.ts';
import { addBenchCommand } from './commands/bench.ts';
import { addCompactCommand } from './commands/compact.ts';
import { addDemoCommands } from './commands/demo.ts';
import { addExportCommand } from './commands/export.ts';
import { addHistoryCommand } from './commands/history.ts';
import { addHoldCommands } from './commands/hold.ts';
import { addKeysCommands } from './commands/keys.ts';
import { addListCommands } from './commands/lists.ts';
import { addMigrateCommand } from './commands/migrate.ts';
import { addPublishCommand } from './commands/publish.ts';
import { addRepublishCommand } from './commands/republish.ts';
import { addRetentionCommand } from './commands/retention.ts';
import { addServeCommand } from './commands/serve.ts';
import { addSubscribeCommand } from './commands/subscribe.ts';
import { addTokenCommands } from './commands/token.ts';
import { addTailCommand } from './commands/tail.ts';
import { addUpCommand } from './commands/up.ts';
import { addVerifyCommand } from './commands/verify.ts';
import { explain, settingOption, type CommandHost } from './command.ts';

/** Where commander's own words go. */
export interface ProgramWriters {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

/** The program, ready to parse. Throws CommanderError instead of ending the process. */
export function createProgram(
  host: CommandHost,
  version: string,
  { out, err }: ProgramWriters,
): Command {
  const program = new Command('backcast')
    .description('The durable subscriber of a cluster that broadcasts over reliable UDP multicast.')
    .version(version, '--version', 'print the version')
    .option('--config <file>', 'configuration file (BACKCAST_CONFIG, else ./backcast.yaml)')
    .addOption(settingOption('--home <folder>', 'home'))
    .option('--verbose', 'show where an error comes from')
    .exitOverride()
    .configureOutput({ writeOut: out, writeErr: err, outputError: writeUsageError })
    .configureHelp({ showGlobalOptions: true, helpWidth: 100 });
  addUpCommand(program, host);
  addPublishCommand(program, host);
  addSubscribeCommand(program, host);
  addTailCommand(program, host);
  addHistoryCommand(program, host);
  addExportCommand(program, host);
  addVerifyCommand(program, host);
  addRepublishCommand(program, host);
  addListCommands(program, host);
  addAuditCommand(program, host);
  addCompactCommand(program, host);
  addRetentionCommand(program, host);
  addHoldCommands(program, host);
  addArchiveCommand(program, host);
  addServeCommand(program, host);
  addMigrateCommand(program, host);
  addTokenCommands(program, host);
  addKeysCommands(program, host);
  addBenchCommand(program, host);
  addDemoCommands(program, host);
  return explain(program, [
    'backcast up --demo',
    'backcast history demo.orders --limit 10',
    'backcast COMMAND --help',
  ]);
}

/** commander says "error: …", with a suggestion on a second line. */
function writeUsageError(text: string, write: (text: string) => void): void {
  const sentence = text
    .trim()
    .replace(/^error: /, '')
    .replaceAll('\n', ' ');
  write(`backcast: ${sentence} (BACKCAST_USAGE)\n`);
}
