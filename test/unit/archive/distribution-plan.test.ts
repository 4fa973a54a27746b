import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CataloguedTable, distributionPlan } from '#archive/mod.ts';

function table(name: string, more: Partial<CataloguedTable> = {}): CataloguedTable {
  const hasChannelId = name !== 'channels' && !name.startsWith('kysely');
  return { name, hasChannelId, placement: 'local', hasLocalRows: true, ...more };
}

const TABLES = [
  table('channels'),
  table('kysely_migration'),
  table('kysely_migration_lock'),
  table('candidates'),
  table('leases'),
  table('segments'),
];
const VIEWS = [{ name: 'messages', query: ' SELECT 1;' }];
const FUNCTIONS = ['expand_runs(bigint[])'];

function plan(tables: readonly CataloguedTable[], shardCount?: number): string[] {
  const catalogue = { tables, views: VIEWS, functions: FUNCTIONS };
  return distributionPlan(catalogue, shardCount).map(({ statement }) => statement);
}

const FUNCTION_STEP = "SELECT create_distributed_function('expand_runs(bigint[])')";
const VIEW_STEP = 'CREATE OR REPLACE VIEW messages AS SELECT 1';

function emptied(name: string): string {
  return `SELECT truncate_local_data_after_distributing_table('${name}')`;
}

test('a local archive is spread from what all nodes need to what refers to it', () => {
  assert.deepEqual(plan(TABLES), [
    FUNCTION_STEP,
    "SELECT create_reference_table('channels')",
    "SELECT create_reference_table('kysely_migration')",
    "SELECT create_distributed_table('leases', 'channel_id', colocate_with => 'none')",
    "SELECT create_distributed_table('candidates', 'channel_id', colocate_with => 'leases')",
    "SELECT create_distributed_table('segments', 'channel_id', colocate_with => 'leases')",
    emptied('candidates'),
    emptied('leases'),
    emptied('segments'),
    emptied('channels'),
    emptied('kysely_migration'),
    VIEW_STEP,
  ]);
});

test('the number of parts is said of the table that the others follow', () => {
  const saying = plan(TABLES, 64).filter((statement) => statement.includes('64'));
  assert.deepEqual(saying, [
    "SELECT create_distributed_table('leases', 'channel_id', colocate_with => 'none', " +
      'shard_count => 64)',
  ]);
});

test('a plan does not depend on the order of the catalogue', () => {
  assert.deepEqual(plan(TABLES.toReversed()), plan(TABLES));
});

test('a plan made after any number of its steps is the rest of it', () => {
  const whole = plan(TABLES);
  const state = new Map(TABLES.map((one) => [one.name, one]));
  for (const [index, step] of whole.entries()) {
    const name = /'(\w+)'/.exec(step)?.[1] ?? '';
    const known = state.get(name);
    if (known === undefined) continue;
    const placement = step.includes('reference_table') ? 'reference' : 'distributed';
    const isMove = step.includes('create_');
    state.set(name, isMove ? { ...known, placement } : { ...known, hasLocalRows: false });
    const rest = plan([...state.values()]);
    assert.deepEqual(rest, [FUNCTION_STEP, ...whole.slice(index + 1)]);
  }
});

test('a table that a later version brings is spread beside the leases', () => {
  const done = TABLES.map((one) => {
    const placement = one.hasChannelId ? ('distributed' as const) : ('reference' as const);
    return { ...one, placement, hasLocalRows: false };
  });
  assert.deepEqual(plan([...done, table('holds', { hasLocalRows: false })]), [
    FUNCTION_STEP,
    "SELECT create_distributed_table('holds', 'channel_id', colocate_with => 'leases')",
    emptied('holds'),
    VIEW_STEP,
  ]);
});
