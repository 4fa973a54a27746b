// The binary forms of the few PostgreSQL types that segments consist of. Big-endian throughout.
//
//   array of one dimension   0 dimensions (1) · 4 has nulls (0) · 8 element type · 12 count ·
//                            16 lower bound (1) · 20 then per element: length (4 bytes), value
//   empty array              0 dimensions (0) · 4 has nulls (0) · 8 element type
//   timestamptz              microseconds since 2000-01-01T00:00:00Z, 8 bytes
//   bigint                   8 bytes; a session has 63 bits and is read as its two words
//
// Works on plain numbers: a bigint per message would be an allocation per message.

import { assert, POSTGRES_EPOCH_US, sessionFromWords } from '#base/mod.ts';
import type { SessionId } from '#base/mod.ts';

/** The number that PostgreSQL has for the type int. */
export const INT4_TYPE = 23;
/** The number of bigint. */
export const INT8_TYPE = 20;
/** The number of bytea. */
export const BYTEA_TYPE = 17;
/** The number of timestamptz. */
export const TIMESTAMPTZ_TYPE = 1184;

/** Where the elements of an array begin. */
export const ARRAY_HEADER_BYTES = 20;
/** The length in front of every element. */
export const ELEMENT_HEADER_BYTES = 4;
/** Element header and value of an array of 8-byte values. */
export const WIDE_ELEMENT_BYTES = 12;

const WORD = 0x1_0000_0000;

/** Writes the head of a one-dimensional array of `count` ≥ 1 elements of type `elementType`. */
export function writeArrayHeader(
  view: DataView,
  at: number,
  elementType: number,
  count: number,
): void {
  view.setInt32(at, 1);
  view.setInt32(at + 4, 0);
  view.setInt32(at + 8, elementType);
  view.setInt32(at + 12, count);
  view.setInt32(at + 16, 1);
}

/** The number of elements of an array; asserts that it is one of `elementType` without nulls. */
export function readArrayHeader(view: DataView, elementType: number): number {
  const dimensions = view.getInt32(0);
  assert(dimensions <= 1, 'a stored array has one dimension');
  assert(view.getInt32(4) === 0, 'a stored array has no nulls');
  assert(view.getInt32(8) === elementType, 'a stored array has the type of its column');
  return dimensions === 0 ? 0 : view.getInt32(12);
}

/** Writes a safe integer as 8 bytes. */
export function writeInt8(view: DataView, at: number, value: number): void {
  const high = Math.floor(value / WORD);
  view.setInt32(at, high);
  view.setUint32(at + 4, value - high * WORD);
}

/** The safe integer in 8 bytes. */
export function readInt8(view: DataView, at: number): number {
  const value = view.getInt32(at) * WORD + view.getUint32(at + 4);
  assert(Number.isSafeInteger(value), 'a stored number is a safe integer');
  return value;
}

/** Writes microseconds since 1970 as a timestamptz. */
export function writeInstant(view: DataView, at: number, us: number): void {
  writeInt8(view, at, us - POSTGRES_EPOCH_US);
}

/** Microseconds since 1970 of a timestamptz. */
export function readInstant(view: DataView, at: number): number {
  return readInt8(view, at) + POSTGRES_EPOCH_US;
}

/** The session in 8 bytes. */
export function readSession(view: DataView, at: number): SessionId {
  return sessionFromWords(view.getUint32(at), view.getUint32(at + 4));
}

/** A view of exactly `field`. */
export function viewOf(field: Uint8Array): DataView {
  return new DataView(field.buffer, field.byteOffset, field.byteLength);
}
