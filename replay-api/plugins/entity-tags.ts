// Tags answers in JSON by what they say, so that who asks again for the same is told in a line that
// nothing has changed. The answer is made all the same: the tag saves its way, not its making.

import { createHash } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';

const TAG_CHARACTERS = 16;

/** Tags what the routes of `app` below /v1 answer as a whole, and the document of the API. */
export function installEntityTags(app: FastifyInstance): void {
  app.addHook('onSend', async (request, reply, payload: unknown) => {
    if (typeof payload !== 'string' || reply.statusCode !== 200 || !isTagged(request)) {
      return payload;
    }
    const digest = createHash('sha256').update(payload).digest('base64url');
    const tag = `W/"${digest.slice(0, TAG_CHARACTERS)}"`;
    void reply.header('etag', tag).header('cache-control', 'private, no-cache');
    if (!isAmong(tag, request.headers['if-none-match'])) return payload;
    void reply.code(304).removeHeader('content-type').removeHeader('content-length');
    return '';
  });
}

function isTagged({ method, url }: FastifyRequest): boolean {
  const isAnswer = url.startsWith('/v1/') || url === '/openapi.json';
  return (method === 'GET' || method === 'HEAD') && isAnswer;
}

function isAmong(tag: string, wanted: string | undefined): boolean {
  if (wanted === undefined) return false;
  return wanted.split(',').some((one) => one.trim() === '*' || one.trim() === tag);
}
