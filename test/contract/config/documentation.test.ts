// docs/configuration.md against the schema: the table in it is the one that the schema makes, so
// neither knows a setting that the other does not. With UPDATE_DOCS=1 the table is rewritten
// instead.

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LOADER_VARIABLES, loadConfig, SETTINGS } from '#config/mod.ts';
import { renderSettingsTable } from '#test/support/settings-table.ts';
import { createTestFolder } from '#test/support/folder.ts';

const PAGE = fileURLToPath(new URL('../../../docs/configuration.md', import.meta.url));
const TABLE = /(<!-- settings: [^\n]* -->\n)([^]*?)(<!-- \/settings -->)/;

test('the table of settings is the one that the schema makes', () => {
  const page = readFileSync(PAGE, 'utf8');
  const made = page.replace(TABLE, (_, head: string, _old, tail: string) => {
    return `${head}\n${renderSettingsTable()}\n${tail}`;
  });
  if (process.env['UPDATE_DOCS'] === '1') writeFileSync(PAGE, made);
  assert.equal(readFileSync(PAGE, 'utf8'), made, 'UPDATE_DOCS=1 rewrites the table');
  assert.match(page, TABLE);
});

test('every variable that the page names is one of ours', () => {
  const page = readFileSync(PAGE, 'utf8');
  const known = new Set([...SETTINGS.map(({ schema }) => schema.env), ...LOADER_VARIABLES]);
  const codes = new Set(['BACKCAST_CONFIG_INVALID']);
  for (const [name] of page.matchAll(/\bBACKCAST_[A-Z_]+\b/g))
    assert.ok(known.has(name) || codes.has(name), name);
});

test('every setting has a sentence, and every number a lower and an upper bound', () => {
  for (const { name, schema } of SETTINGS) {
    assert.match(schema.description ?? '', /\.$/, name);
    if (schema.type === 'integer') {
      assert.equal(typeof schema.minimum, 'number', name);
      assert.equal(typeof schema.maximum, 'number', name);
    }
  }
});

const UNITS = /(Ms|Bytes|Packets|Sec)(Max)?$/;
const COUNTS = /([mM]essages|[mM]embers|[rR]eaders(PerCaller)?|[cC]onnections)Max$/;

test('every number that is not a count or a port carries its unit in its name', () => {
  for (const { name, schema } of SETTINGS)
    if (schema.type === 'integer' && !/(port|ttl)$/i.test(name))
      assert.ok(UNITS.test(name) || COUNTS.test(name), name);
});

test('the example of the page is a valid configuration', async () => {
  const example = /```yaml\n([^]*?)```/.exec(readFileSync(PAGE, 'utf8'))?.[1] ?? '';
  await using folder = await createTestFolder();
  writeFileSync(join(folder.path, 'backcast.yaml'), example);
  const config = loadConfig({ cwd: folder.path, env: {} });
  assert.deepEqual(config.channels, [
    {
      name: 'market-feed',
      group: '239.10.0.7',
      port: 7600,
      dport: 7500,
      framing: 'native',
      authentication: 'off',
      delivery: 'multicast',
      members: [],
    },
  ]);
});
