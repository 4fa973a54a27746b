// A network of a test file's own: a network namespace of the kernel, in which the file runs once
// more. There IPv6 multicast can be had, and addresses taken, without touching the machine. Needs
// to be root, or a kernel that lets anybody make namespaces; a container often is neither.
//
// Or a disk of its own, which is small: a tmpfs at the path that `smallDisk()` gives.
//
//   lo      127.0.0.1, ::1, fd00::1, fd00::2       with a route for IPv6 multicast
//   wire0   10.77.0.1, fd77::1, fe80::7            one end of a cable; multicast it sends, it hears

import { spawn } from 'node:child_process';
import { basename } from 'node:path';
import assert from 'node:assert/strict';
import test from 'node:test';
import { createTestFolder } from './folder.ts';

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
const DISK_SETUP = `set -e
mount -t tmpfs -o size="$BACKCAST_TEST_DISK_BYTES" tmpfs "$BACKCAST_TEST_DISK"
exec "$@"`;
const KINDS = {
  network: { setup: SETUP, flags: ['--net'] },
  disk: { setup: DISK_SETUP, flags: ['--mount'] },
} as const;
/** As root, or as anybody whom the kernel lets. */
const WAYS: readonly (readonly string[])[] = [[], ['--user', '--map-root-user']];
const INSIDE_MS_MAX = 120_000;

/** A test file that is run in a network of its own. */
export interface InsideFile {
  /** `import.meta.filename`. */
  readonly file: string;
  /** Makes the tests, which count as one outside. */
  readonly define: () => void;
  /** What it has of its own there; a network by default. */
  readonly kind?: keyof typeof KINDS;
  /** What can be tested where no such network can be made. */
  readonly otherwise: () => Promise<void>;
  /** Starts what has to be outside, and gives what the inside finds in its environment. */
  readonly surroundings?: (resources: AsyncDisposableStack) => Promise<Record<string, string>>;
}

/** Where the small disk is, inside. */
export function smallDisk(): string {
  return process.env['BACKCAST_TEST_DISK'] ?? assert.fail('there is no small disk');
}

/** What a file finds in its environment that has a disk of `bytes` of its own inside. */
export async function diskOf(
  resources: AsyncDisposableStack,
  bytes: number,
): Promise<Record<string, string>> {
  const { path } = resources.use(await createTestFolder());
  return { BACKCAST_TEST_DISK: path, BACKCAST_TEST_DISK_BYTES: String(bytes) };
}

/** Runs the test file again in a network, or with a disk, of its own, and there its tests. */
export function testInNamespace(inside: InsideFile): void {
  const { file, define, otherwise, surroundings, kind = 'network' } = inside;
  if (process.env[INSIDE] !== undefined) {
    define();
    return;
  }
  const name = `in a ${kind} of its own: ${basename(file)}`;
  test(name, { timeout: INSIDE_MS_MAX }, async (context) => {
    await using resources = new AsyncDisposableStack();
    const variables = (await surroundings?.(resources)) ?? {};
    const way = await possibleWay(kind, variables);
    if (way === undefined) {
      context.diagnostic(`no ${kind} namespace can be made here: it needs root`);
      await otherwise();
      return;
    }
    const command = [process.execPath, '--test-reporter=spec', file];
    const { code, output } = await run(kind, way, command, variables);
    assert.equal(code, 0, output);
    const passed = Number(/^ℹ pass (\d+)$/m.exec(output)?.[1] ?? 0);
    assert.ok(passed > 0, `tests ran inside:\n${output}`);
    context.diagnostic(`${passed} tests passed inside`);
  });
}

async function possibleWay(
  kind: keyof typeof KINDS,
  variables: Readonly<Record<string, string>>,
): Promise<readonly string[] | undefined> {
  for (const way of WAYS) if ((await run(kind, way, ['true'], variables)).code === 0) return way;
  return undefined;
}

/** Runs a program in a new namespace; code −1 if it cannot even be started. */
async function run(
  kind: keyof typeof KINDS,
  way: readonly string[],
  command: readonly string[],
  variables: Readonly<Record<string, string>>,
): Promise<{ readonly code: number; readonly output: string }> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { setup, flags } = KINDS[kind];
  const child = spawn('unshare', [...way, ...flags, 'sh', '-c', setup, 'sh', ...command], {
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
