// What is said of a value that does not fit its setting.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkValue } from '#config/check.ts';
import { schemaAt, type SettingSchema, SETTINGS } from '#config/settings.ts';

/** `schema` and all that it is made of. */
function within(schema: SettingSchema): SettingSchema[] {
  const { items = [], anyOf = [], properties = {} } = schema;
  const inner = [...(Array.isArray(items) ? items : [items]), ...anyOf];
  return [schema, ...[...inner, ...Object.values(properties)].flatMap(within)];
}

test('what must have a certain form says so in words', () => {
  const formed = SETTINGS.flatMap(({ schema }) => within(schema)).filter(({ pattern }) => pattern);
  assert.ok(formed.length > 10);
  for (const { form, description } of formed) assert.ok(form, description);
});

for (const [path, value, sentence] of [
  ['api.url', 'ftp://x', '"ftp://x" is not a URL that begins with http:// or https://'],
  ['retention.age', '3x', '"3x" is not a duration such as 36h, 30d, 4w or 2y, nor forever'],
  ['archiver.shards', 0, '0 is not auto or a whole number from 1 to 256'],
] as const) {
  test(`${path} is told what it should be`, () => {
    const schema = schemaAt(path.split('.'));
    assert.ok(schema !== undefined);
    assert.deepEqual(checkValue(path, value, schema), [`\`${path}\`: ${sentence}`]);
  });
}
