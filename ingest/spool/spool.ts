// A queue on local disk that a crash cannot tear: what is appended and flushed is there after
// kill -9, and after a power cut if the disk keeps its word. Knows bytes and numbers, not messages.
// Bounded: it is full before the disk is, and says so.
//
//   append ──► pending (memory) ──flush──► file, fdatasync ──► durable ──► read ──► trim
//
// Files are filled one after another and never appended to after a restart, so a torn end is never
// written over. Where things stand is found by scanning the files, not by a ledger beside them. A
// file that failed to sync is left alone: its entries that were not yet durable go into a new one.
// Numbers are never given twice, so one that did not become durable in the end is missing.

import { randomBytes } from 'node:crypto';
import { assert, BackcastError, toError } from '#base/mod.ts';
import {
  entryBytes,
  FILE_HEADER_BYTES,
  SEAL_BYTES,
  writeEntry,
  writeFileHeader,
  writeSeal,
} from './entry-format.ts';
import { FilePool } from './file-pool.ts';
import { FileReader, type SpoolEntry } from './file-reader.ts';
import { type DamagedRange, fileName, type FilledFile, recover, setAside } from './recover.ts';
import type { SpoolFile, SpoolStorage } from './storage.ts';

/** What a spool is made of. */
export interface SpoolOptions {
  readonly storage: SpoolStorage;
  readonly fileBytes: number;
  /** Files at most, the last of which only urgent entries may use. */
  readonly filesMax: number;
}

/** A spool that is open. */
export class Spool implements AsyncDisposable {
  readonly #options: SpoolOptions;
  readonly #pool: FilePool;
  readonly #reader: FileReader;
  readonly #resources = new AsyncDisposableStack();
  /** Where in a file entries end at most: behind them are a seal and a copy of the header. */
  readonly #endMax: number;
  #files: FilledFile[] = [];
  #damaged: readonly DamagedRange[] = [];
  #pending: SpoolEntry[] = [];
  #current: SpoolFile | undefined;
  #currentId = 0n;
  #currentEnd = 0;
  #plannedEnd = Number.POSITIVE_INFINITY;
  #plannedFiles = 0;
  #isOpen = false;
  #nextNumber = 1;
  #durableThrough = 0;
  #flushing: Promise<void> = Promise.resolve();
  #failure: BackcastError | undefined;

  private constructor(options: SpoolOptions) {
    this.#options = options;
    this.#pool = new FilePool(options);
    this.#reader = new FileReader(options.storage, options.fileBytes);
    this.#endMax = options.fileBytes - SEAL_BYTES - FILE_HEADER_BYTES;
  }

  /**
   * Opens the spool and finds what an earlier process has left. Errors: BACKCAST_SPOOL_UNUSABLE if
   * the folder cannot be made or read, or another process uses it.
   */
  static async open(options: SpoolOptions): Promise<Spool> {
    assert(options.filesMax >= 2, 'one file is kept for urgent entries');
    const spool = new Spool(options);
    try {
      await spool.#open();
    } catch (error) {
      throw unusable(error);
    }
    return spool;
  }

  /** One that could not be opened: it holds and takes nothing until `revive`. */
  static unopened(options: SpoolOptions): Spool {
    const spool = new Spool(options);
    spool.#failure = unusable(new Error('it is not open'));
    return spool;
  }

  /** The first number that is still there; one above `durableThrough` if there is none. */
  get firstNumber(): number {
    return this.#files[0]?.firstNumber ?? this.#durableThrough + 1;
  }

