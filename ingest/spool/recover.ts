// Finds what an earlier process has left in the folder of a spool. Where things stand is in the
// files themselves: a file's name is the number of its first entry, and headers, entries and seals
// say how much was durable when they were written. What was and cannot be read is damage; it costs
// itself and nothing else. A file that makes no sense is kept aside.

import {
  FILE_HEADER_BYTES,
  type FileContents,
  type FileHeader,
  readFileHeader,
  scanFile,
} from './entry-format.ts';
import type { SpoolStorage } from './storage.ts';

/** Numbers that were durable and cannot be read any more. */
export interface DamagedRange {
  readonly first: number;
  readonly last: number;
}

/** A file with entries in it. */
export interface FilledFile extends FileHeader {
  readonly name: string;
}

/** What was found. */
export interface Recovered {
  readonly files: FilledFile[];
  readonly damaged: readonly DamagedRange[];
  /** The number that comes next. */
  readonly nextNumber: number;
  /** The names of all files. */
  readonly names: readonly string[];
}

const NAME_DIGITS = 16;
const NAME = /^(\d{16})\.spool$/;
const ASIDE = '.damaged';
/** Files kept aside, for whoever wants to look at them. */
const ASIDE_MAX = 2;

/** Files are named after their first number. */
export function fileName(firstNumber: number): string {
  return `${String(firstNumber).padStart(NAME_DIGITS, '0')}.spool`;
}

/** Keeps a file aside that is not to be written to, nor read, any more. */
export async function setAside(storage: SpoolStorage, name: string): Promise<void> {
  await storage.rename(name, `${name}${ASIDE}`);
}

/** Reads the folder. Rejects with what the disk says if it cannot be listed. */
export async function recover(storage: SpoolStorage, fileBytes: number): Promise<Recovered> {
  const names = await storage.list();
  const found = await Promise.all(
    names
      .filter((name) => NAME.test(name))
      .toSorted()
      .map(async (name) => {
        return {
          name,
          first: firstNumberOf(name),
          header: await headerOf(storage, name, fileBytes),
        };
      }),
  );
  const aside = names.filter((name) => name.endsWith(ASIDE)).toSorted();
  for (const name of aside.slice(0, -ASIDE_MAX)) await storage.remove(name);
  const files: FilledFile[] = [];
  const account = new Account(found[0]?.first ?? 1);
  for (const [index, { name, first, header }] of found.entries()) {
    const next = found[index + 1];
    const provenThrough = next === undefined ? 0 : (next.header?.durableThrough ?? next.first - 1);
    account.begin(first);
    if (header === undefined) await setAside(storage, name);
    else {
      files.push({ ...header, name });
      const contents = await contentsOf(storage, name, header, { fileBytes, provenThrough });
      account.take(contents, next === undefined ? Number.POSITIVE_INFINITY : provenThrough);
    }
    account.end(Math.min(provenThrough, (next?.first ?? Number.POSITIVE_INFINITY) - 1));
  }
  await persistLast(storage, files.at(-1));
  const last = files.at(-1);
  if (last !== undefined && last.firstNumber >= account.nextNumber) {
    // Nothing came into it, and it would stand in the way of the next one of that number.
    files.pop();
    await storage.remove(last.name);
  }
  return { files, damaged: account.damaged, nextNumber: account.nextNumber, names };
}

/** Counts numbers, and notes those that are missing. */
class Account {
  readonly damaged: DamagedRange[] = [];
  nextNumber: number;

  constructor(firstNumber: number) {
    this.nextNumber = firstNumber;
  }

  /** A file begins; numbers that were never durable may be missing in front of it. */
  begin(firstNumber: number): void {
    this.nextNumber = Math.max(this.nextNumber, firstNumber);
  }

  /** What a file holds behind `last` was written again elsewhere. */
  take({ entries, durableThrough }: FileContents, last: number): void {
    for (const { number } of entries) {
      if (number > last) return;
      this.end(number - 1);
      this.nextNumber = number + 1;
    }
    this.end(durableThrough);
  }

  /** Everything through `last` was durable. */
  end(last: number): void {
    if (this.nextNumber > last) return;
    this.damaged.push({ first: this.nextNumber, last });
    this.nextNumber = last + 1;
  }
}

/** The header of a file, or its copy; undefined if neither can be read. */
async function headerOf(
  storage: SpoolStorage,
  name: string,
  fileBytes: number,
): Promise<FileHeader | undefined> {
  const firstNumber = firstNumberOf(name);
  for (const at of [0, fileBytes - FILE_HEADER_BYTES]) {
    const bytes = await storage.read(name, at, FILE_HEADER_BYTES).catch(() => Buffer.alloc(0));
    const header = readFileHeader(bytes);
    if (header?.firstNumber === firstNumber) return header;
  }
  return undefined;
}

/** What a file holds; nothing, if the disk does not give it. */
async function contentsOf(
  storage: SpoolStorage,
  name: string,
  header: FileHeader,
  known: { readonly fileBytes: number; readonly provenThrough: number },
): Promise<FileContents> {
  const { fileBytes, provenThrough } = known;
  const bytes = await storage.read(name, 0, fileBytes).catch(() => Buffer.alloc(0));
  return scanFile(bytes, header, provenThrough);
}

/** The process that wrote it may have ended before what it wrote was on the disk. */
async function persistLast(storage: SpoolStorage, last: FilledFile | undefined): Promise<void> {
  if (last === undefined) return;
  const file = await storage.open(last.name);
  await file.persist();
  await file.close();
}

function firstNumberOf(name: string): number {
  return Number(NAME.exec(name)?.[1]);
}
