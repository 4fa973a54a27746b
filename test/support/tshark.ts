// What tshark, the terminal Wireshark, makes of a capture file. It is a program of the machine:
// `apt-get install tshark`, or TSHARK names it.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A packet by the names that Wireshark has for its fields; several values are joined by `,`. */
export type DissectedPacket = Readonly<Record<string, string>>;

/**
 * The fields of every packet of the file, UDP to and from `ports` read as PGM, all checksums
 * checked. Fails with one line that says what to install where there is no tshark.
 */
export async function dissect(
  path: string,
  ports: readonly number[],
  fields: readonly string[],
): Promise<DissectedPacket[]> {
  const asPgm = ports.flatMap((port) => ['-d', `udp.port==${port},pgm`]);
  const checks = ['ip', 'udp', 'pgm'].flatMap((name) => ['-o', `${name}.check_checksum:TRUE`]);
  const columns = ['-T', 'fields', '-E', 'separator=|', ...fields.flatMap((name) => ['-e', name])];
  const lines = await tshark(['-n', '-r', path, ...asPgm, ...checks, ...columns]);
  return lines.map((line) => {
    const values = line.split('|');
    return Object.fromEntries(fields.map((name, index) => [name, values[index] ?? '']));
  });
}

async function tshark(options: readonly string[]): Promise<string[]> {
  const program = process.env['TSHARK'] ?? 'tshark';
  try {
    const { stdout } = await run(program, options, { maxBuffer: 64 * 1_048_576 });
    return stdout.split('\n').filter((line) => line !== '');
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')) throw cause;
    throw new Error('no tshark for the tests: run `apt-get install tshark`, or set TSHARK', {
      cause,
    });
  }
}
