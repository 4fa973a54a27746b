// The history itself: messages as a JSON page or as a stream of some form, by a range of the
// channel or by many ranges of its sessions.

import { Readable } from 'node:stream';
import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply } from 'fastify';
import { Type } from 'typebox';
import { openChannel, openRanges, openReading } from '#archive/mod.ts';
import { SEGMENTS_TYPE } from '#client/stream/mod.ts';
import { CHANNEL_PROBLEMS, READER_PROBLEMS, withProblems } from '../contract-problems.ts';
import { NO_NOTE } from '../access/access-log.ts';
import { TABLE_EXAMPLE } from '../contract-examples.ts';
import { ChannelParams, FetchBody, MessagesQuery } from '../contract.ts';
import {
  assertFormFits,
  chooseForm,
  JSON_TYPE,
  STREAM_FORMS,
  type StreamForm,
  writerOf,
} from '../message-forms.ts';
import { NDJSON_TYPE } from '../message-lines.ts';
import { jsonPage, type PagedAnswer } from '../message-page.ts';
import { toRanges } from '../message-ranges.ts';
import { toMessageRequest } from '../message-request.ts';
import { Sources } from '../message-sources.ts';
import { type StreamedAnswer, streamChunks } from '../message-stream.ts';
import { CSV_TYPE } from '../message-table.ts';
import type { ReadDatabases } from '../read-databases.ts';
import type { ReaderGuard } from '../reader-guard.ts';
import { sendHead } from './answers.ts';

/** What it takes to ask for messages. */
const READ = { scope: 'read' } as const;
/** A thousand ranges with the longest numbers, and room for some blanks. */
const FETCH_BYTES_MAX = 131_072;

/** What these routes are made of. */
export interface MessageRoutesOptions {
  readonly reads: ReadDatabases;
  readonly admitReader: ReaderGuard;
}

/** Messages by range, and many ranges at once. */
export const messageRoutes: FastifyPluginCallbackTypebox<MessageRoutesOptions> = (
  app,
  { reads, admitReader },
  done,
) => {
  app.route({
    method: 'GET',
    url: '/v1/channels/:channel/messages',
    schema: MESSAGES,
    config: READ,
    handler: async (request, reply) => {
      const { query } = request;
      const form = chooseForm(request.headers.accept, [JSON_TYPE, ...STREAM_FORMS]);
      assertFormFits(form, query);
      const wanted = toMessageRequest(request.params.channel, query);
      admitReader(request, reply);
      const begun = await reads.use(async (opened) => {
        const channel = await openChannel(opened, request.params.channel);
        return { opened, channel, reading: await openReading(opened, channel, wanted) };
      });
      const { opened, channel, reading } = begun;
      void reply.header('vary', 'accept').header('backcast-remaining', reading.remaining);
      // HEAD reads no message, which is all that is noted.
      const note = request.method === 'HEAD' ? NO_NOTE : request.access.note(channel);
      const answer = { channel, reading, query, note, sources: new Sources(opened, channel) };
      if (form === JSON_TYPE) return sendPage(reply, answer);
      const part = { reading, range: undefined };
      return sendStream(reply, { ...answer, opened, form, parts: [part] });
    },
  });

  app.route({
    method: 'POST',
    url: '/v1/channels/:channel/messages::fetch',
    schema: FETCH,
    config: READ,
    bodyLimit: FETCH_BYTES_MAX,
    handler: async (request, reply) => {
      const form = chooseForm(request.headers.accept, STREAM_FORMS);
      const ranges = toRanges(request.body);
      admitReader(request, reply);
      const { opened, channel, parts } = await reads.use(async (chosen) => {
        const named = await openChannel(chosen, request.params.channel);
        return { opened: chosen, channel: named, parts: await openRanges(chosen, named, ranges) };
      });
      const sources = new Sources(opened, channel);
      const note = request.access.note(channel, JSON.stringify(ranges));
      void reply.header('vary', 'accept');
      const answer = { opened, channel, sources, query: {}, note, form, parts };
      return sendStream(reply, answer);
    },
  });
  done();
};

