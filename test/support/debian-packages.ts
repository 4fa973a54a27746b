// Programs for tests from Debian's packages, unpacked without root into a folder of the caller's,
// never installed. Packages that the machine lacks for them come along; what it has is used.

import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const OUTPUT_BYTES_MAX = 16 * 1_048_576;
/** Never unpacked: a libc serves only together with the loader of its own version. */
const OF_THE_SYSTEM = /^(libc6|libc-bin)\b/;
const run = promisify(execFile);

/** What to fetch, and where the unpacked files stay for the next run. */
export interface PackageRequest {
  readonly names: readonly string[];
  readonly cacheFolder: string;
}

/** The unpacked packages. */
export interface UnpackedPackages {
  /** The folder that stands for `/`. */
  readonly root: string;
  /** Folders of programs, as in PATH. */
  readonly binFolders: readonly string[];
  /** Value of LD_LIBRARY_PATH for these programs. */
  readonly libraryPath: string;
}

/** The program's path if a folder of PATH, or of `folders`, has it. */
export function findProgram(
  name: string,
  folders: readonly string[] = (process.env['PATH'] ?? '').split(delimiter),
): string | undefined {
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * The packages and those that they need and the machine lacks, downloaded and unpacked unless
 * `cacheFolder` has them already. Processes may call it at once, and a run that is interrupted
 * leaves nothing that is taken for complete. Fails where there is no apt or no way to its servers.
 */
export async function fetchDebianPackages(request: PackageRequest): Promise<UnpackedPackages> {
  const root = join(request.cacheFolder, `${process.platform}-${process.arch}`);
  if (!existsSync(root)) await unpackPackages(request, root);
  const binFolders = ['usr/bin', 'usr/sbin', 'bin', 'sbin'].map((name) => join(root, name));
  const libraryFolders = await Promise.all(
    ['usr/lib', 'lib'].map(async (name) => await machineFolders(join(root, name))),
  );
  return { root, binFolders, libraryPath: libraryFolders.flat().join(delimiter) };
}

/** The folders for one machine's kind, such as x86_64-linux-gnu. */
async function machineFolders(path: string): Promise<string[]> {
  const names = existsSync(path) ? await readdir(path) : [];
  return names.filter((name) => name.includes('-linux-')).map((name) => join(path, name));
}

/**
 * Fetches and unpacks beside `target`, then renames: processes that do this at once each make their
 * own, and the first that is done wins.
 */
async function unpackPackages(request: PackageRequest, target: string): Promise<void> {
  await mkdir(request.cacheFolder, { recursive: true });
  const work = await mkdtemp(join(request.cacheFolder, 'fetch-'));
  try {
    await download(work, request.names);
    const debs = (await readdir(work)).filter((name) => name.endsWith('.deb'));
    for (const deb of debs) await run('dpkg-deb', ['-x', join(work, deb), join(work, 'root')]);
    await rename(join(work, 'root'), target).catch((error: unknown) => {
      if (!existsSync(target)) throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * With the machine's own package lists if they are there and of today, else with lists of our own,
 * which needs no root.
 */
async function download(work: string, names: readonly string[]): Promise<void> {
  try {
    await downloadWith([], work, names);
  } catch {
    const own = await ownPackageLists(work);
    await apt([...own, 'update'], work);
    await downloadWith(own, work, names);
  }
}

async function downloadWith(
  settings: readonly string[],
  work: string,
  names: readonly string[],
): Promise<void> {
  const installing = ['install', '--simulate', '--no-install-recommends', ...names];
  const plan = await apt([...settings, ...installing], work);
  const missing = [...plan.matchAll(/^Inst (\S+)/gm)].map((match) => match[1] ?? '');
  // Those asked for are not in the plan where they are installed, though out of PATH's reach.
  const wanted = new Set([...names, ...missing.filter((name) => !OF_THE_SYSTEM.test(name))]);
  await apt([...settings, 'download', ...wanted], work);
}

async function apt(options: readonly string[], folder: string): Promise<string> {
  const env = { ...process.env, LC_ALL: 'C' };
  const { stdout } = await run('apt-get', options, {
    cwd: folder,
    env,
    maxBuffer: OUTPUT_BYTES_MAX,
  });
  return stdout;
}

async function ownPackageLists(work: string): Promise<string[]> {
  await mkdir(join(work, 'lists/partial'), { recursive: true });
  await mkdir(join(work, 'archives/partial'), { recursive: true });
  const settings = [
    `Dir::State::lists=${join(work, 'lists')}`,
    `Dir::Cache=${work}`,
    `Dir::Cache::archives=${join(work, 'archives')}`,
    'APT::Sandbox::User=',
    'Debug::NoLocking=1',
  ];
  return settings.flatMap((setting) => ['-o', setting]);
}

/** The last line of what went wrong, for a message of one line. */
export function lastLine(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.at(-1) ?? text;
}
