// A program for tests that kill the parent of an embedded server: starts one on the home folder of
// its argument, prints its process id and then does nothing more.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '#archive/mod.ts';

const homeDir = process.argv[2];
if (homeDir === undefined) throw new Error('usage: embedded-holder.ts HOME');
await startEmbeddedPostgres({ homeDir });
const lockFile = await readFile(join(homeDir, 'postgres', 'data', 'postmaster.pid'), 'utf8');
process.stdout.write(`${lockFile.split('\n')[0]}\n`);
