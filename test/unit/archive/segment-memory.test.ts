import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SegmentMemory } from '#archive/segment-memory.ts';

const KIB = 1_024;

test('memory that everybody has let go of is used again', () => {
  const memory = new SegmentMemory(1_000 * KIB);
  const piece = memory.take(100 * KIB);
  const held = memory.lend([piece]);
  held.hold();
  held.letGo();
  assert.notEqual(memory.take(100 * KIB), piece);
  held.letGo();
  assert.equal(memory.take(97 * KIB), piece);
  assert.notEqual(memory.take(97 * KIB), piece);
});

test('memory is not used for what is much smaller, and not for what is larger', () => {
  const memory = new SegmentMemory(1_000 * KIB);
  memory.lend([memory.take(100 * KIB)]).letGo();
  assert.ok(memory.take(80 * KIB).byteLength < 100 * KIB);
  assert.ok(memory.take(120 * KIB).byteLength >= 120 * KIB);
  assert.equal(memory.spareBytes, 104 * KIB);
});

test('no more is kept than is allowed', () => {
  const memory = new SegmentMemory(250 * KIB);
  const pieces = Array.from({ length: 5 }, () => memory.take(96 * KIB));
  memory.lend(pieces).letGo();
  assert.equal(memory.spareBytes, 192 * KIB);
});

test('small memory is left to the collector', () => {
  const memory = new SegmentMemory(1_000 * KIB);
  const piece = memory.take(10);
  assert.equal(piece.byteLength, 10);
  memory.lend([piece]).letGo();
  assert.equal(memory.spareBytes, 0);
});

test('to let go once too often is a fault', () => {
  const memory = new SegmentMemory(1_000 * KIB);
  const held = memory.lend([memory.take(100 * KIB)]);
  held.letGo();
  assert.throws(() => held.letGo(), /lets go once/);
  assert.throws(() => held.hold(), /has it from one who does/);
});
