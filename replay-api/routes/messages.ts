// The history itself: messages as a JSON page or as NDJSON, and how complete a range of a session
// is.

import { Readable } from 'node:stream';
import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { findChannel, openReading, readCompleteness, tailOf } from '#archive/mod.ts';
import { BackcastError, formatInstant } from '#base/mod.ts';
import { negotiate } from '../accept.ts';
import { ChannelParams, CompletenessQuery, MessagesQuery, PAGE_ITEMS_MAX } from '../contract.ts';
import { jsonPage, type MessageAnswer, ndjsonChunks } from '../message-answer.ts';
import { assertNotInverted, toMessageRequest, toSessionId } from '../message-request.ts';
import type { ReadDatabases } from '../read-databases.ts';
import type { ReaderGuard } from '../reader-guard.ts';
import { withProblems } from './answers.ts';

/** What it takes to ask for messages. */
const READ = { scope: 'read' } as const;
const JSON_TYPE = 'application/json';
const NDJSON_TYPE = 'application/x-ndjson';

/** What these routes are made of. */
export interface MessageRoutesOptions {
  readonly reads: ReadDatabases;
  readonly admitReader: ReaderGuard;
}

/** Messages and completeness. */
export const messageRoutes: FastifyPluginCallbackTypebox<MessageRoutesOptions> = (
  app,
  { reads, admitReader },
  done,
) => {
  app.get(
    '/v1/channels/:channel/messages',
    { schema: MESSAGES, config: READ },
    async (request, reply) => {
      const { limit } = request.query;
      const type = chooseType(request.headers.accept);
      if (type === JSON_TYPE) assertPageLimit(limit);
      const wanted = toMessageRequest(request.query);
      admitReader(request, reply);
      const begun = await reads.use(async (opened) => {
        const channel = await findChannel(opened.database, request.params.channel);
        return { opened, channel, reading: await openReading(opened, channel, wanted) };
      });
      const answer = { ...begun, limit, note: request.access.note(begun.channel) };
      void reply.header('vary', 'accept');
      if (type === JSON_TYPE) return sendPage(reply, answer);
      return reply.type(NDJSON_TYPE).send(await streamLines(answer));
    },
  );

  app.get(
    '/v1/channels/:channel/completeness',
    { schema: COMPLETENESS, config: READ },
    async (request) => {
      const { first, last } = request.query;
      const session = toSessionId(request.query.session);
      assertNotInverted('first', first, 'last', last);
      const { channel, found } = await reads.use(async ({ database }) => {
        const named = await findChannel(database, request.params.channel);
        const range = { session, first, last };
        return { channel: named, found: await readCompleteness(database, named, range) };
      });
      const { source, state, watermark } = found.session;
      const lost = found.lost.map(({ packetCount, ...range }) => ({
        ...range,
        packets: packetCount,
      }));
      const deleted = found.deleted.map(({ messageCount, deletedAtUs, ...range }) => {
        const { first: from, last: through, policy } = range;
        const deletedAt = formatInstant(deletedAtUs);
        return { first: from, last: through, messages: messageCount, deletedAt, policy };
      });
      const tail = tailOf(found.session);
      const named = { channel: channel.name, session, source, state, tail, watermark };
      return { ...found, lost, deleted, ...named };
    },
  );
  done();
};

const MESSAGES = {
  summary: 'Read messages',
  description:
    'By position (`after`, `before`), by publish time (`from`, `to`, half-open), or of one ' +
    'session by sequence (`session`, `first`, `last`, both ends included). With `Accept: ' +
    'application/json` a page whose `next` leads to the following one; with `Accept: ' +
    'application/x-ndjson` everything, streamed, one object per line, ending with a line of ' +
    'kind `end`: without it the answer was cut off. To go on later, ask again with `after` = ' +
    '`archivedThrough`. When a lost message was published is not known; an interval of publish ' +
    'times names every loss that may lie in it. What a policy has deleted is named as well.',
  operationId: 'readMessages',
  tags: ['history'],
  params: ChannelParams,
  querystring: MessagesQuery,
  response: withProblems(
    {
      200: {
        description: 'The messages, and what is lost or deleted among them.',
        content: {
          [JSON_TYPE]: { schema: Type.Ref('MessagePage#') },
          [NDJSON_TYPE]: { schema: Type.Ref('MessageLine#') },
        },
      },
    },
    [400, 404, 406, 410, 422, 503],
  ),
} as const;

const COMPLETENESS = {
  summary: 'Tell whether a range of a session is complete',
  description:
    'complete: every message is stored. partial: `lost` names what is not, and why. deleted: ' +
    '`deleted` names what a policy has deleted since, and `lost` what is lost. unsettled: the ' +
    'archive has got no further than before `unsettledFrom`. unknown: the publisher fell ' +
    'silent, and whether it published anything from `unknownFrom` on nobody knows.',
  operationId: 'getCompleteness',
  tags: ['history'],
  params: ChannelParams,
  querystring: CompletenessQuery,
  response: withProblems({ 200: Type.Ref('Completeness#') }, [400, 404, 422, 503]),
} as const;

function chooseType(accept: string | undefined): typeof JSON_TYPE | typeof NDJSON_TYPE {
  const type = negotiate(accept, [JSON_TYPE, NDJSON_TYPE]);
  if (type !== undefined) return type;
  throw new BackcastError(
    'BACKCAST_NOT_ACCEPTABLE',
    `Messages are served as ${JSON_TYPE} and ${NDJSON_TYPE}. Name one of them in Accept.`,
  );
}

function assertPageLimit(limit: number | undefined): void {
  if (limit === undefined || limit <= PAGE_ITEMS_MAX) return;
  throw new BackcastError(
    'BACKCAST_RANGE_INVALID',
    `Parameter "limit" is ${limit}: a JSON page has at most ${PAGE_ITEMS_MAX} items. ` +
      `Follow "next", or accept ${NDJSON_TYPE}, which has no bound.`,
  );
}

async function sendPage(reply: FastifyReply, answer: MessageAnswer): Promise<FastifyReply> {
  const { text, next } = await jsonPage(answer);
  if (next !== null) void reply.header('link', `<${next}>; rel="next"`);
  return reply.type(JSON_TYPE).send(text);
}

async function streamLines(answer: MessageAnswer): Promise<Readable> {
  const chunks = await ndjsonChunks(answer);
  return Readable.from(chunks, { objectMode: true, highWaterMark: 1 });
}
