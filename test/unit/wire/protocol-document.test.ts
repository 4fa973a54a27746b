// docs/protocol.md shows packets byte by byte and lists the reasons for refusal: both must be what
// the code does.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { MALFORMED_REASONS } from '#multicast/wire/mod.ts';
import { DOCUMENTED_PACKETS, readPacket } from '#test/support/packets.ts';

const TEXT = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8');

function documentedBytes(): Map<string, Uint8Array> {
  const blocks = TEXT.matchAll(/```hex (?<name>\w+)\n(?<hex>[^`]+)```/g);
  return new Map(
    Array.from(blocks, ({ groups = {} }) => [
      groups['name'],
      Uint8Array.from(Buffer.from(groups['hex'].replaceAll(/\s/g, ''), 'hex')),
    ]),
  );
}

test('the document shows the bytes of every packet that it should', () => {
  assert.deepEqual([...documentedBytes().keys()], Object.keys(DOCUMENTED_PACKETS));
});

for (const [name, bytes] of documentedBytes()) {
  test(`the ${name} packet of the document is what the writer writes`, () => {
    assert.deepEqual(DOCUMENTED_PACKETS[name](), bytes);
    assert.equal(readPacket(bytes).kind, name);
  });
}

test('the document lists every reason for refusal with its sentence', () => {
  const rows = TEXT.matchAll(/^\| `(?<reason>\w+)` *\| (?<sentence>.+?) *\|$/gm);
  const documented = Array.from(rows, ({ groups = {} }) => [groups['reason'], groups['sentence']]);
  assert.deepEqual(Object.fromEntries(documented), MALFORMED_REASONS);
});
