// Floor 1: bytes ↔ packets ↔ messages, pure and total. Touches no clock, socket or randomness.

export * from './address.ts';
export * from './archived-option.ts';
export * from './authentication.ts';
export * from './block-reader.ts';
export { contentDigest, onesSum } from './checksum.ts';
export * from './cut-block.ts';
export { MALFORMED_REASONS, type MalformedReason } from './layout.ts';
export * from './native-framing.ts';
export * from './packet-reader.ts';
export * from './packet-writer.ts';
export * from './publish-time.ts';
export * from './raw-framing.ts';
export * from './sqn.ts';
export * from './zmq-framing.ts';
