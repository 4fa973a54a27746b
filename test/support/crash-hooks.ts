// Loaded into a process before anything else (`node --import`, which worker threads inherit), this
// numbers what the process does to the world: datagrams it sends, what it does to files, each write
// to its database and each answer that comes back. It writes the list down, or kills the process
// right before or after one of them. The program itself knows nothing of it.
//
//   CRASH_DATABASE_PORT   connections to this port are the database's
//   CRASH_TRACE           file to which every point is added: THREAD TAB KIND TAB SIDES
//   CRASH_AT              {"thread","kind","ordinal","side"}: where to die

import dgram from 'node:dgram';
import fs from 'node:fs';
import files from 'node:fs/promises';
import nodeModule from 'node:module';
import net from 'node:net';
import { isMainThread } from 'node:worker_threads';
import { AnswerLabels, StatementLabels } from './postgres-labels.ts';

type Side = 'before' | 'after';

const THREAD = isMainThread ? 'main' : 'shard';
const DATABASE_PORT = Number(process.env['CRASH_DATABASE_PORT']);
const TRACE = process.env['CRASH_TRACE'];
const AT = JSON.parse(process.env['CRASH_AT'] ?? 'null') as {
  readonly thread: string;
  readonly kind: string;
  readonly ordinal: number;
  readonly side: Side;
} | null;

/** Who has imported a function of Node by name has the new one after this. */
const updateNamedImports = nodeModule['syncBuiltinESMExports'];

const counts = new Map<string, number>();
const traceFile = TRACE === undefined ? undefined : fs.openSync(TRACE, 'a');
const writeTrace = fs.writeSync;

/** Where a name of a file would differ from run to run, its ending says enough. */
const FILE_CALLS = ['open', 'rename', 'rm', 'mkdir', 'unlink', 'writeFile'] as const;
const HANDLE_CALLS = ['write', 'writev', 'truncate', 'datasync', 'sync'] as const;

/** Counts the point, and dies here if this is the place. Gives what to call when it is done. */
function reach(kind: string, sides: 'both' | 'before' = 'both'): () => void {
  const ordinal = (counts.get(kind) ?? 0) + 1;
  counts.set(kind, ordinal);
  if (traceFile !== undefined) writeTrace(traceFile, `${THREAD}\t${kind}\t${sides}\n`);
  const dieAt = (side: Side): void => {
    if (AT?.thread !== THREAD || AT.kind !== kind) return;
    if (AT.ordinal === ordinal && AT.side === side) process.kill(process.pid, 'SIGKILL');
  };
  dieAt('before');
  return () => dieAt('after');
}

type Call = (this: unknown, ...args: unknown[]) => unknown;

/** Replaces `owner[name]` by one that counts `kindOf` its arguments; undefined is let pass. */
function wrap(
  owner: object,
  name: string,
  kindOf: (self: unknown, args: readonly unknown[]) => string | undefined,
  sides: 'both' | 'before' = 'both',
): void {
  const calls = owner as Record<string, Call>;
  const original = calls[name];
  if (original === undefined) throw new Error(`there is no ${name} to count any more`);
  calls[name] = function wrapped(...args) {
    const kind = kindOf(this, args);
    if (kind === undefined) return original.apply(this, args);
    const leave = reach(kind, sides);
    const result = original.apply(this, args);
    if (result instanceof Promise) return result.finally(leave);
    leave();
    return result;
  };
}

async function wrapFiles(): Promise<void> {
  const handle = await files.open(import.meta.filename, 'r');
  const handles = Object.getPrototypeOf(handle) as object;
  await handle.close();
  for (const name of HANDLE_CALLS) wrap(handles, name, () => `file ${name}`);
  for (const name of FILE_CALLS)
    wrap(files, name, (_, [path, flags]) => {
      if (name === 'open' && (flags === undefined || flags === 'r')) return undefined;
      return `file ${name} ${/\.[a-z-]+$/.exec(String(path))?.[0] ?? 'folder'}`;
    });
  updateNamedImports();
}

function wrapDatagrams(): void {
  const typeAt = 4;
  wrap(dgram.Socket.prototype, 'send', (_, [bytes]) => {
    return bytes instanceof Uint8Array ? `udp ${bytes[typeAt]}` : undefined;
  });
}

function isDatabase(self: unknown): self is net.Socket {
  return self instanceof net.Socket && self.remotePort === DATABASE_PORT;
}

function wrapDatabase(): void {
  const statements = new WeakMap<net.Socket, StatementLabels>();
  const answers = new WeakMap<net.Socket, AnswerLabels>();
  const said = (self: unknown, chunks: readonly Uint8Array[]): string | undefined => {
    if (!isDatabase(self)) return undefined;
    const labels = statements.get(self) ?? new StatementLabels();
    statements.set(self, labels);
    return `to database: ${labels.take(Buffer.concat(chunks))}`;
  };
  wrap(net.Socket.prototype, '_write', (self, [chunk]) => said(self, [chunk as Uint8Array]));
  wrap(net.Socket.prototype, '_writev', (self, [chunks]) =>
    said(
      self,
      (chunks as { readonly chunk: Uint8Array }[]).map(({ chunk }) => chunk),
    ),
  );
  wrap(
    net.Socket.prototype,
    'push',
    (self, [chunk]) => {
      if (!isDatabase(self) || !(chunk instanceof Uint8Array)) return undefined;
      const labels = answers.get(self) ?? new AnswerLabels();
      answers.set(self, labels);
      return `from database: ${labels.take(chunk)}`;
    },
    'before',
  );
}

wrapDatagrams();
wrapDatabase();
await wrapFiles();
