// A network of a test's own: two hosts, which are network namespaces joined by a cable (a veth
// pair), so that multicast is real, nothing leaves the machine and the kernel can drop packets by
// their PGM type. Needs root and Linux. What a killed test leaves behind, the next one removes.

import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { delimiter } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { RunningCommand } from './cli.ts';
import { fetchDebianPackages, findProgram, lastLine } from './debian-packages.ts';

const CACHE = fileURLToPath(new URL('../../.cache/network', import.meta.url));
const NAMESPACES = '/run/netns';
/** bc-PID-NUMBER-SIDE */
const NAME = /^bc-(\d+)-\d+-[ab]$/;
const run = promisify(execFile);
let madeCount = 0;

/** PGM types by what tests drop. */
const PGM_TYPES = { odata: 0x04, rdata: 0x05, nak: 0x08, ncf: 0x0a };

/** Packets that a host does not hear. */
export interface Drop {
  /** Of this type; any packet of the port otherwise. */
  readonly type?: keyof typeof PGM_TYPES;
  readonly percent: number;
  /**
   * `counted` drops exactly every n-th packet; `by-number` those of some packet numbers, the same
   * ones in each run that numbers alike, and neighbours among them; `random` whatever comes.
   */
  readonly how: 'counted' | 'by-number' | 'random';
}

/** One end of the cable. */
export interface Host {
  readonly address: string;
  /** Starts a program on this host; it dies with this process. */
  start(command: string, args: readonly string[], env?: Record<string, string>): RunningCommand;
  /** From now on drops these of the packets to the UDP ports, and nothing else. */
  drop(ports: readonly number[], drops: readonly Drop[]): Promise<void>;
  /** How many packets each of the last drops has dropped. */
  droppedCounts(): Promise<number[]>;
  /** How many sockets of this host have joined `group`. */
  joinedCount(group: string): Promise<number>;
}

/** Two hosts. Disposing removes them with every process they run. */
export interface TestNetwork extends AsyncDisposable {
  readonly a: Host;
  readonly b: Host;
}

/** Makes the network. Throws one line that says what is missing where it cannot be made. */
export async function createNetwork(): Promise<TestNetwork> {
  if (process.getuid?.() !== 0) {
    throw new Error(
      'these tests make network namespaces and need root: ' +
        "run them with `sudo -E env PATH=$PATH node --test 'test/interop/*.test.ts'`",
    );
  }
  const tools = await findTools();
  await sweep(tools);
  madeCount += 1;
  const names = ['a', 'b'].map((side) => `bc-${process.pid}-${madeCount}-${side}`);
  const running = new Set<RunningCommand>();
  const remove = async (): Promise<void> => {
    for (const command of running) command.kill('SIGKILL');
    for (const name of names) await tools.ip('netns', 'del', name).catch(() => undefined);
  };
  try {
    await lay(tools, names);
  } catch (cause) {
    await remove();
    throw new Error(`no network for the tests: ${lastLine(cause)}`, { cause });
  }
  const [a = '', b = ''] = names;
  return {
    a: hostOf(tools, a, addressOf(0), running),
    b: hostOf(tools, b, addressOf(1), running),
    [Symbol.asyncDispose]: remove,
  };
}

/** Programs that need root, and what their environment must say. */
interface Tools {
  readonly ip: (...args: readonly string[]) => Promise<string>;
  readonly nft: (name: string, input: string, ...args: readonly string[]) => Promise<string>;
  readonly ipPath: string;
  /** LD_LIBRARY_PATH that they need; empty where they are installed. */
  readonly libraryPath: string;
}

async function findTools(): Promise<Tools> {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  let [ip, nft] = [findProgram('ip', folders), findProgram('nft', folders)];
  let libraryPath = '';
  if (ip === undefined || nft === undefined) {
    const packages = await fetchDebianPackages({
      names: ['iproute2', 'nftables'],
      cacheFolder: CACHE,
    }).catch((cause: unknown) => {
      throw new Error(`run \`apt-get install iproute2 nftables\` (${lastLine(cause)})`, { cause });
    });
    ip ??= findProgram('ip', packages.binFolders);
    nft ??= findProgram('nft', packages.binFolders);
    libraryPath = packages.libraryPath;
  }
  const [ipPath, nftPath] = [ip ?? 'ip', nft ?? 'nft'];
  const env = { ...process.env, ...libraries(libraryPath, process.env['LD_LIBRARY_PATH']) };
  return {
    ipPath,
    libraryPath,
    ip: async (...args) => (await run(ipPath, args, { env })).stdout,
    nft: async (name, input, ...args) => {
      const child = run(ipPath, ['netns', 'exec', name, nftPath, ...args], { env });
      child.child.stdin?.on('error', () => undefined).end(input);
      return (await child).stdout;
    },
  };
}

