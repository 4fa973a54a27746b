// A queue on local disk that a crash cannot tear: what is appended and flushed is there after
// kill -9, and after a power cut if the disk keeps its word. Knows bytes and numbers, not messages.
// Bounded: it is full before the disk is, and says so.
//
//   append ──► pending (memory) ──flush──► file, fdatasync ──► durable ──► read ──► trim
//
// Files are filled one after another and never appended to after a restart, so a torn end is never
// written over. Where things stand is found by scanning the files, not by a ledger beside them. A
// file that failed to sync is left alone: its entries that were not yet durable go into a new one.

import { randomBytes } from 'node:crypto';
import { assert, BackcastError, toError } from '#base/mod.ts';
import {
  entryBytes,
  FILE_HEADER_BYTES,
  type FileHeader,
  readFileHeader,
  scanFile,
  writeEntry,
  writeFileHeader,
} from './entry-format.ts';
import { FileReader, type SpoolEntry } from './file-reader.ts';
import type { SpoolFile, SpoolStorage } from './storage.ts';

/** What a spool is made of. */
export interface SpoolOptions {
  readonly storage: SpoolStorage;
  readonly fileBytes: number;
  /** Files at most, the last of which only urgent entries may use. */
  readonly filesMax: number;
}

/** Numbers that were durable and cannot be read any more. */
export interface DamagedRange {
  readonly first: number;
  readonly last: number;
}

/** A file with entries in it. */
interface FilledFile extends FileHeader {
  readonly name: string;
}

const NAME_DIGITS = 16;
const NAME = /^(\d{16})\.spool$/;
const SPARE_NAME = 'spare.spool-file';

/** A spool that is open. */
export class Spool implements AsyncDisposable {
  readonly #options: SpoolOptions;
  readonly #files: FilledFile[] = [];
  readonly #damaged: DamagedRange[] = [];
  readonly #reader: FileReader;
  #pending: SpoolEntry[] = [];
  #current: SpoolFile | undefined;
  #currentId = 0n;
  #currentEnd = 0;
  #plannedEnd = Number.POSITIVE_INFINITY;
  #plannedFiles = 0;
  #hasSpare = false;
  #nextNumber = 1;
  #durableThrough = 0;
  #flushing: Promise<void> = Promise.resolve();
  #failure: BackcastError | undefined;

  private constructor(options: SpoolOptions) {
    this.#options = options;
    this.#reader = new FileReader(options.storage, options.fileBytes);
  }

  /**
   * Opens the spool and finds what an earlier process has left. Errors: BACKCAST_SPOOL_UNUSABLE if
   * the folder cannot be made or read.
   */
  static async open(options: SpoolOptions): Promise<Spool> {
    assert(options.filesMax >= 2, 'one file is kept for urgent entries');
    const spool = new Spool(options);
    try {
      await options.storage.prepare();
      await spool.#recover();
    } catch (error) {
      throw unusable(error);
    }
    return spool;
  }

  /** The first number that is still there; one above `durableThrough` if there is none. */
  get firstNumber(): number {
    return this.#files[0]?.firstNumber ?? this.#durableThrough + 1;
  }

  /** Everything through this number survives a crash. */
  get durableThrough(): number {
    return this.#durableThrough;
  }

  /** The number of the last entry appended, durable or not. */
  get lastNumber(): number {
    return this.#nextNumber - 1;
  }

  /** What an earlier process had made durable and this one could not read. */
  get damaged(): readonly DamagedRange[] {
    return this.#damaged;
  }

