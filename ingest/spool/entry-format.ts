// What an entry of the spool looks like on disk, and how entries are found again in a file that a
// crash, a bad sector or a recycled past has left behind. Pure but for the checksum.
//
//   entry, at a multiple of 8 bytes
//     0   magic              4    'BSE1'
//     4   content bytes      4
//     8   number             8    1, 2, 3 … over the whole spool, never used twice
//     16  durable through    8    the last number known to be on the disk when this was written
//     24  checksum           4    CRC-32 of file id, bytes 4 … 23 and the content
//     28  zero               4
//     32  content, then zeros up to a multiple of 8
//
//   seal, behind the last entry of a file that nothing is being written to
//     0   magic              4    'BSS1'
//     4   zero              12
//     16  durable through    8
//     24  checksum           4    CRC-32 of file id and bytes 4 … 23
//     28  zero               4
//
// The checksum covers the file's id, so what a recycled file held before is no entry. A hole in
// front of an entry or a seal that knew the missing numbers durable is damage; one that nobody knew
// durable is a torn end, and what follows it was never promised.

import { crc32 } from 'node:zlib';
import { assert } from '#base/mod.ts';

/** Bytes in front of an entry's content. */
export const ENTRY_HEADER_BYTES = 32;
/** Bytes of a seal. */
export const SEAL_BYTES = 32;
/**
 * Bytes in front of a file's first entry, and once more at its end, for a bad sector: magic 8 ·
 * file id 8 · first number 8 · durable through 8 · checksum 4 · 0.
 */
export const FILE_HEADER_BYTES = 40;

const ENTRY_MAGIC = 0x42_53_45_31;
const SEAL_MAGIC = 0x42_53_53_31;
const FILE_MAGIC = 'BCSPOOL1';
const ALIGNMENT_BYTES = 8;
const LENGTH_AT = 4;
const NUMBER_AT = 8;
const DURABLE_AT = 16;
const CHECKSUM_AT = 24;
const FILE_ID_AT = 8;
const FIRST_NUMBER_AT = 16;
const FILE_DURABLE_AT = 24;
const FILE_CHECKSUM_AT = 32;

/** What a file says of itself. */
export interface FileHeader {
  /** Different each time the file is used. */
  readonly fileId: bigint;
  /** The number of its first entry. */
  readonly firstNumber: number;
  /** The last number known to be on the disk when it was begun. */
  readonly durableThrough: number;
}

/** What was found in a file. */
export interface FileContents {
  readonly entries: readonly EntryPlace[];
  /** The last number that something in it knew to be on the disk. */
  readonly durableThrough: number;
}

/** Where an entry lies in its file. */
export interface EntryPlace {
  readonly number: number;
  readonly start: number;
  readonly contentBytes: number;
}

/** Bytes of an entry on disk. */
export function entryBytes(contentBytes: number): number {
  return ENTRY_HEADER_BYTES + Math.ceil(contentBytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
}

/** An entry ready to be written. */
export function writeEntry(
  content: Uint8Array,
  entry: { readonly number: number; readonly durableThrough: number; readonly fileId: bigint },
): Buffer {
  const bytes = Buffer.alloc(entryBytes(content.length));
  bytes.writeUInt32BE(ENTRY_MAGIC, 0);
  bytes.writeUInt32BE(content.length, LENGTH_AT);
  bytes.writeBigUInt64BE(BigInt(entry.number), NUMBER_AT);
  bytes.writeBigUInt64BE(BigInt(entry.durableThrough), DURABLE_AT);
  bytes.set(content, ENTRY_HEADER_BYTES);
  bytes.writeUInt32BE(checksumOf(bytes, 0, content.length, entry.fileId), CHECKSUM_AT);
  return bytes;
}

/** What says that everything through `durableThrough` is on the disk. */
export function writeSeal(durableThrough: number, fileId: bigint): Buffer {
  const bytes = Buffer.alloc(SEAL_BYTES);
  bytes.writeUInt32BE(SEAL_MAGIC, 0);
  bytes.writeBigUInt64BE(BigInt(durableThrough), DURABLE_AT);
  bytes.writeUInt32BE(checksumOf(bytes, 0, 0, fileId), CHECKSUM_AT);
  return bytes;
}

/** The first bytes of a file, and its last. */
export function writeFileHeader({ fileId, firstNumber, durableThrough }: FileHeader): Buffer {
  const bytes = Buffer.alloc(FILE_HEADER_BYTES);
  bytes.write(FILE_MAGIC, 0, 'latin1');
  bytes.writeBigUInt64BE(fileId, FILE_ID_AT);
  bytes.writeBigUInt64BE(BigInt(firstNumber), FIRST_NUMBER_AT);
  bytes.writeBigUInt64BE(BigInt(durableThrough), FILE_DURABLE_AT);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, FILE_CHECKSUM_AT)), FILE_CHECKSUM_AT);
  return bytes;
}

