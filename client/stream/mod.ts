// Floor 4: the binary segment stream, as the replay API writes it and a recovering client reads it.
// Pure: bytes in, entries out, and back; how they travel is of no concern here.

export * from './decoder.ts';
export * from './entries.ts';
export { encodeRuns, jsonFrame } from './encode.ts';
export { SEGMENTS_TYPE, STREAM_VERSION } from './layout.ts';
