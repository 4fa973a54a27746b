// Spreads the tables of an archive over a Citus cluster. Reads from the catalogue what is left to
// do, does it one statement at a time, and can be ended and called again at any point: between two
// statements the archive is whole and can be written and read, wherever its tables lie. What is to
// be done decides distribution-plan.ts.

import type { Client } from 'pg';
import { BackcastError } from '#base/mod.ts';
import { connectDedicated, openDatabase } from './connect.ts';
import {
  type Catalogue,
  type CataloguedTable,
  type DistributionStep,
  distributionPlan,
} from './distribution-plan.ts';
import { ensureSchema } from './migrate.ts';
import { toDatabaseError } from './sqlstate.ts';

export type { DistributionStep } from './distribution-plan.ts';

/** What to do, and whom to tell. */
export interface DistributeOptions {
  /** The coordinator of the cluster. */
  readonly url: string;
  /** Into how many parts the tables are cut; the server's citus.shard_count if not given. */
  readonly shardCount?: number | undefined;
  /** Go on although archivers write: their batches then wait for each table. */
  readonly isForced: boolean;
  /** Called before each step, which has `index`, from 1, of `count`. */
  readonly onStep: (step: DistributionStep, index: number, count: number) => void;
}

const APPLICATION_NAME = 'backcast migrate';
/** Any number that nothing else takes as an advisory lock. */
const LOCK = 7_114_300_621;

/**
 * Does what is left to do; returns the steps. Repeatable; two at once take turns. Errors:
 * BACKCAST_CITUS_MISSING, BACKCAST_LEASE_HELD if archivers write and `isForced` is not set,
 * BACKCAST_SCHEMA_MISSING, BACKCAST_DATABASE_UNREACHABLE, BACKCAST_DATABASE_REFUSED.
 */
export async function distributeArchive(options: DistributeOptions): Promise<DistributionStep[]> {
  return withClient(options.url, async (client) => {
    if (!options.isForced) await assertNobodyWrites(client);
    await assertCoordinator(client);
    await client.query('SELECT pg_advisory_lock($1::bigint)', [LOCK]);
    const steps = distributionPlan(await readCatalogue(client), options.shardCount);
    for (const [index, step] of steps.entries()) {
      options.onStep(step, index + 1, steps.length);
      await client.query(step.statement).catch((error: unknown) => {
        throw toDatabaseError(error, step.doing);
      });
    }
    return steps;
  });
}

/**
 * The steps that distributeArchive would do; changes nothing. Without Citus, all of them. Errors as
 * there, but for the first two.
 */
export async function planDistribution(
  url: string,
  shardCount?: number,
): Promise<DistributionStep[]> {
  return withClient(url, async (client) => {
    return distributionPlan(await readCatalogue(client), shardCount);
  });
}

async function withClient<Answer>(
  url: string,
  use: (client: Client) => Promise<Answer>,
): Promise<Answer> {
  await assertSchema(url);
  const connection = await connectDedicated({
    url,
    applicationName: APPLICATION_NAME,
    statementTimeoutMs: 0,
  });
  try {
    return await use(connection.client);
  } catch (error) {
    throw toDatabaseError(error, 'distributing the archive');
  } finally {
    await connection.end().catch(() => undefined);
  }
}

async function assertSchema(url: string): Promise<void> {
  await using opened = openDatabase({
    url,
    applicationName: APPLICATION_NAME,
    statementTimeoutMs: 10_000,
    poolConnectionsMax: 1,
  });
  await ensureSchema(opened.database);
}

async function assertNobodyWrites(client: Client): Promise<void> {
  const { rows } = await client.query<{ holder: string; channels: number }>(
    `SELECT holder, count(*) AS channels FROM leases
     WHERE holder IS NOT NULL AND expires_at > now() GROUP BY holder ORDER BY holder`,
  );
  if (rows.length === 0) return;
  const holders = rows.map(({ holder, channels }) => `${holder} (channels: ${channels})`);
  throw new BackcastError(
    'BACKCAST_LEASE_HELD',
    `archivers write to this database: ${holders.join(', ')}. Stop them first; with --force the ` +
      'tables are moved under them, and what they hear waits in their spools meanwhile.',
  );
}

async function assertCoordinator(client: Client): Promise<void> {
  if (!(await hasCitus(client))) {
    throw citusMissing(
      'this database has no extension citus. Make it on every node of the cluster (CREATE ' +
        'EXTENSION citus) and name the nodes to the coordinator (citus_add_node)',
    );
  }
  const { rows } = await client.query<{ groupid: number }>(
    'SELECT groupid FROM pg_dist_local_group',
  );
  if (rows[0]?.groupid === 0) return;
  throw citusMissing('this node of the cluster is a worker. Name the coordinator as DATABASE_URL');
}

function citusMissing(problem: string): BackcastError {
  const message = `${problem}; then run backcast migrate --distribute again. See docs/scaling.md.`;
  return new BackcastError('BACKCAST_CITUS_MISSING', message);
}

async function hasCitus(client: Client): Promise<boolean> {
  const { rows } = await client.query("SELECT 1 FROM pg_extension WHERE extname = 'citus'");
  return rows.length > 0;
}

async function readCatalogue(client: Client): Promise<Catalogue> {
  const isCitus = await hasCitus(client);
  const tables = await client.query<CataloguedTable>(tablesQuery(isCitus));
  const views = await client.query<{ name: string; query: string }>(VIEWS);
  const functions = await client.query<{ signature: string }>(FUNCTIONS);
  return {
    tables: tables.rows,
    views: views.rows,
    functions: functions.rows.map(({ signature }) => signature),
  };
}

const OWN_RELATION = `
  c.relnamespace = current_schema()::regnamespace AND NOT c.relispartition
  AND NOT EXISTS (SELECT 1 FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`;

/** On a coordinator that holds shards, these lie beside the tables they are parts of. */
function tablesQuery(isCitus: boolean): string {
  const placement = isCitus
    ? `coalesce((SELECT CASE WHEN p.partmethod = 'h' THEN 'distributed'
                             WHEN p.partmethod = 'n' AND p.repmodel = 't' THEN 'reference' END
                 FROM pg_dist_partition p WHERE p.logicalrelid = c.oid), 'local')`
    : `'local'`;
  return `
SELECT quote_ident(c.relname) AS name, ${placement} AS placement,
       EXISTS (SELECT 1 FROM pg_attribute a
               WHERE a.attrelid = c.oid AND a.attname = 'channel_id' AND NOT a.attisdropped)
         AND c.relname <> 'channels' AS "hasChannelId",
       (SELECT coalesce(sum(pg_relation_size(part.relid)), 0) > 0
        FROM pg_partition_tree(c.oid) AS part) AS "hasLocalRows"
FROM pg_class c
WHERE c.relkind IN ('r', 'p') AND ${OWN_RELATION}
  ${isCitus ? 'AND NOT relation_is_a_known_shard(c.oid)' : ''}
ORDER BY c.relname`;
}

const VIEWS = `
SELECT quote_ident(c.relname) AS name, pg_get_viewdef(c.oid) AS query
FROM pg_class c WHERE c.relkind = 'v' AND ${OWN_RELATION} ORDER BY c.relname`;

const FUNCTIONS = `
SELECT p.oid::regprocedure::text AS signature FROM pg_proc p
WHERE p.pronamespace = current_schema()::regnamespace AND p.prokind = 'f'
  AND NOT EXISTS (SELECT 1 FROM pg_depend d
                  WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
ORDER BY 1`;