/** What a file says of itself; undefined if it is not, or no longer, a file of a spool. */
export function readFileHeader(bytes: Buffer): FileHeader | undefined {
  if (bytes.length < FILE_HEADER_BYTES) return undefined;
  if (bytes.toString('latin1', 0, FILE_MAGIC.length) !== FILE_MAGIC) return undefined;
  if (bytes.readUInt32BE(FILE_CHECKSUM_AT) !== crc32(bytes.subarray(0, FILE_CHECKSUM_AT)))
    return undefined;
  const firstNumber = Number(bytes.readBigUInt64BE(FIRST_NUMBER_AT));
  if (!Number.isSafeInteger(firstNumber) || firstNumber < 1) return undefined;
  const durableThrough = Number(bytes.readBigUInt64BE(FILE_DURABLE_AT));
  return { fileId: bytes.readBigUInt64BE(FILE_ID_AT), firstNumber, durableThrough };
}

/** The content of an entry that a scan has found in `bytes`. */
export function contentOf(bytes: Buffer, { start, contentBytes }: EntryPlace): Buffer {
  const contentStart = start + ENTRY_HEADER_BYTES;
  return bytes.subarray(contentStart, contentStart + contentBytes);
}

/**
 * Finds the entries of a file, in order; a hole between two numbers is damage. `durableThrough` is
 * what is known to be durable from elsewhere. `bytes` are the whole file, unless `from` says at
 * which of them to begin, and with which number.
 */
export function scanFile(
  bytes: Buffer,
  header: FileHeader,
  durableThrough: number,
  from = { at: FILE_HEADER_BYTES, number: header.firstNumber },
): FileContents {
  const entries: EntryPlace[] = [];
  let knownThrough = durableThrough;
  let expected = from.number;
  let at = from.at;
  for (;;) {
    const found = findEntry(bytes, at, expected, header.fileId);
    if (found === undefined) break;
    knownThrough = Math.max(knownThrough, found.durableThrough);
    const { place } = found;
    if (place === undefined) break;
    entries.push(place);
    expected = place.number + 1;
    at = place.start + entryBytes(place.contentBytes);
  }
  return { entries: promised(entries, from.number, knownThrough), durableThrough: knownThrough };
}

/** The entries before the first hole of which nothing says that it was durable. */
function promised(
  entries: readonly EntryPlace[],
  firstNumber: number,
  durableThrough: number,
): readonly EntryPlace[] {
  let expected = firstNumber;
  for (const [index, { number }] of entries.entries()) {
    if (number > expected && durableThrough < expected) return entries.slice(0, index);
    expected = number + 1;
  }
  return entries;
}

/** The next whole entry at or behind `from` whose number is at least `expected`, or a seal. */
function findEntry(
  bytes: Buffer,
  from: number,
  expected: number,
  fileId: bigint,
): { readonly place?: EntryPlace; readonly durableThrough: number } | undefined {
  assert(from % ALIGNMENT_BYTES === 0, 'entries are aligned');
  for (let start = from; start + ENTRY_HEADER_BYTES <= bytes.length; start += ALIGNMENT_BYTES) {
    const magic = bytes.readUInt32BE(start);
    if (magic !== ENTRY_MAGIC && magic !== SEAL_MAGIC) continue;
    const contentBytes = bytes.readUInt32BE(start + LENGTH_AT);
    if (start + ENTRY_HEADER_BYTES + contentBytes > bytes.length) continue;
    const checksum = bytes.readUInt32BE(start + CHECKSUM_AT);
    if (checksum !== checksumOf(bytes, start, contentBytes, fileId)) continue;
    const durableThrough = Number(bytes.readBigUInt64BE(start + DURABLE_AT));
    if (magic === SEAL_MAGIC) return { durableThrough };
    const number = Number(bytes.readBigUInt64BE(start + NUMBER_AT));
    if (number >= expected) return { place: { number, start, contentBytes }, durableThrough };
  }
  return undefined;
}

function checksumOf(bytes: Buffer, start: number, contentBytes: number, fileId: bigint): number {
  const seed = Buffer.alloc(8);
  seed.writeBigUInt64BE(fileId);
  const contentStart = start + ENTRY_HEADER_BYTES;
  const head = crc32(bytes.subarray(start + LENGTH_AT, start + CHECKSUM_AT), crc32(seed));
  return crc32(bytes.subarray(contentStart, contentStart + contentBytes), head);
}
