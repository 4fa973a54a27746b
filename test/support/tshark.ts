// What tshark, the terminal Wireshark, makes of a capture file: the tshark of PATH, else the one of
// Debian's packages, unpacked without root into .cache/tshark.

import { execFile } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { fetchDebianPackages, findProgram, lastLine } from './debian-packages.ts';

const CACHE = fileURLToPath(new URL('../../.cache/tshark', import.meta.url));
const OUTPUT_BYTES_MAX = 64 * 1_048_576;
const run = promisify(execFile);

/** A packet by the names that Wireshark has for its fields; several values are joined by `,`. */
export type DissectedPacket = Readonly<Record<string, string>>;

/**
 * The fields of every packet of the file, UDP to and from `ports` read as PGM, all checksums
 * checked. Fails with one line that says what to install where no tshark can be had.
 */
export async function dissect(
  path: string,
  ports: readonly number[],
  fields: readonly string[],
): Promise<DissectedPacket[]> {
  const asPgm = ports.flatMap((port) => ['-d', `udp.port==${port},pgm`]);
  const checks = ['ip', 'udp', 'pgm'].flatMap((name) => ['-o', `${name}.check_checksum:TRUE`]);
  const columns = ['-T', 'fields', '-E', 'separator=|', ...fields.flatMap((name) => ['-e', name])];
  const { program, variables } = await findTshark();
  const { stdout } = await run(program, ['-n', '-r', path, ...asPgm, ...checks, ...columns], {
    env: { ...process.env, ...variables },
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  const lines = stdout.split('\n').filter((line) => line !== '');
  return lines.map((line) => {
    const values = line.split('|');
    return Object.fromEntries(fields.map((name, index) => [name, values[index] ?? '']));
  });
}

/** A tshark, and what its environment must say. */
interface Tshark {
  readonly program: string;
  readonly variables: Readonly<Record<string, string>>;
}

/** The tshark of this machine, fetched if it has none. */
export async function findTshark(): Promise<Tshark> {
  const installed = findProgram('tshark');
  if (installed !== undefined) return { program: installed, variables: {} };
  try {
    return await fetchTshark();
  } catch (cause) {
    throw new Error(
      'no tshark for the tests: run `apt-get install tshark` ' +
        `(fetching the Debian packages failed: ${lastLine(cause)})`,
      { cause },
    );
  }
}

async function fetchTshark(): Promise<Tshark> {
  const packages = await fetchDebianPackages({ names: ['tshark'], cacheFolder: CACHE });
  const program = findProgram('tshark', packages.binFolders);
  if (program === undefined) throw new Error(`${packages.root} has no tshark: remove it`);
  const libraryPath = [packages.libraryPath, process.env['LD_LIBRARY_PATH']].filter(Boolean);
  return {
    program,
    variables: {
      LD_LIBRARY_PATH: libraryPath.join(delimiter),
      WIRESHARK_DATA_DIR: join(packages.root, 'usr/share/wireshark'),
    },
  };
}