  /** Whether what it holds is known. */
  get isOpen(): boolean {
    return this.#isOpen;
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
    return (this.#files.length + this.#pool.spareCount) * this.#options.fileBytes;
  }

  /** Whether the disk had no room for a file that the spool might have. */
  get isDiskFull(): boolean {
    return this.#pool.isDiskFull;
  }

  /** Whether `append` would take so much content. */
  hasRoom(contentBytes: number, isUrgent = false): boolean {
    const neededBytes = entryBytes(contentBytes);
    assert(FILE_HEADER_BYTES + neededBytes <= this.#endMax, 'an entry fits a file');
    const hasBegun = this.#plannedEnd + neededBytes <= this.#endMax;
    return this.#plannedFiles + Number(!hasBegun) <= this.#filesMaxFor(isUrgent);
  }

  /**
   * Takes an entry, whose bytes must not change any more, and gives its number; undefined if the
   * spool is full. Urgent entries may use the room that is kept for them.
   */
  append(content: Uint8Array, isUrgent = false): number | undefined {
    const neededBytes = entryBytes(content.length);
    if (!this.hasRoom(content.length, isUrgent)) return undefined;
    if (this.#plannedEnd + neededBytes > this.#endMax) {
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
   * BACKCAST_SPOOL_UNUSABLE, after which what is not durable is forgotten; if `isDiskFull`, more is
   * taken when there is room again, else after `revive`.
   */
  async flush(): Promise<void> {
    const before = this.#flushing;
    const flushing = before.then(() => this.#flushPending());
    this.#flushing = flushing.catch(() => undefined);
    await flushing;
  }

  /**
   * Durable entries behind `number`, in order: as many as a few MiB hold, or none if there are
   * none. Rejects with what the disk says, unless files that cannot be read are to be skipped. Not
   * for concurrent calls.
   */
  async read(afterNumber: number, { skipUnreadable = false } = {}): Promise<SpoolEntry[]> {
    for (const [index, file] of [...this.#files].entries()) {
      const durableThrough = this.#durableThrough;
      const next = this.#files[index + 1];
      if ((next?.firstNumber ?? durableThrough + 1) <= afterNumber + 1) continue;
      // What a file holds beyond was written again elsewhere.
      const before = (next?.durableThrough ?? durableThrough) + 1;
      const range = { after: afterNumber, before, durableThrough };
      const reading = this.#reader.read(file, range);
      const entries = await (skipUnreadable ? reading.catch(() => []) : reading);
      if (entries.length > 0) return entries;
    }
    return [];
  }

  /** Gives back the disk that entries through `number` take, file by file. */
  async trim(throughNumber: number): Promise<void> {
    const isAll = throughNumber >= this.#durableThrough && this.#pending.length === 0;
    if (isAll) await this.#leaveFile();
    for (;;) {
      const oldest = this.#files[0];
      if (oldest === undefined || oldest.fileId === this.#currentId) return;
      if ((this.#files[1]?.firstNumber ?? this.#durableThrough + 1) > throughNumber + 1) return;
      this.#files.shift();
      this.#plannedFiles -= 1;
      await this.#pool.give(oldest.name, this.#files.length);
    }
  }

  /**
   * Opens a spool that is not; tries the disk of one that failed or found no room, with a file that
   * is kept for what must not wait. Errors: BACKCAST_SPOOL_UNUSABLE.
   */
  async revive(): Promise<void> {
    try {
      if (!this.#isOpen) await this.#open();
      this.#pool.forgetFull();
      await this.#pool.reserve(this.#files.length);
      await this.#options.storage.persistNames();
      this.#failure = undefined;
    } catch (error) {
      throw unusable(error);
    }
  }

  /** Flushes what can be flushed and closes. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush().catch(() => undefined);
    await this.#current?.close();
    this.#current = undefined;
    await this.#resources.disposeAsync();
  }

  /** How many files there may be; beyond what the disk has, only what was kept of it. */
  #filesMaxFor(isUrgent: boolean): number {
    const spareFiles = Number(isUrgent);
    if (this.#pool.isDiskFull)
      return this.#files.length - Number(this.#pool.spareCount === 0) + spareFiles;
    return this.#options.filesMax - 1 + spareFiles;
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

  async #open(): Promise<void> {
    const { storage, fileBytes } = this.#options;
    await using opening = new AsyncDisposableStack();
    await storage.prepare();
    opening.use(await storage.lock());
    const { files, damaged, nextNumber, names } = await recover(storage, fileBytes);
    this.#files = files;
    this.#damaged = damaged;
    this.#nextNumber = nextNumber;
    this.#durableThrough = nextNumber - 1;
    this.#plannedFiles = files.length;
    this.#pool.takeOver(names);
    this.#resources.use(opening.move());
    this.#isOpen = true;
  }

  async #flushPending(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    while (this.#pending.length > 0) {
      try {
        await this.#flushGroup();
      } catch {
        await this.#abandonFile();
        await this.#flushGroup().catch((error: unknown) => this.#fail(error));
      }
    }
    await this.#seal();
  }

  /** Writes as many entries as the current file has room for, and syncs them. */
  async #flushGroup(): Promise<void> {
    const first = this.#pending[0];
    if (first === undefined) return;
    const isFull = this.#currentEnd + entryBytes(first.content.length) > this.#endMax;
    if (this.#current === undefined || isFull) await this.#startFile(first.number);
    const file = this.#current;
    assert(file !== undefined, 'a file was started');
    const written: Buffer[] = [];
    let end = this.#currentEnd;
    for (const { number, content } of this.#pending) {
      if (end + entryBytes(content.length) > this.#endMax) break;
      const durableThrough = this.#durableThrough;
      const bytes = writeEntry(content, { number, durableThrough, fileId: this.#currentId });
      written.push(bytes);
      end += bytes.length;
    }
    await file.write(Buffer.concat(written), this.#currentEnd);
    await file.persist();
    this.#currentEnd = end;
    this.#durableThrough = this.#pending[written.length - 1]?.number ?? this.#durableThrough;
    this.#pending = this.#pending.slice(written.length);
  }

  /** Says where the durable end is, until something is written over it; without, it is a guess. */
  async #seal(): Promise<void> {
    const seal = writeSeal(this.#durableThrough, this.#currentId);
    await this.#current?.write(seal, this.#currentEnd).catch(() => this.#abandonFile());
  }

  async #startFile(firstNumber: number): Promise<void> {
    const { storage, fileBytes } = this.#options;
    await this.#current?.close();
    this.#current = undefined;
    const fileId = randomBytes(8).readBigUInt64BE();
    const name = fileName(firstNumber);
    const file = await this.#pool.take(name, this.#files.length);
    this.#current = file;
    const header = { fileId, firstNumber, durableThrough: this.#durableThrough };
    const bytes = writeFileHeader(header);
    await file.write(bytes, 0);
    await file.write(bytes, fileBytes - FILE_HEADER_BYTES);
    await file.persist();
    await storage.persistNames();
    this.#currentId = fileId;
    this.#currentEnd = FILE_HEADER_BYTES;
    this.#files.push({ name, ...header });
    // Without it the spool still works, until the disk is full.
    await this.#pool.reserve(this.#files.length).catch(() => undefined);
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
    await setAside(this.#options.storage, last.name).catch(() => undefined);
  }

  /** What is not durable is forgotten; it is still with who appended it. */
  async #fail(cause: unknown): Promise<never> {
    await this.#abandonFile();
    const error = unusable(cause);
    this.#pending = [];
    this.#plannedFiles = this.#files.length;
    this.#plannedEnd = Number.POSITIVE_INFINITY;
    if (!this.#pool.isDiskFull) this.#failure = error;
    throw error;
  }
}

function unusable(error: unknown): BackcastError {
  if (error instanceof BackcastError) return error;
  const cause = toError(error);
  const message =
    `The spool cannot be used: ${cause.message}. Look at the disk and the folder of the spool; ` +
    'while it cannot be used, only memory holds what waits for the database.';
  return new BackcastError('BACKCAST_SPOOL_UNUSABLE', message, { cause });
}
