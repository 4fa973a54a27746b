// The parts of Backcast, the floor each stands on, and which files must be pure. ARCHITECTURE.md
// draws the same table for people; a test holds that the two agree.

/** The floor of every part; a part may import parts of lower floors, through their mod.ts. */
export const FLOORS = {
  base: 0,
  'multicast/wire': 1,
  'multicast/core': 2,
  'multicast/udp': 3,
  'multicast/metrics': 4,
  'registry/directory': 2,
  registry: 3,
  config: 3,
  'archive/segment': 3,
  'client/stream': 4,
  migrations: 4,
  archive: 4,
  client: 5,
  ingest: 5,
  'replay-api': 6,
  console: 7,
  sim: 8,
  bench: 8,
  cli: 9,
  test: 10,
} as const;

/** The name of a part: the folder it lives in. */
export type Part = keyof typeof FLOORS;

/** Imports within one floor, each with its reason. */
const SIDEWAYS: Readonly<Record<string, string>> = {
  'archive -> migrations': 'the archive runs its own migrations; they know nothing of the archive',
};

/** The part that `path` belongs to, or undefined for files outside of all parts. */
export function partOf(path: string): Part | undefined {
  const folders = path.split('/').slice(0, -1);
  const two = folders.slice(0, 2).join('/');
  const one = folders[0] ?? '';
  return isPart(two) ? two : isPart(one) ? one : undefined;
}

/** Whether code of `from` may import code of `to`. */
export function mayImport(from: Part, to: Part): boolean {
  return from === to || FLOORS[to] < FLOORS[from] || `${from} -> ${to}` in SIDEWAYS;
}

/** Whether the file must touch no clock, timer, socket, randomness nor anything of Node. */
export function isPure(path: string): boolean {
  if (!path.endsWith('.ts')) return false;
  if (/^(base|multicast\/wire|multicast\/core|archive\/segment|client\/stream)\//.test(path))
    return true;
  return /^(client\/(merge|catch-up)|ingest\/(batch-losses|batcher|session-ledger))[^/]*\.ts$/.test(
    path,
  );
}

/** Whether the file is a test or serves tests only. */
export function isTestCode(path: string): boolean {
  return path.startsWith('test/');
}

/** Packages and Node modules that only some parts may import, so that each has one door. */
export const LIBRARY_DOORS: Readonly<Record<string, readonly Part[]>> = {
  'node:dgram': ['multicast/udp'],
  'node:worker_threads': ['ingest'],
  'node:child_process': ['archive', 'cli'],
  pg: ['archive'],
  'pg-copy-streams': ['archive'],
  kysely: ['archive', 'migrations'],
  ioredis: ['registry'],
  fastify: ['replay-api'],
  commander: ['cli'],
  yaml: ['config'],
};

function isPart(name: string): name is Part {
  return Object.hasOwn(FLOORS, name);
}
