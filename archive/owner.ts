// Where batches go when the tables are spread over several nodes: to the node that has the
// channel's rows, which saves the way through the coordinator. Only a matter of speed: any node
// takes any batch, the fence holds wherever it is read, and a node that cannot be reached is gone
// around.

import { sql } from 'kysely';
import { Appender, type AppenderOptions } from './append.ts';
import type { ArchiveDatabase } from './connect.ts';
import { sqlStateOf, toDatabaseError } from './sqlstate.ts';
import type { AppendResult, ArchiveBatch } from './types.ts';

/**
 * `url` with the host and port of the node that has the rows of the channel; `url` itself where the
 * tables are not spread. The name of the node is the one that the cluster knows it by. Errors:
 * BACKCAST_DATABASE_UNREACHABLE.
 */
export async function findOwnerUrl(
  database: ArchiveDatabase,
  url: string,
  channelId: number,
): Promise<string> {
  try {
    const found = await sql<NodePlace>`
      SELECT node.nodename AS host, node.nodeport AS port, node.groupid AS "groupId"
      FROM pg_dist_placement placement
      JOIN pg_dist_node node ON node.groupid = placement.groupid
      WHERE node.noderole = 'primary' AND placement.shardid =
        (SELECT get_shard_id_for_distribution_column('leases', ${channelId}::int))
      LIMIT 1`.execute(database);
    const [owner] = found.rows;
    return owner === undefined || owner.groupId === COORDINATOR ? url : atNode(url, owner);
  } catch (error) {
    if (NOT_SPREAD.includes(sqlStateOf(error) ?? '')) return url;
    throw toDatabaseError(error, `looking for the node of channel ${channelId}`);
  }
}

interface NodePlace {
  readonly host: string;
  readonly port: number;
  readonly groupId: number;
}

/** Often known to itself as localhost, which is somebody else here. */
const COORDINATOR = 0;
/** No Citus; tables that were not distributed; a user who may not ask. */
const NOT_SPREAD = ['42P01', '42883', '42P16', '42501'];

function atNode(url: string, { host, port }: NodePlace): string {
  const changed = new URL(url);
  changed.hostname = host.includes(':') ? `[${host}]` : host;
  changed.port = String(port);
  return changed.href;
}

/** What an OwnerAppender needs. */
export interface OwnerAppenderOptions extends AppenderOptions {
  /** Where the batches of a channel are best sent, see findOwnerUrl. */
  readonly findUrl: (channelId: number) => Promise<string>;
  readonly nowMs: () => number;
}

/** After a failure, how long batches go through the database's own address. */
const AVOID_MS = 30_000;

/**
 * An Appender with a connection per node. What fails at a node goes through `url` for a while: the
 * node may have another name here than among the nodes, or have given its rows to another.
 */
export class OwnerAppender implements AsyncDisposable {
  readonly #options: OwnerAppenderOptions;
  readonly #appenders = new Map<string, Appender>();
  readonly #urls = new Map<number, string>();
  #avoidUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: OwnerAppenderOptions) {
    this.#options = options;
  }

  /** As Appender.append, which says what a failure means and that a batch may be repeated. */
  async append(batch: ArchiveBatch): Promise<AppendResult> {
    const url = await this.#urlOf(batch.channelId);
    try {
      return await this.#appenderAt(url).append(batch);
    } catch (error) {
      this.#urls.clear();
      if (url !== this.#options.url) this.#avoidUntilMs = this.#options.nowMs() + AVOID_MS;
      throw error;
    }
  }

  /** Ends the connections. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#appenders.values()].map((appender) => appender.close()));
  }

  async #urlOf(channelId: number): Promise<string> {
    if (this.#options.nowMs() < this.#avoidUntilMs) return this.#options.url;
    const known = this.#urls.get(channelId);
    if (known !== undefined) return known;
    const found = await this.#options.findUrl(channelId);
    this.#urls.set(channelId, found);
    return found;
  }

  #appenderAt(url: string): Appender {
    const known = this.#appenders.get(url) ?? new Appender({ ...this.#options, url });
    this.#appenders.set(url, known);
    return known;
  }
}
