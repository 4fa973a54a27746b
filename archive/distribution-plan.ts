// What it takes to spread the tables of an archive over a Citus cluster by channel_id: from what
// the catalogue says is there to the statements that are left to run. Pure; distribute.ts reads the
// catalogue and runs them. Functions of Citus: docs.citusdata.com, "Citus Utility Functions".

/** Where a table is: on one node, whole on every node, or cut by channel_id over all. */
export type TablePlacement = 'local' | 'reference' | 'distributed';

/** A table of the archive, with its partitions. */
export interface CataloguedTable {
  /** As it is written in SQL, with quotes if need be. */
  readonly name: string;
  readonly hasChannelId: boolean;
  readonly placement: TablePlacement;
  /** Rows that lie in the node's own copy: all of a local table, left over of another. */
  readonly hasLocalRows: boolean;
}

/** A view, with the query that it stands for. */
export interface CataloguedView {
  readonly name: string;
  readonly query: string;
}

/** What the archive consists of. */
export interface Catalogue {
  readonly tables: readonly CataloguedTable[];
  readonly views: readonly CataloguedView[];
  /** Each as name(types). */
  readonly functions: readonly string[];
}

/** One statement, to be run in a transaction of its own. */
export interface DistributionStep {
  readonly statement: string;
  /** What it does, for whoever watches. */
  readonly doing: string;
}

/** The small tables that every node has whole: channels, tokens, and the schema's age. */
const EVERYWHERE = ['channels', 'kysely_migration', 'tokens'];
/** The table whose rows say where those of the others lie. */
const ANCHOR = 'leases';

/**
 * The steps that are left, in their order: functions, the tables that every node has whole, the
 * leases, the tables that lie beside them, then the copies left behind, then the views. A plan made
 * again after some steps begins with those that are not done; what may be repeated always is.
 * `shardCount`: into how many parts the tables are cut; the server's setting if not given.
 */
export function distributionPlan(
  { tables, views, functions }: Catalogue,
  shardCount?: number,
): DistributionStep[] {
  const local = tables.filter(({ placement }) => placement === 'local');
  const cut = local.filter(({ hasChannelId }) => hasChannelId);
  const whole = local.filter(({ name }) => EVERYWHERE.includes(name));
  const moved = [...cut, ...whole];
  const left = tables.filter((table) => {
    return moved.includes(table) || (table.placement !== 'local' && table.hasLocalRows);
  });
  return [
    ...functions.toSorted(byText).map(copyFunction),
    ...whole.toSorted(byName).map(copyTable),
    ...cut.filter(isAnchor).map(() => cutAnchor(shardCount)),
    ...cut
      .filter((table) => !isAnchor(table))
      .toSorted(byName)
      .map(cutTable),
    ...left.toSorted(byDependence).map(removeLocalRows),
    ...views.toSorted(byName).map(copyView),
  ];
}

function copyFunction(signature: string): DistributionStep {
  return {
    statement: `SELECT create_distributed_function(${literal(signature)})`,
    doing: `copying the function ${signature} to every node`,
  };
}

function copyTable({ name }: CataloguedTable): DistributionStep {
  return {
    statement: `SELECT create_reference_table(${literal(name)})`,
    doing: `copying the table ${name} to every node`,
  };
}

function cutAnchor(shardCount: number | undefined): DistributionStep {
  const parts = shardCount === undefined ? '' : `, shard_count => ${shardCount}`;
  return {
    statement:
      `SELECT create_distributed_table('${ANCHOR}', 'channel_id', colocate_with => 'none'` +
      `${parts})`,
    doing: `spreading ${ANCHOR} by channel`,
  };
}

function cutTable({ name }: CataloguedTable): DistributionStep {
  return {
    statement:
      `SELECT create_distributed_table(${literal(name)}, 'channel_id', ` +
      `colocate_with => '${ANCHOR}')`,
    doing: `spreading ${name} by channel, each where its lease is`,
  };
}

function removeLocalRows({ name }: CataloguedTable): DistributionStep {
  return {
    statement: `SELECT truncate_local_data_after_distributing_table(${literal(name)})`,
    doing: `removing what ${name} has left on this node`,
  };
}

/** Made again, since only what is made on a cluster becomes known to all its nodes. */
function copyView({ name, query }: CataloguedView): DistributionStep {
  return {
    statement: `CREATE OR REPLACE VIEW ${name} AS ${query.trim().replace(/;$/, '')}`,
    doing: `copying the view ${name} to every node`,
  };
}

function isAnchor({ name }: CataloguedTable): boolean {
  return name === ANCHOR;
}

/** What others refer to comes last: to empty it empties them. */
function byDependence(a: CataloguedTable, b: CataloguedTable): number {
  return Number(b.hasChannelId) - Number(a.hasChannelId) || byName(a, b);
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return byText(a.name, b.name);
}

function byText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
