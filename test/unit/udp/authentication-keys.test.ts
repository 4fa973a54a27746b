import assert from 'node:assert/strict';
import test from 'node:test';
import { BackcastError } from '#base/mod.ts';
import { generateKeyLine, parseKeys } from '#multicast/udp/mod.ts';

const HEX = '00112233445566778899aabbccddeeff';

function bytes(text: string): number[][] {
  return parseKeys(text, 'keys').map(({ secret }) => [...secret]);
}

function problemOf(text: string): string {
  try {
    parseKeys(text, 'keys');
  } catch (error) {
    assert.ok(error instanceof BackcastError);
    assert.equal(error.code, 'BACKCAST_KEYS_INVALID');
    return error.message;
  }
  throw new Error('the keys were taken');
}

test('keys are read from lines or between commas, with comments and space around them', () => {
  const old = ` 7 : ${HEX}  # the old one\r\n`;
  const lines = `# two keys, no more\n\n${old}4294967295:${HEX.toUpperCase()}\n`;
  const keys = parseKeys(lines, 'keys');
  assert.deepEqual(
    keys.map(({ id }) => id),
    [7, 4_294_967_295],
  );
  assert.deepEqual(keys[0].secret, keys[1].secret);
  assert.deepEqual(parseKeys(`7:${HEX},4294967295:${HEX}`, 'keys'), keys);
});

test('hex and both kinds of base64 give the same bytes', () => {
  const secret = Buffer.alloc(32, 0xfb);
  for (const encoding of ['hex', 'base64', 'base64url'] as const)
    assert.deepEqual(bytes(`1:${secret.toString(encoding)}`), [[...secret]]);
});

test('what is wrong is said by line, and never with what stands there', () => {
  for (const [text, problem] of [
    ['', /keys holds no key/],
    ['# nothing\n', /keys holds no key/],
    [HEX, /line 1: it is not a key id, a colon and a key/],
    [`0:${HEX}`, /line 1: it is not a key id/],
    [`4294967296:${HEX}`, /a key id is a number from 1 to 4294967295/],
    [`\n1:${HEX.slice(2)}`, /line 2: its key has 15 bytes and should have 16 to 64/],
    [`1:${HEX.repeat(5)}`, /its key has 80 bytes/],
    [`1:${HEX}!`, /its key is neither hex nor base64/],
    [`1:${HEX}\n1:${HEX}`, /line 2: the key id 1 stands there twice/],
    [`1:${HEX}\n2:${HEX}\n3:${HEX}`, /holds 3 keys; 2 may be live/],
  ] as const) {
    const message = problemOf(text);
    assert.match(message, problem);
    assert.match(message, /backcast keys generate/);
    assert.doesNotMatch(message, /00112233/);
  }
});

test('a new key has 256 bits and is told by the second in which it was made', () => {
  const line = generateKeyLine(1_795_345_858_887);
  const [key] = parseKeys(line, 'keys');
  assert.deepEqual([key.id, key.secret.length], [1_795_345_858, 32]);
  assert.notEqual(generateKeyLine(1_795_345_858_887), line);
});
