// Big-endian integers in bytes, by index arithmetic: no view object per packet. The caller has
// checked that the bytes are there.

const WORD = 0x1_0000_0000;

/** The 16-bit number at `at`. */
export function readU16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

/** The 32-bit number at `at`, unsigned. */
export function readU32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}

/** The 64-bit number at `at`, or −1 if it is above 2^53 − 1. */
export function readSafeU64(bytes: Uint8Array, at: number): number {
  const high = readU32(bytes, at);
  if (high > 0x1f_ffff) return -1;
  return high * WORD + readU32(bytes, at + 4);
}

/** Writes the low 16 bits of `value`. */
export function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

/** Writes `value` modulo 2^32. */
export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Writes `value`, an integer in [0, 2^53), as 64 bits. */
export function writeSafeU64(bytes: Uint8Array, at: number, value: number): void {
  writeU32(bytes, at, Math.floor(value / WORD));
  writeU32(bytes, at + 4, value);
}
