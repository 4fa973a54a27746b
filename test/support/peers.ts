// The peers of other implementations that tests run: test/interop/peers, compiled against Debian's
// OpenPGM and ZeroMQ when their sources have changed. Uses the machine's C compiler if it has one,
// else tcc from Debian's packages. Fetched and compiled files stay in .cache/interop.

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { ChannelAddress } from '#base/mod.ts';
import type { RunningCommand } from './cli.ts';
import { fetchDebianPackages, findProgram, lastLine } from './debian-packages.ts';
import type { UnpackedPackages } from './debian-packages.ts';
import type { Host } from './network.ts';
import { until } from './until.ts';

const SOURCES = fileURLToPath(new URL('../interop/peers', import.meta.url));
const CACHE = fileURLToPath(new URL('../../.cache/interop', import.meta.url));
const FILES = ['peer.h', 'openpgm-peer.c', 'zmq-peer.c'];
/** The longest that any peer takes for what a test asks of it. */
const LINE_MS_MAX = 40_000;
const run = promisify(execFile);

/** What a peer says in the end. */
export interface PeerReport {
  readonly received: number;
  /** How often OpenPGM said that something is lost for good. */
  readonly resets: number;
  /** Messages that were not the next one of their sender, or not as it sent them. */
  readonly wrong: number;
  /** The first of them, for a human. */
  readonly firstWrong: string;
  /** By sender, the number of the first message that was received. */
  readonly firsts: readonly number[];
}

interface PeerLine extends PeerReport {
  readonly kind: 'ready' | 'sent' | 'progress' | 'done' | 'failed';
  readonly what?: string;
}

/** A peer that runs. */
export interface Peer {
  /** Resolves when a sender has sent everything; it goes on serving repairs. */
  sent(): Promise<void>;
  /** Resolves when a receiver has had `count` messages, in steps of a hundred. */
  received(count: number): Promise<void>;
  /** What a receiver reports when it has had all that it was told to wait for. */
  report(): Promise<PeerReport>;
  /** Tells it to end, and waits; the report of what it has had so far. */
  end(): Promise<PeerReport>;
}

/** The group, and its port where it is not the program's own default. */
export type PeerAddress = Pick<ChannelAddress, 'group' | 'port'>;
/** Settings by name, as the sources of the peers read them. */
export type PeerSettings = Readonly<Record<string, string | number | readonly number[]>>;

/** OpenPGM's end that sends on `address`. */
export function startOpenpgmSender(
  host: Host,
  address: PeerAddress,
  settings: PeerSettings,
): Promise<Peer> {
  return startPeer(host, ['openpgm-peer', 'send'], {
    ...openpgmSettings(host, address),
    ...settings,
  });
}

/** OpenPGM's end that receives, once it has joined. */
export async function startOpenpgmReceiver(
  host: Host,
  address: PeerAddress,
  settings: PeerSettings,
): Promise<Peer> {
  const given = { ...openpgmSettings(host, address), ...settings };
  return await joined(host, address, () => startPeer(host, ['openpgm-peer', 'receive'], given));
}

/** ZeroMQ's end that publishes on `address`. */
export function startZmqPublisher(
  host: Host,
  address: PeerAddress,
  settings: PeerSettings,
): Promise<Peer> {
  return startPeer(host, ['zmq-peer', 'publish'], {
    endpoint: endpointOf(host, address),
    ...settings,
  });
}

/** ZeroMQ's end that subscribes, once it has joined. */
export async function startZmqSubscriber(
  host: Host,
  address: PeerAddress,
  settings: PeerSettings,
): Promise<Peer> {
  const given = { endpoint: endpointOf(host, address), ...settings };
  return await joined(host, address, () => startPeer(host, ['zmq-peer', 'subscribe'], given));
}

function openpgmSettings({ address }: Host, { group, port }: PeerAddress): PeerSettings {
  return { network: `${address};${group}`, port };
}

function endpointOf({ address }: Host, { group, port }: PeerAddress): string {
  return `epgm://${address};${group}:${port}`;
}

async function joined(
  host: Host,
  { group }: PeerAddress,
  start: () => Promise<Peer>,
): Promise<Peer> {
  const before = await host.joinedCount(group);
  const peer = await start();
  const hasJoined = async (): Promise<boolean> => (await host.joinedCount(group)) > before;
  await until('the peer has joined', hasJoined, LINE_MS_MAX);
  return peer;
}

async function startPeer(
  host: Host,
  [program, role]: readonly [string, string],
  settings: PeerSettings,
): Promise<Peer> {
  const { folder, libraryPath } = await compiledPeers();
  const given = Object.entries(settings).map(([name, value]) => `${name}=${String(value)}`);
  const command = host.start(join(folder, program), [role, ...given], {
    LD_LIBRARY_PATH: libraryPath,
  });
  const line = linesOf(`${program} ${role}`, command);
  return {
    sent: async () => void (await line(({ kind }) => kind === 'sent')),
    received: async (count) =>
      void (await line(({ kind, received }) => kind === 'progress' && received >= count)),
    report: () => line(({ kind }) => kind === 'done'),
    end: async () => {
      command.stdin.end();
      return await line(({ kind }) => kind === 'done');
    },
  };
}