  /** Bytes taken from the disk. */
  get diskBytes(): number {
    return (this.#files.length + Number(this.#hasSpare)) * this.#options.fileBytes;
  }

  /** Whether `append` would take so much content. */
  hasRoom(contentBytes: number, isUrgent = false): boolean {
    const { fileBytes, filesMax } = this.#options;
    const neededBytes = entryBytes(contentBytes);
    assert(FILE_HEADER_BYTES + neededBytes <= fileBytes, 'an entry fits a file');
    if (this.#plannedEnd + neededBytes <= fileBytes) return true;
    return this.#plannedFiles < filesMax - (isUrgent ? 0 : 1);
  }

  /**
   * Takes an entry, whose bytes must not change any more, and gives its number; undefined if the
   * spool is full. Urgent entries may use the room that is kept for them.
   */
  append(content: Uint8Array, isUrgent = false): number | undefined {
    const { fileBytes } = this.#options;
    const neededBytes = entryBytes(content.length);
    if (!this.hasRoom(content.length, isUrgent)) return undefined;
    if (this.#plannedEnd + neededBytes > fileBytes) {
      this.#plannedFiles += 1;
      this.#plannedEnd = FILE_HEADER_BYTES;
    }
    this.#plannedEnd += neededBytes;
    const number = this.#nextNumber;
    this.#nextNumber += 1;
    this.#pending.push({ number, content });
    return number;
  }

  /**
   * Makes everything appended so far durable. Calls at once are answered by one write. Errors:
   * BACKCAST_SPOOL_UNUSABLE, after which nothing more is taken.
   */
  async flush(): Promise<void> {
    const before = this.#flushing;
    const flushing = before.then(() => this.#flushPending());
    this.#flushing = flushing.catch(() => undefined);
    await flushing;
  }

  /**
   * Durable entries behind `number`, in order: as many as a few MiB hold, or none if there are
   * none. Rejects with what the disk says. Not for concurrent calls.
   */
  async read(afterNumber: number): Promise<SpoolEntry[]> {
    for (const [index, file] of [...this.#files].entries()) {
      const durableThrough = this.#durableThrough;
      const nextFirst = this.#files[index + 1]?.firstNumber ?? durableThrough + 1;
      if (nextFirst <= afterNumber + 1) continue;
      const range = { after: afterNumber, before: nextFirst, durableThrough };
      const entries = await this.#reader.read(file, range);
      if (entries.length > 0) return entries;
    }
    return [];
  }

  /** Gives back the disk that entries through `number` take, file by file. */
  async trim(throughNumber: number): Promise<void> {
    const { storage } = this.#options;
    if (throughNumber >= this.lastNumber) await this.#leaveFile();
    for (;;) {
      const oldest = this.#files[0];
      if (oldest === undefined || oldest.fileId === this.#currentId) return;
      if ((this.#files[1]?.firstNumber ?? this.#durableThrough + 1) > throughNumber + 1) return;
      this.#files.shift();
      this.#plannedFiles -= 1;
      if (this.#hasSpare) await storage.remove(oldest.name);
      else await storage.rename(oldest.name, SPARE_NAME);
      this.#hasSpare = true;
    }
  }

  /** Flushes what can be flushed and closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush().catch(() => undefined);
    await this.#current?.close();
    this.#current = undefined;
  }

  /** Nothing in the current file is wanted any more: what comes next begins another. */
  async #leaveFile(): Promise<void> {
    const current = this.#current;
    this.#current = undefined;
    this.#currentId = 0n;
    this.#plannedEnd = Number.POSITIVE_INFINITY;
    this.#plannedFiles = this.#files.length;
    await current?.close();
  }

  async #recover(): Promise<void> {
    const { storage } = this.#options;
    const names = await storage.list();
    this.#hasSpare = names.includes(SPARE_NAME);
    const ordered = names.filter((name) => NAME.test(name)).toSorted();
    for (const [index, name] of ordered.entries()) {
      const nextName = ordered[index + 1];
      await this.#recoverFile(
        name,
        index === 0,
        nextName === undefined ? undefined : firstNumberOf(nextName),
      );
    }
    await this.#persistLastFile();
    this.#durableThrough = this.#nextNumber - 1;
    await this.#dropEmptyFile();
    this.#plannedFiles = this.#files.length;
  }

  /**
   * Takes up a file. Files behind it prove that all of its numbers were durable; a missing or
   * damaged file in front of it is known by the numbers in the names.
   */
  async #recoverFile(name: string, isFirst: boolean, nextFirst: number | undefined): Promise<void> {
    const { storage } = this.#options;
    const firstNumber = firstNumberOf(name);
    if (isFirst) this.#nextNumber = firstNumber;
    else this.#noteDamage(firstNumber - 1);
    const bytes = await storage.read(name, 0, this.#options.fileBytes);
    const header = readFileHeader(bytes);
    if (header?.firstNumber !== firstNumber) {
      await storage.rename(name, `${name}.damaged`);
    } else {
      this.#files.push({ ...header, name });
      for (const { number } of scanFile(bytes, header, (nextFirst ?? 1) - 1)) {
        if (number >= (nextFirst ?? Number.POSITIVE_INFINITY)) break;
        this.#noteDamage(number - 1);
        this.#nextNumber = number + 1;
      }
    }
    if (nextFirst !== undefined) this.#noteDamage(nextFirst - 1);
  }

  /** Numbers from the next one expected through `last` were durable and cannot be read. */
  #noteDamage(last: number): void {
    if (this.#nextNumber > last) return;
    this.#damaged.push({ first: this.#nextNumber, last });
    this.#nextNumber = last + 1;
  }

  /** The process that wrote it may have ended before what it wrote was on the disk. */
  async #persistLastFile(): Promise<void> {
    const last = this.#files.at(-1);
    if (last === undefined) return;
    const file = await this.#options.storage.open(last.name);
    await file.persist();
    await file.close();
  }

  /** A file into which nothing came would stand in the way of the next one of that number. */
  async #dropEmptyFile(): Promise<void> {
    const last = this.#files.at(-1);
    if (last === undefined || last.firstNumber < this.#nextNumber) return;
    this.#files.pop();
    await this.#options.storage.remove(last.name);
  }

  async #flushPending(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    while (this.#pending.length > 0) {
      try {
        await this.#flushGroup();
      } catch {
        await this.#abandonFile();
        await this.#flushGroup().catch((error: unknown) => {
          this.#failure = unusable(error);
          throw this.#failure;
        });
      }
    }
  }

