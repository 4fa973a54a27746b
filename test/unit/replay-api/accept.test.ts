import assert from 'node:assert/strict';
import { test } from 'node:test';
// The negotiation has no door of its own: it is an inside of the API that is worth a table.
import { negotiate } from '../../../replay-api/accept.ts';

const OFFERS = ['application/json', 'application/x-ndjson'] as const;
const [JSON_TYPE, NDJSON_TYPE] = OFFERS;

const CASES: readonly (readonly [string | undefined, string | undefined])[] = [
  [undefined, JSON_TYPE],
  ['', JSON_TYPE],
  ['*/*', JSON_TYPE],
  ['application/*', JSON_TYPE],
  ['application/json', JSON_TYPE],
  ['APPLICATION/JSON', JSON_TYPE],
  ['application/x-ndjson', NDJSON_TYPE],
  ['application/x-ndjson, application/json', JSON_TYPE],
  ['application/json;q=0.5, application/x-ndjson', NDJSON_TYPE],
  ['application/json; charset=utf-8', JSON_TYPE],
  ['application/json;q=0, */*', NDJSON_TYPE],
  ['*/*;q=0.1, application/x-ndjson;q=0.2', NDJSON_TYPE],
  ['application/*;q=0, application/x-ndjson', NDJSON_TYPE],
  ['text/html, application/json;q=0.1', JSON_TYPE],
  ['text/html', undefined],
  ['text/*', undefined],
  ['application/json;q=0', undefined],
  ['*/*;q=0', undefined],
  ['application/json;q=2', undefined],
  ['application/json;q=x', undefined],
  ['json', undefined],
  [',,;', undefined],
];

for (const [accept, expected] of CASES) {
  test(`Accept ${JSON.stringify(accept)} gets ${expected ?? 'nothing'}`, () => {
    assert.equal(negotiate(accept, OFFERS), expected);
  });
}