const STREAM_CONTENT = {
  [NDJSON_TYPE]: { schema: Type.Ref('MessageLine#') },
  [CSV_TYPE]: {
    schema: Type.String({
      description: 'A row each; the last one of kind `end`.',
      examples: [TABLE_EXAMPLE],
    }),
  },
  [SEGMENTS_TYPE]: {
    schema: Type.String({ format: 'binary', description: 'The segment stream, see the manual.' }),
  },
};

const MESSAGES = {
  summary: 'Read messages',
  description:
    'By position (`after`, `before`), by publish time (`from`, `to`) or archive time ' +
    '(`archivedFrom`, `archivedTo`), both half-open, or of one session by sequence (`session`, ' +
    '`first`, `last`, both ends included). With `Accept: application/json` a page whose `next` ' +
    'leads to the following one; otherwise everything, streamed as NDJSON, CSV or binary ' +
    'segments, ending with what is of kind `end`: without it the answer was cut off. To go on ' +
    'later, ask again with `cursor`. When a lost message was published is not known; an interval ' +
    'of publish times names every loss that may lie in it. What a policy has deleted is named ' +
    'as well. HEAD tells whether the range can be had, and how many messages it has at most.',
  operationId: 'readMessages',
  tags: ['history'],
  params: ChannelParams,
  querystring: MessagesQuery,
  response: withProblems(
    {
      200: {
        description: 'The messages, and what is lost or deleted among them.',
        content: { [JSON_TYPE]: { schema: Type.Ref('MessagePage#') }, ...STREAM_CONTENT },
      },
    },
    [
      ...CHANNEL_PROBLEMS,
      ...READER_PROBLEMS,
      'BACKCAST_SESSION_UNKNOWN',
      'BACKCAST_RANGE_INVERTED',
      'BACKCAST_CURSOR_INVALID',
      'BACKCAST_HISTORY_GONE',
      'BACKCAST_ARCHIVE_REWOUND',
      'BACKCAST_NOT_ACCEPTABLE',
    ],
  ),
} as const;

const FETCH = {
  summary: 'Read many ranges of sessions',
  description:
    'Each range is told in full: as messages, losses and deletions, and behind it what is of ' +
    'kind `range` and says whether that is all. A session that the archive has not heard is ' +
    'unsettled.',
  operationId: 'fetchMessages',
  tags: ['history'],
  params: ChannelParams,
  querystring: Type.Object({}, { additionalProperties: false }),
  body: FetchBody,
  response: withProblems(
    { 200: { description: 'The ranges, in their order.', content: STREAM_CONTENT } },
    [
      ...CHANNEL_PROBLEMS,
      ...READER_PROBLEMS,
      'BACKCAST_RANGE_INVERTED',
      'BACKCAST_HISTORY_GONE',
      'BACKCAST_NOT_ACCEPTABLE',
    ],
  ),
} as const;

async function sendPage(reply: FastifyReply, answer: PagedAnswer): Promise<FastifyReply> {
  void reply.type(`${JSON_TYPE}; charset=utf-8`);
  if (reply.request.method === 'HEAD') return sendHead(reply);
  const { text, next, askAgainMs } = await jsonPage(answer);
  if (next !== null) void reply.header('link', `<${next}>; rel="next"`);
  if (askAgainMs !== null) void reply.header('retry-after', Math.ceil(askAgainMs / 1_000));
  return reply.send(text);
}

interface StreamedReply extends Omit<StreamedAnswer, 'writer' | 'isFlushed'> {
  readonly form: StreamForm;
  /** Not of a fetch. */
  readonly reading?: { readonly order: 'asc' | 'desc' };
}

async function sendStream(reply: FastifyReply, answer: StreamedReply): Promise<FastifyReply> {
  const { channel, sources, query, form, reading } = answer;
  const { archivedThrough } = channel;
  const order = reading?.order ?? 'asc';
  const writer = writerOf(form, { channel, order, archivedThrough, sources, decode: query.decode });
  void reply.type(writer.type).header('backcast-archived-through', archivedThrough);
  if (reply.request.method === 'HEAD') return sendHead(reply);
  // What compresses may still look at what it has taken.
  const isFlushed = (): boolean =>
    reply.raw.writableLength === 0 && !reply.hasHeader('content-encoding');
  const chunks = await streamChunks({ ...answer, writer, isFlushed });
  // None ahead: a chunk is asked for when the one before has been sent.
  return reply.send(Readable.from(chunks, { objectMode: true, highWaterMark: 0 }));
}
