// The one place through which every request passes. Each route declares what it takes to be asked
// (`config: { scope }`); what declares nothing does not start. Routes find who asks, and what they
// may, as `request.access`.
//
// A channel that somebody may not read looks as one that does not exist, in every word: a name is
// something to know as well.

import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import { type Channel, unknownChannel } from '#archive/mod.ts';
import {
  allowsAdmin,
  allowsChannel,
  assert,
  BackcastError,
  type ChannelRight,
  patternsOf,
} from '#base/mod.ts';
import { CHANNEL_PATTERN } from '../contract-parts.ts';
import { type AccessControl, credentialIn } from './access-control.ts';
import { type AccessNote, NO_NOTE } from './access-log.ts';
import { AnswerUnderWay } from './answer-under-way.ts';
import { ANYBODY, NOBODY, type Principal } from './principal.ts';

/**
 * What a route takes: nothing; nothing, but it tells some more; some token; a right on the channel
 * in its path; or the scope `admin`.
 */
export type RouteScope = 'public' | 'optional' | 'any' | ChannelRight | 'admin';

/** Who makes a request, and what they may. */
export interface RequestAccess {
  /** `token:ID`, `jwt:SUBJECT`, `anybody` where no token is needed, `nobody` for strangers. */
  readonly who: string;
  /**
   * Fires when the caller loses the right while the answer is under way; the reason is a
   * BackcastError. The connection is cut at once, or CUT_AFTER_MS later if the route has taken this
   * signal, to end its answer in words.
   */
  readonly signal: AbortSignal;
  /**
   * Calls `listener` once, when the answer has been sent or its connection is gone; at once if so.
   * Whoever asks here adds no listener to the response, of which there are not to be many.
   */
  readonly onEnd: (listener: () => void) => void;
  readonly isAdmin: boolean;
  readonly mayRead: (channel: string) => boolean;
  readonly mayExport: (channel: string) => boolean;
  /** Patterns of the names of the channels that may be read. */
  readonly readable: readonly string[];
  /**
   * Notes that messages of `channel` are read, and by whom; once per answer, when the reading
   * begins. `asked` is what was asked for; the query of the URL if not given.
   */
  readonly note: (channel: Pick<Channel, 'channelId'>, asked?: string) => AccessNote;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What it takes to ask this route. */
    scope?: RouteScope;
  }
  interface FastifyRequest {
    /** Who asks, and what they may. */
    access: RequestAccess;
  }
}

/**
 * Lets no request through to a route that `access` does not allow. Without `access` everybody may
 * do everything, and nothing is noted. Must be installed before any route; a route that declares no
 * scope then fails the start of `app`.
 */
export function installAccess(app: FastifyInstance, access: AccessControl | undefined): void {
  const routes: RouteOptions[] = [];
  app.decorateRequest('access', null as unknown as RequestAccess);
  app.addHook('onRoute', (route) => void routes.push(route));
  app.addHook('onReady', async () => {
    for (const { config, method, url } of routes)
      assert(config?.scope !== undefined, `a route declares its scope: ${String(method)} ${url}`);
  });
  app.addHook('onRequest', async (request, reply) => {
    if (request.is404) return;
    const { scope = 'admin' } = request.routeOptions.config;
    const principal = await principalOf(request, access, scope);
    const refusal = refusalOf(principal, scope, request);
    if (refusal !== undefined) {
      if (access !== undefined) access.counters.forbiddenRequests += 1;
      throw refusal;
    }
    request.access = requestAccess(request, reply, principal, access);
  });
}

const CHANNEL_NAME = new RegExp(CHANNEL_PATTERN);

/** Who asks, as far as the route has to know. */
async function principalOf(
  { headers }: FastifyRequest,
  access: AccessControl | undefined,
  scope: RouteScope,
): Promise<Principal> {
  if (access === undefined || access.isOpen) return ANYBODY;
  if (scope === 'public') return NOBODY;
  const identifying = access.identify(headers.authorization);
  if (scope === 'optional') return await identifying.catch(() => NOBODY);
  return await identifying.catch((error: unknown) => {
    const isRefusal = error instanceof BackcastError && error.code === 'BACKCAST_UNAUTHENTICATED';
    if (isRefusal) access.counters.unauthenticatedRequests += 1;
    throw error;
  });
}

/** Why `scopes` do not do for the request; undefined if they do. */
function refusalOf(
  { scopes }: Principal,
  scope: RouteScope,
  { params }: FastifyRequest,
): BackcastError | undefined {
  if (scope === 'public' || scope === 'optional' || scope === 'any') return undefined;
  if (scope === 'admin') {
    const isAllowed = allowsAdmin(scopes);
    return isAllowed ? undefined : forbidden('It takes a token with the scope "admin".');
  }
  const { channel = '' } = params as { readonly channel?: string };
  // No name: the contract refuses it before any route sees it.
  if (!CHANNEL_NAME.test(channel)) return undefined;
  if (allowsChannel(scopes, scope, channel)) return undefined;
  if (!allowsChannel(scopes, 'read', channel)) return unknownChannel(channel);
  return forbidden(`It takes a token with the scope "${scope}:${channel}", or a wider one.`);
}

function requestAccess(
  request: FastifyRequest,
  reply: FastifyReply,
  principal: Principal,
  access: AccessControl | undefined,
): RequestAccess {
  const { who, scopes } = principal;
  const answer = new AnswerUnderWay(request, reply);
  if (access !== undefined && principal !== NOBODY) {
    const isAnybody = principal === ANYBODY;
    const credential = isAnybody ? undefined : credentialIn(request.headers.authorization);
    const revoke = (reason: BackcastError): void => {
      if (answer.revoke(reason)) access.counters.cutAnswers += 1;
    };
    const forget = access.follow({ credential, revoke });
    answer.onEnd(forget);
  }
  return {
    who,
    get signal() {
      return answer.signal;
    },
    onEnd: (listener) => answer.onEnd(listener),
    isAdmin: allowsAdmin(scopes),
    mayRead: (channel) => allowsChannel(scopes, 'read', channel),
    mayExport: (channel) => allowsChannel(scopes, 'export', channel),
    readable: patternsOf(scopes, 'read'),
    note: (channel, asked) => {
      if (access === undefined) return NO_NOTE;
      const { note, end } = access.log.begin({ request, principal, channel, asked });
      answer.onEnd(end);
      return note;
    },
  };
}

function forbidden(detail: string): BackcastError {
  return new BackcastError('BACKCAST_FORBIDDEN', detail);
}
