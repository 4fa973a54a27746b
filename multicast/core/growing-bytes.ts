// The bytes of a message that comes in pieces, in memory of its own: however small the pieces are,
// and whatever packets bring them, twice their bytes at most, or the room that it began with.

/** What has come so far. */
export interface GrowingBytes {
  /** The first `filledBytes` have come; the rest is room. */
  bytes: Uint8Array;
  filledBytes: number;
}

/** Nothing yet, with room for `roomBytes`, which is doubled when it is full. */
export function newGrowingBytes(roomBytes: number): GrowingBytes {
  return { bytes: new Uint8Array(roomBytes), filledBytes: 0 };
}

/** Copies `piece` behind what has come. Amortised O(piece). */
export function grow(growing: GrowingBytes, piece: Uint8Array): void {
  const filledBytes = growing.filledBytes + piece.length;
  if (filledBytes > growing.bytes.length) {
    const grown = new Uint8Array(Math.max(filledBytes, 2 * growing.bytes.length));
    grown.set(growing.bytes.subarray(0, growing.filledBytes));
    growing.bytes = grown;
  }
  growing.bytes.set(piece, growing.filledBytes);
  growing.filledBytes = filledBytes;
}
