// Turns every failure into problem+json (RFC 9457) with a code from the registry of errors, also
// those that happen before a route is found. Must be installed before any route: what is registered
// earlier would keep the framework's own answers.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { BackcastError, ERRORS, toError } from '#base/mod.ts';

/** When a caller may try again after the database was away, or there were too many of them. */
const RETRY_AFTER_SECONDS = 2;

/** What there is of a channel. */
export type Availability = (channel: string) => Promise<object>;

/** Answers errors and unknown addresses as problems; history that is gone with what there is. */
export function installProblems(app: FastifyInstance, availability: Availability): void {
  const database = databaseLog(app);
  app.setErrorHandler(async (error, request, reply) => {
    const problem = toProblemError(error);
    if (problem.code === 'BACKCAST_DATABASE_UNREACHABLE') database.wentAway(problem);
    else if (problem.code === 'BACKCAST_INTERNAL') {
      request.log.error({ err: error }, 'request failed');
    }
    const status = statusOf(error, problem);
    const members = await membersOf(problem, request, availability);
    return sendProblem(request, reply, problem, status, members);
  });
  app.setNotFoundHandler((request, reply) => {
    const detail =
      request.method === 'GET'
        ? `${request.url} is not an address of this API. GET / lists where to begin.`
        : `${request.method} is not served here: this API is read with GET, and many ranges ` +
          'at once with POST …/messages:fetch.';
    return sendProblem(request, reply, new BackcastError('BACKCAST_NOT_FOUND', detail));
  });
  app.addHook('onResponse', async (request, reply) => {
    if (reply.statusCode < 400 && request.url.startsWith('/v1/')) database.answers();
  });
}

async function membersOf(
  problem: BackcastError,
  request: FastifyRequest,
  availability: Availability,
): Promise<object> {
  if (problem.httpStatus !== 410) return {};
  const { channel = '' } = request.params as { readonly channel?: string };
  try {
    return { available: await availability(channel) };
  } catch {
    return {};
  }
}

/** Sends `problem` as the answer to `request`. */
export function sendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  problem: BackcastError,
  status: number = problem.httpStatus,
  members: object = {},
): FastifyReply {
  if (status === 401) void reply.header('www-authenticate', 'Bearer realm="backcast"');
  const isForLater = status === 503 || status === 429;
  if (isForLater && !reply.hasHeader('retry-after')) {
    void reply.header('retry-after', RETRY_AFTER_SECONDS);
  }
  const text = JSON.stringify({
    type: `urn:backcast:error:${problem.code}`,
    title: ERRORS[problem.code].title,
    status,
    detail: problem.message,
    code: problem.code,
    instance: `urn:uuid:${request.id}`,
    ...members,
  });
  return reply.code(status).type('application/problem+json').send(text);
}

/**
 * What went wrong in our words. A failure that nobody foresaw is a bug, and its details stay in the
 * log.
 */
function toProblemError(error: unknown): BackcastError {
  if (error instanceof BackcastError) return error;
  const status = httpStatusIn(error);
  if (status !== undefined && status < 500) {
    return new BackcastError('BACKCAST_RANGE_INVALID', toError(error).message, { cause: error });
  }
  return new BackcastError('BACKCAST_INTERNAL', 'The log has the details under this instance.', {
    cause: error,
  });
}

/** Refusals of the framework, such as a path that cannot be decoded, keep their own status. */
function statusOf(error: unknown, problem: BackcastError): number {
  const status = httpStatusIn(error);
  const isForeign = !(error instanceof BackcastError) && status !== undefined && status < 500;
  return isForeign ? status : problem.httpStatus;
}

function httpStatusIn(error: unknown): number | undefined {
  const known = toError(error);
  const isStated = 'statusCode' in known && typeof known.statusCode === 'number';
  return isStated && Number(known.statusCode) >= 400 ? Number(known.statusCode) : undefined;
}

/** Logs once that the database went away and once that it is back, however many requests notice. */
function databaseLog(app: FastifyInstance): {
  readonly wentAway: (error: BackcastError) => void;
  readonly answers: () => void;
} {
  let isAway = false;
  return {
    wentAway: (error) => {
      if (!isAway) app.log.warn({ err: error }, 'database unreachable');
      isAway = true;
    },
    answers: () => {
      if (isAway) app.log.info('database reachable again');
      isAway = false;
    },
  };
}
