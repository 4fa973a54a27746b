// Reads a spool's files a few MiB at a time and remembers where it was: what is spooled while the
// same file is being read does not make each read begin at the file's start.

import { contentOf, entryBytes, FILE_HEADER_BYTES, scanFile } from './entry-format.ts';
import type { FilledFile } from './recover.ts';
import type { SpoolStorage } from './storage.ts';

/** An entry as it is read back. */
export interface SpoolEntry {
  readonly number: number;
  readonly content: Uint8Array;
}

/** Numbers that are wanted, both ends excluded, and what is known to be durable. */
interface WantedRange {
  readonly after: number;
  readonly before: number;
  readonly durableThrough: number;
}

const READ_BYTES = 4 * 1_048_576;

/** Reads one spool. Not for concurrent calls. */
export class FileReader {
  readonly #storage: SpoolStorage;
  readonly #fileBytes: number;
  /** Where the entry behind `number` begins in the file last read. */
  #place = { fileId: -1n, number: 0, start: 0 };

  constructor(storage: SpoolStorage, fileBytes: number) {
    this.#storage = storage;
    this.#fileBytes = fileBytes;
  }

  /** The next entries of `file` within `range`, in order; none if it holds no more. */
  async read(file: FilledFile, range: WantedRange): Promise<SpoolEntry[]> {
    const isKnown = this.#place.fileId === file.fileId && this.#place.number === range.after;
    let start = isKnown ? this.#place.start : FILE_HEADER_BYTES;
    let number = isKnown ? range.after + 1 : file.firstNumber;
    let bytesMax = READ_BYTES;
    while (start < this.#fileBytes) {
      const bytes = await this.#storage.read(file.name, start, Math.min(bytesMax, this.#fileBytes));
      const { entries: found } = scanFile(bytes, file, range.durableThrough, { at: 0, number });
      const last = found.at(-1);
      if (last === undefined) {
        if (bytesMax > READ_BYTES) return [];
        // Damage, or an entry that is larger than what was read: what follows may be whole.
        bytesMax = Number.MAX_SAFE_INTEGER;
        continue;
      }
      const wanted = found.filter((it) => it.number > range.after && it.number < range.before);
      const lastWanted = wanted.at(-1);
      if (lastWanted !== undefined) {
        const end = start + lastWanted.start + entryBytes(lastWanted.contentBytes);
        this.#place = { fileId: file.fileId, number: lastWanted.number, start: end };
        return wanted.map((it) => ({ number: it.number, content: contentOf(bytes, it) }));
      }
      start += last.start + entryBytes(last.contentBytes);
      number = last.number + 1;
      bytesMax = READ_BYTES;
    }
    return [];
  }
}