/** Waits for a line of the peer, said already or yet to come; fails if it ends without. */
function linesOf(
  name: string,
  command: RunningCommand,
): (isWanted: (line: PeerLine) => boolean) => Promise<PeerLine> {
  const lines: PeerLine[] = [];
  const waiting = new Set<() => void>();
  let complaint = '';
  let end: string | undefined;
  const wake = (): void => {
    for (const look of waiting) look();
  };
  const hasSaid = (): string =>
    `${name} has said ${lines
      .slice(-3)
      .map((line) => JSON.stringify(line))
      .join(', ')}`;
  command.stderr.on('data', (text: Buffer) => (complaint += text.toString()));
  createInterface({ input: command.stdout }).on('line', (text) => {
    lines.push(JSON.parse(text) as PeerLine);
    wake();
  });
  command.once('close', (code, signal) => {
    end = `${name} ended with ${signal ?? `exit code ${code}`}: ${complaint}`;
    wake();
  });
  return (isWanted) =>
    new Promise((resolve, reject) => {
      const giveUp = setTimeout(() => {
        waiting.delete(look);
        reject(new Error(`not within ${LINE_MS_MAX} ms: ${hasSaid()}`));
      }, LINE_MS_MAX);
      const look = (): void => {
        const found = lines.find(isWanted);
        const failed = lines.find(({ kind }) => kind === 'failed');
        if (found === undefined && failed === undefined && end === undefined) return;
        waiting.delete(look);
        clearTimeout(giveUp);
        if (found !== undefined) resolve(found);
        else reject(new Error(failed === undefined ? end : `${name}: ${failed.what}`));
      };
      waiting.add(look);
      look();
    });
}

/** Where they are, and the LD_LIBRARY_PATH that they need. */
export interface CompiledPeers {
  readonly folder: string;
  readonly libraryPath: string;
}

let compiled: Promise<CompiledPeers> | undefined;

/** The peers as programs, fetched and compiled unless they are there. */
export function compiledPeers(): Promise<CompiledPeers> {
  compiled ??= compilePeers().catch((cause: unknown) => {
    throw new Error(
      'no peers for the tests: `apt-get install gcc libpgm-dev libzmq3-dev` may help ' +
        `(${lastLine(cause)})`,
      { cause },
    );
  });
  return compiled;
}

async function compilePeers(): Promise<CompiledPeers> {
  const libraries = await fetchDebianPackages({
    names: ['libpgm-dev', 'libzmq3-dev'],
    cacheFolder: join(CACHE, 'libraries'),
  });
  const { libraryPath } = libraries;
  const folder = join(CACHE, `peers-${await sourceHash()}`);
  if (existsSync(folder)) return { folder, libraryPath };
  await mkdir(CACHE, { recursive: true });
  const work = await mkdtemp(join(CACHE, 'compile-'));
  try {
    const compile = await findCompiler(libraries);
    await compile('openpgm-peer', 'pgm', work);
    await compile('zmq-peer', 'zmq', work);
    await rename(work, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return { folder, libraryPath };
}

async function sourceHash(): Promise<string> {
  const hash = createHash('sha256').update(process.arch);
  for (const name of FILES) hash.update(await readFile(join(SOURCES, name)));
  return hash.digest('hex').slice(0, 16);
}

type Compile = (name: string, library: string, into: string) => Promise<void>;

async function findCompiler(libraries: UnpackedPackages): Promise<Compile> {
  const cc = findProgram('cc') ?? findProgram('gcc');
  const include = join(libraries.root, 'usr/include');
  const headers = [`-I${join(include, 'pgm-5.3')}`, `-I${include}`];
  const linking = libraries.libraryPath.split(':').map((folder) => `-L${folder}`);
  if (cc !== undefined) {
    const flags = ['-O2', '-Wall', '-Wextra', '-Wno-unused-function', ...headers];
    const last = [...linking, '-Wl,--allow-shlib-undefined'];
    return async (name, library, into) => {
      const source = join(SOURCES, `${name}.c`);
      await run(cc, [...flags, source, ...last, `-l${library}`, '-o', join(into, name)]);
    };
  }
  const tcc = await findTcc();
  return async (name, library, into) => {
    const source = join(SOURCES, `${name}.c`);
    const out = ['-o', join(into, name)];
    await tcc([...headers, source, ...linking, `-l${library}`, ...out]);
  };
}

/**
 * tcc with the headers and the start code of libc, and the libc of the machine. It cannot read one
 * of OpenPGM's headers, which is left out.
 */
async function findTcc(): Promise<(args: readonly string[]) => Promise<void>> {
  const { root, binFolders, libraryPath } = await fetchDebianPackages({
    names: ['tcc', 'libc6-dev', 'linux-libc-dev'],
    cacheFolder: join(CACHE, 'tcc'),
  });
  const program = findProgram('tcc', binFolders);
  const [library] = libraryPath.split(':');
  if (program === undefined || library === undefined) throw new Error(`no tcc in ${root}`);
  const machine = basename(library);
  const include = join(root, 'usr/include');
  const folders = [join(library, 'tcc/include'), include, join(include, machine)];
  const flags = ['-nostdinc', ...folders.map((folder) => `-I${folder}`), '-D__PGM_MSGV_H__'];
  const start = ['crt1.o', 'crti.o'].map((name) => join(library, name));
  const libc = [join('/lib', machine, 'libc.so.6'), join(library, 'libc_nonshared.a')];
  const end = [...libc, join(library, 'tcc/libtcc1.a'), join(library, 'crtn.o')];
  return async (args) => {
    const env = { ...process.env, LD_LIBRARY_PATH: libraryPath };
    await run(program, [...flags, '-nostdlib', ...start, ...args, ...end], { env });
  };
}