/** LD_LIBRARY_PATH of these paths, unless all are empty. */
function libraries(...paths: readonly (string | undefined)[]): Record<string, string> {
  const given = paths.filter((path) => path !== undefined && path !== '');
  return given.length === 0 ? {} : { LD_LIBRARY_PATH: given.join(delimiter) };
}

function addressOf(index: number): string {
  return `10.9.0.${index + 1}`;
}

async function lay({ ip }: Tools, [a = '', b = '']: readonly string[]): Promise<void> {
  for (const name of [a, b]) await ip('netns', 'add', name);
  await ip('-n', a, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', b);
  for (const [index, name] of [a, b].entries()) {
    await ip('-n', name, 'address', 'add', `${addressOf(index)}/24`, 'dev', 'eth0');
    await ip('-n', name, 'link', 'set', 'lo', 'up');
    await ip('-n', name, 'link', 'set', 'eth0', 'up');
    await ip('-n', name, 'route', 'add', '224.0.0.0/4', 'dev', 'eth0');
  }
}

/** Removes the networks of processes that are gone. */
async function sweep({ ip }: Tools): Promise<void> {
  const names = existsSync(NAMESPACES) ? await readdir(NAMESPACES) : [];
  for (const name of names) {
    const pid = NAME.exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    await ip('netns', 'del', name).catch(() => undefined);
  }
}

function hostOf(tools: Tools, name: string, address: string, running: Set<RunningCommand>): Host {
  return {
    address,
    start: (command, args, env = {}) => {
      const { PATH = '', HOME = '/' } = process.env;
      const dying = ['setpriv', '--pdeathsig', 'KILL', command, ...args];
      const child = spawn(tools.ipPath, ['netns', 'exec', name, ...dying], {
        cwd: '/',
        env: { PATH, HOME, ...env, ...libraries(env['LD_LIBRARY_PATH'], tools.libraryPath) },
        stdio: 'pipe',
      });
      child.stdin.on('error', () => undefined);
      running.add(child);
      child.once('exit', () => running.delete(child));
      return child;
    },
    drop: async (ports, drops) => {
      await tools.nft(name, rulesOf(ports, drops), '-f', '-');
    },
    droppedCounts: async () => {
      const rules = await tools.nft(name, '', 'list', 'ruleset');
      return [...rules.matchAll(/counter packets (\d+)/g)].map((match) => Number(match[1]));
    },
    joinedCount: async (group) =>
      joinedCountIn(await tools.ip('netns', 'exec', name, 'cat', '/proc/net/igmp'), group),
  };
}

/** The type is byte 4 of the PGM header, the packet number bytes 16 to 19; UDP's has 8 bytes. */
function rulesOf(ports: readonly number[], drops: readonly Drop[]): string {
  const rules = drops.map(({ type, percent, how }) => {
    const what = type === undefined ? '' : `@th,96,8 ${PGM_TYPES[type]}`;
    const which = {
      counted: `numgen inc mod ${Math.round(100 / percent)} 0`,
      'by-number': `jhash @th,192,32 mod 100 seed 1 < ${percent}`,
      random: `numgen random mod 100 < ${percent}`,
    }[how];
    return `udp dport { ${ports.join(', ')} } ${what} ${which} counter drop`;
  });
  const chain = ['type filter hook input priority 0', ...rules].join('\n');
  return `flush ruleset\ntable inet loss {\nchain input {\n${chain}\n}\n}\n`;
}

/** From /proc/net/igmp, which has a group as eight hexadecimal digits, lowest byte first. */
function joinedCountIn(table: string, group: string): number {
  const bytes = group.split('.').toReversed().map(Number);
  const hex = bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const found = new RegExp(`^\\s+${hex}\\s+(\\d+)`, 'im').exec(table);
  return Number(found?.[1] ?? 0);
}
