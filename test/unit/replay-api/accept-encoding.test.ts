// Which compression a caller gets for what its header says.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { negotiateEncoding } from '#replay-api/accept.ts';

const OFFERS = ['zstd', 'gzip', 'br'] as const;

const CHOICES: readonly (readonly [string | undefined, string | undefined])[] = [
  [undefined, undefined],
  ['', undefined],
  ['identity', undefined],
  ['deflate', undefined],
  ['gzip', 'gzip'],
  ['GZIP;Q=0.5', 'gzip'],
  ['br, gzip', 'gzip'],
  ['gzip, br, zstd', 'zstd'],
  ['gzip;q=0.5, br;q=0.9', 'br'],
  ['*', 'zstd'],
  ['zstd;q=0, *;q=0.1', 'gzip'],
  ['gzip;q=0', undefined],
  ['gzip;q=0.5, identity', undefined],
  ['gzip, identity;q=0.5', 'gzip'],
  ['gzip;q=2', undefined],
  ['gzip;q=x', undefined],
];

for (const [header, encoding] of CHOICES) {
  test(`Accept-Encoding ${JSON.stringify(header)} gets ${encoding ?? 'no compression'}`, () => {
    assert.equal(negotiateEncoding(header, OFFERS), encoding);
  });
}
