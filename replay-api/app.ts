// Builds the replay API: everything but listening, so that tests and other servers can have it
// without a port. Reads the archive; what it writes down is who read what.

import { randomUUID } from 'node:crypto';
import type { ServerOptions } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { fastify, type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import type { OpenDatabase, Replica } from '#archive/mod.ts';
import { BackcastError } from '#base/mod.ts';
import type { MetricFamily } from '#multicast/metrics/mod.ts';
import type { AccessControl } from './access/access-control.ts';
import { accessFamilies, newAccessCounters } from './access/access-metrics.ts';
import { installAccess } from './access/request-access.ts';
import { ChannelWatch, TAIL_BOUNDS, type TailBounds } from './channel-watch.ts';
import { countRequests, loadFamilies } from './api-metrics.ts';
import { type CertificateText, TLS_VERSION_MIN } from './certificate.ts';
import { withExamples } from './contract-examples.ts';
import { SHARED_SCHEMAS } from './contract.ts';
import { API_LIMITS_DEFAULT, type ApiLimits } from './limits.ts';
import { installContentEncoding } from './plugins/content-encoding.ts';
import { installEntityTags } from './plugins/entity-tags.ts';
import { installOpenApi, serveOpenApi } from './plugins/openapi.ts';
import { installProblems, sendProblem } from './plugins/problems.ts';
import { installRateLimit } from './plugins/rate-limit.ts';
import { type ReadDatabases, readDatabases } from './read-databases.ts';
import { createReaderGuard } from './reader-guard.ts';
import { availabilityOf } from './routes/answers.ts';
import { accessRoutes } from './routes/access.ts';
import { catalogueRoutes } from './routes/catalogue.ts';
import { completenessRoutes } from './routes/completeness.ts';
import { conflictRoutes } from './routes/conflicts.ts';
import { exportRoutes } from './routes/export.ts';
import { messageRoutes } from './routes/messages.ts';
import { operationRoutes } from './routes/operation.ts';
import { tailRoutes } from './routes/tail.ts';
import { strictValidatorCompiler } from './strict-query.ts';
import { tailFamilies } from './tail-metrics.ts';

/** What the API is made of. The database stays the caller's to close. */
export interface ReplayApiOptions {
  readonly database: OpenDatabase;
  readonly logger: FastifyBaseLogger;
  /** A replica to read from while it is usable. It stays the caller's to dispose of. */
  readonly replica?: Replica | undefined;
  /** Bounds that differ from API_LIMITS_DEFAULT. */
  readonly limits?: Partial<ApiLimits>;
  /**
   * Who may ask; the caller's to close, after the API. Not given: everybody may do everything, and
   * nothing is noted.
   */
  readonly access?: AccessControl | undefined;
  /** What the API proves itself with when it is listened to; plain HTTP if not given. */
  readonly certificate?: CertificateText | undefined;
  /** How tails are served: TAIL_BOUNDS if not given. */
  readonly tailBounds?: TailBounds;
  /** Metrics of other parts of the process, for GET /metrics beside those of the API. */
  readonly collectMetrics?: () => readonly MetricFamily[];
}

/** A whole request must be in within this time: it is a line and a few headers. */
const REQUEST_MS_MAX = 10_000;
/** An idle connection is kept this long, more than the pollers' usual interval. */
const KEEP_ALIVE_MS = 30_000;
/** Hardly a route takes a body; this much of one is read before it is refused. */
const BODY_BYTES_MAX = 1_024;
const HEADER_BYTES_MAX = 16_384;
/**
 * Longer than any parameter can be, so that too long a name is refused by the contract, in its
 * words.
 */
const PARAMETER_CHARACTERS_MAX = 1_024;

/** How soon after its time a request that is not in is noticed and ended. */
const LATE_CHECK_MS = 1_000;

/** Fastify takes the same bounds under another name where TLS is spoken. */
function connectionOptions({ certificate }: ReplayApiOptions): { readonly http: ServerOptions } {
  const bounds = {
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: REQUEST_MS_MAX,
    connectionsCheckingInterval: LATE_CHECK_MS,
  };
  if (certificate === undefined) return { http: bounds };
  const https = { ...bounds, ...certificate, minVersion: TLS_VERSION_MIN };
  return { https } as unknown as { readonly http: ServerOptions };
}

/** The API, ready to be listened with or injected into. Closing it leaves the database open. */
export async function createReplayApi(options: ReplayApiOptions): Promise<FastifyInstance> {
  const app = newApplication(options);
  const limits = { ...API_LIMITS_DEFAULT, ...options.limits };
  app.server.maxConnections = limits.connectionsMax;
  const requestFamilies = countRequests(app);
  await installRateLimit(app, limits);
  const { database, replica } = options;
  const reads = readDatabases({ database, replica, sharedBytesMax: limits.sharedBytesMax });
  app.addHook('onClose', async () => reads[Symbol.dispose]());
  installProblems(app, (channel) => availabilityOf(reads, channel));
  installAccess(app, options.access);
  app.setValidatorCompiler(strictValidatorCompiler);
  app.addHook('onSend', async (_request, reply) => {
    void reply.header('x-content-type-options', 'nosniff').header('cache-control', 'no-store');
  });
  installEntityTags(app);
  installContentEncoding(app);
  for (const schema of SHARED_SCHEMAS) app.addSchema(withExamples(schema));
  await installOpenApi(app);
  await registerRoutes(app, { ...options, limits, reads, requestFamilies });
  await serveOpenApi(app);
  await app.ready();
  return app;
}

function newApplication(options: ReplayApiOptions): FastifyInstance {
  const app = fastify({
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => randomUUID(),
    requestIdHeader: false,
    trustProxy: false,
    exposeHeadRoutes: true,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_MS_MAX,
    connectionTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: 'idle',
    return503OnClosing: true,
    routerOptions: { maxParamLength: PARAMETER_CHARACTERS_MAX, caseSensitive: true },
    ...connectionOptions(options),
    frameworkErrors: (error, request, reply) => {
      const problem = new BackcastError('BACKCAST_RANGE_INVALID', error.message);
      sendProblem(request, reply, problem, error.statusCode);
    },
  }).withTypeProvider<TypeBoxTypeProvider>();
  return app;
}

interface RouteParts extends ReplayApiOptions {
  readonly limits: ApiLimits;
  readonly reads: ReadDatabases;
  readonly requestFamilies: () => readonly MetricFamily[];
}

async function registerRoutes(app: FastifyInstance, parts: RouteParts): Promise<void> {
  const { database: opened, reads, logger, limits, tailBounds = TAIL_BOUNDS } = parts;
  const readers = createReaderGuard(limits);
  const tails = createReaderGuard({ ...limits, ...limits.tails });
  const watch = new ChannelWatch({ ...tailBounds, opened, logger });
  await app.register(catalogueRoutes, { reads });
  await app.register(conflictRoutes, { reads });
  await app.register(messageRoutes, { reads, admitReader: readers.admit });
  await app.register(completenessRoutes, { reads });
  await app.register(exportRoutes, { reads, admitReader: readers.admit });
  await app.register(tailRoutes, { reads, watch, admitReader: tails.admit });
  const collectMetrics = (): readonly MetricFamily[] => [
    ...parts.requestFamilies(),
    ...accessFamilies(parts.access?.counters ?? newAccessCounters()),
    ...tailFamilies(watch.counters, watch.channelCount),
    ...loadFamilies(readers, reads.counts),
    ...(parts.collectMetrics?.() ?? []),
  ];
  await app.register(accessRoutes, { opened });
  await app.register(operationRoutes, { opened, collectMetrics });
}