  /** Writes as many entries as the current file has room for, and syncs them. */
  async #flushGroup(): Promise<void> {
    const first = this.#pending[0];
    if (first === undefined) return;
    const { fileBytes } = this.#options;
    const isFull = this.#currentEnd + entryBytes(first.content.length) > fileBytes;
    if (this.#current === undefined || isFull) await this.#startFile(first.number);
    const file = this.#current;
    assert(file !== undefined, 'a file was started');
    const written: Buffer[] = [];
    let end = this.#currentEnd;
    for (const { number, content } of this.#pending) {
      if (end + entryBytes(content.length) > fileBytes) break;
      const durableThrough = this.#durableThrough;
      const bytes = writeEntry(content, { number, durableThrough, fileId: this.#currentId });
      written.push(bytes);
      end += bytes.length;
    }
    await file.write(Buffer.concat(written), this.#currentEnd);
    await file.persist();
    this.#currentEnd = end;
    this.#pending = this.#pending.slice(written.length);
    this.#durableThrough = first.number + written.length - 1;
  }

  async #startFile(firstNumber: number): Promise<void> {
    const { storage, fileBytes } = this.#options;
    await this.#current?.close();
    this.#current = undefined;
    const fileId = randomBytes(8).readBigUInt64BE();
    const name = `${String(firstNumber).padStart(NAME_DIGITS, '0')}.spool`;
    const file = await this.#takeFile(name, fileBytes);
    this.#current = file;
    await file.write(writeFileHeader({ fileId, firstNumber }), 0);
    await file.persist();
    await storage.persistNames();
    this.#currentId = fileId;
    this.#currentEnd = FILE_HEADER_BYTES;
    this.#files.push({ name, fileId, firstNumber });
  }

  async #takeFile(name: string, fileBytes: number): Promise<SpoolFile> {
    const { storage } = this.#options;
    await storage.remove(name);
    if (!this.#hasSpare) return await storage.create(name, fileBytes);
    this.#hasSpare = false;
    await storage.rename(SPARE_NAME, name);
    return await storage.open(name);
  }

  /** Nothing is known of what was written last: it is written again elsewhere. */
  async #abandonFile(): Promise<void> {
    await this.#current?.close().catch(() => undefined);
    this.#current = undefined;
    this.#currentId = 0n;
    this.#plannedFiles += 1;
    const last = this.#files.at(-1);
    if (last === undefined || last.firstNumber <= this.#durableThrough) return;
    this.#files.pop();
    this.#plannedFiles -= 1;
    await this.#options.storage.rename(last.name, `${last.name}.damaged`).catch(() => undefined);
  }
}

/** Files are named after their first number. */
function firstNumberOf(name: string): number {
  return Number(NAME.exec(name)?.[1]);
}

function unusable(error: unknown): BackcastError {
  const cause = toError(error);
  const message =
    `The spool cannot be used: ${cause.message}. Look at the disk and the folder of the spool; ` +
    'while it cannot be used, only memory holds what waits for the database.';
  return new BackcastError('BACKCAST_SPOOL_UNUSABLE', message, { cause });
}
