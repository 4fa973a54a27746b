// Whether this server can answer, and where to begin.

import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import {
  type Durability,
  ensureSchema,
  type OpenDatabase,
  readBacklog,
  readDurability,
} from '#archive/mod.ts';
import { BackcastError } from '#base/mod.ts';
import { EXPOSITION_TYPE, type MetricFamily, renderMetrics } from '#multicast/metrics/mod.ts';
import type { Readiness } from '../contract-operation.ts';
import { withOwnProblems } from '../contract-problems.ts';

/** What these routes need. */
interface OperationOptions {
  readonly opened: OpenDatabase;
  readonly collectMetrics: () => readonly MetricFamily[];
}

/** Index, health, readiness, metrics. */
export const operationRoutes: FastifyPluginCallbackTypebox<OperationOptions> = (
  app,
  { opened, collectMetrics },
  done,
) => {
  app.get('/', { schema: INDEX, config: PUBLIC }, async () => ({
    name: 'backcast' as const,
    channels: '/v1/channels',
    docs: '/docs',
    openapi: '/openapi.json',
    health: '/healthz',
    readiness: '/readyz',
  }));
  app.get('/healthz', { schema: HEALTH, config: PUBLIC }, async () => ({ status: 'ok' as const }));
  app.get(
    '/readyz',
    { schema: READINESS, config: { scope: 'optional' } },
    async (request, reply) => {
      const found = await readReadiness(opened);
      const readiness = request.access.isAdmin ? found : withoutDetails(found);
      return reply.code(readiness.status === 'ready' ? 200 : 503).send(readiness);
    },
  );
  // Not described by the contract: its readers know the format, not OpenAPI.
  app.get('/metrics', { schema: METRICS, config: ADMIN }, (_request, reply) =>
    reply.type(EXPOSITION_TYPE).send(renderMetrics(collectMetrics())),
  );
  done();
};

/** What it takes to ask: nothing. Who watches the process is not kept from it by those who read. */
const PUBLIC = { scope: 'public', isUnlimited: true } as const;
const ADMIN = { scope: 'admin', isUnlimited: true } as const;

const PROBLEMS = ['BACKCAST_RANGE_INVALID', 'BACKCAST_INTERNAL'] as const;
const nothing = Type.Object({}, { additionalProperties: false });

const INDEX = {
  summary: 'Show where to begin',
  operationId: 'getIndex',
  tags: ['operation'],
  querystring: nothing,
  response: withOwnProblems({ 200: Type.Ref('Index#') }, PROBLEMS),
} as const;

const METRICS = { hide: true, operationId: 'getMetrics', querystring: nothing } as const;

const HEALTH = {
  summary: 'Tell whether the process runs',
  operationId: 'getHealth',
  tags: ['operation'],
  querystring: nothing,
  response: withOwnProblems({ 200: Type.Ref('Health#') }, PROBLEMS),
} as const;

const READINESS = {
  summary: 'Tell whether requests can be answered',
  description:
    'And how far the archive is behind, which does not make it unready: history is served.',
  operationId: 'getReadiness',
  tags: ['operation'],
  querystring: nothing,
  response: withOwnProblems({ 200: Type.Ref('Readiness#'), 503: Type.Ref('Readiness#') }, [
    ...PROBLEMS,
    'BACKCAST_RATE_LIMITED',
  ]),
} as const;

async function readReadiness(opened: OpenDatabase): Promise<Readiness> {
  try {
    await ensureSchema(opened.database);
    return {
      status: 'ready',
      database: 'reachable',
      schema: 'current',
      archive: await readBacklog(opened.database),
      durability: toContract(await readDurability(opened.database)),
      detail: null,
    };
  } catch (error) {
    if (!(error instanceof BackcastError)) throw error;
    const isSchema = error.code === 'BACKCAST_SCHEMA_MISSING';
    return {
      status: 'unready',
      database: isSchema ? 'reachable' : 'unreachable',
      schema: isSchema ? 'missing' : 'unknown',
      archive: null,
      durability: null,
      detail: error.message,
    };
  }
}

/** What strangers may know: whether to send requests here. */
function withoutDetails(readiness: Readiness): Readiness {
  return { ...readiness, archive: null, durability: null, detail: null };
}

function toContract({ state, reasons }: Durability): Readiness['durability'] {
  return { state, reasons: [...reasons] };
}
