// A network of a test file's own: a network namespace of the kernel, in which the file runs once
// more. There IPv6 multicast can be had, and addresses taken, without touching the machine. Needs
// to be root, or a kernel that lets anybody make namespaces; a container often is neither.
//
//   lo      127.0.0.1, ::1, fd00::1, fd00::2       with a route for IPv6 multicast
//   wire0   10.77.0.1, fd77::1, fe80::7            one end of a cable; multicast it sends, it hears

import { spawn } from 'node:child_process';
import { basename } from 'node:path';
import assert from 'node:assert/strict';
import test from 'node:test';

/** What a file that runs inside finds in its environment. */
const INSIDE = 'BACKCAST_TEST_NAMESPACE';
const SETUP = `set -e
ip link set lo up
ip -6 addr add fd00::1/128 dev lo
ip -6 addr add fd00::2/128 dev lo
ip -6 route add local ff00::/8 dev lo table local
ip link add wire0 type veth peer name wire1
for name in wire0 wire1; do ip link set $name addrgenmode none; ip link set $name up; done
ip addr add 10.77.0.1/24 dev wire0
ip -6 addr add fd77::1/64 dev wire0 nodad
ip -6 addr add fe80::7/64 dev wire0 nodad
exec "$@"`;
const WAYS: readonly (readonly string[])[] = [['--net'], ['--user', '--map-root-user', '--net']];
const INSIDE_MS_MAX = 120_000;

/** A test file that is run in a network of its own. */
export interface InsideFile {
  /** `import.meta.filename`. */
  readonly file: string;
  /** Makes the tests, which count as one outside. */
  readonly define: () => void;
  /** What can be tested where no such network can be made. */
  readonly otherwise: () => Promise<void>;
  /** Starts what has to be outside, and gives what the inside finds in its environment. */
  readonly surroundings?: (resources: AsyncDisposableStack) => Promise<Record<string, string>>;
}

/** Runs the test file again in a network of its own, and there its tests. */
export function testInNamespace({ file, define, otherwise, surroundings }: InsideFile): void {
  if (process.env[INSIDE] !== undefined) {
    define();
    return;
  }
  const name = `in a network of its own: ${basename(file)}`;
  test(name, { timeout: INSIDE_MS_MAX }, async (context) => {
    const way = await possibleWay();
    if (way === undefined) {
      context.diagnostic('no network namespace can be made here');
      await otherwise();
      return;
    }
    await using resources = new AsyncDisposableStack();
    const variables = (await surroundings?.(resources)) ?? {};
    const command = [process.execPath, '--test-reporter=spec', file];
    const { code, output } = await run(way, command, variables);
    assert.equal(code, 0, output);
    const passed = Number(/^ℹ pass (\d+)$/m.exec(output)?.[1] ?? 0);
    assert.ok(passed > 0, `tests ran inside:\n${output}`);
    context.diagnostic(`${passed} tests passed inside`);
  });
}

async function possibleWay(): Promise<readonly string[] | undefined> {
  for (const way of WAYS) if ((await run(way, ['true'])).code === 0) return way;
  return undefined;
}

/** Runs a program in a new namespace; code −1 if it cannot even be started. */
async function run(
  way: readonly string[],
  command: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number; readonly output: string }> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn('unshare', [...way, 'sh', '-c', SETUP, 'sh', ...command], {
    env: { ...env, ...variables, [INSIDE]: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: INSIDE_MS_MAX,
    killSignal: 'SIGKILL',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  return await new Promise((resolve) => {
    child.once('error', () => resolve({ code: -1, output }));
    child.once('close', (code) => resolve({ code: code ?? -1, output }));
  });
}
