// The tail of a channel: what is archived next, as server-sent events, for as long as the reader
// stays.

import { Readable } from 'node:stream';
import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox';
import { type Static, Type } from 'typebox';
import { openChannel, openReading } from '#archive/mod.ts';
import { BackcastError, SEQUENCE_MAX } from '#base/mod.ts';
import type { RequestAccess } from '../access/request-access.ts';
import { CHANNEL_PROBLEMS, READER_PROBLEMS, withProblems } from '../contract-problems.ts';
import { negotiate } from '../accept.ts';
import type { ChannelWatch } from '../channel-watch.ts';
import { ChannelParams } from '../contract.ts';
import { TailQuery } from '../contract-tail.ts';
import { positionInCursor } from '../message-cursor.ts';
import type { ReadDatabases } from '../read-databases.ts';
import type { ReaderGuard } from '../reader-guard.ts';
import { everythingAfter, tailBytes } from '../tail-stream.ts';
import { sendHead } from './answers.ts';

/** What it takes to follow a channel. */
const READ = { scope: 'read' } as const;
const EVENT_STREAM_TYPE = 'text/event-stream';

/** What this route is made of. */
export interface TailRouteOptions {
  readonly reads: ReadDatabases;
  readonly watch: ChannelWatch;
  readonly admitReader: ReaderGuard;
}

/** The tail of a channel. */
export const tailRoutes: FastifyPluginCallbackTypebox<TailRouteOptions> = (
  app,
  { reads, watch, admitReader },
  done,
) => {
  app.addHook('preClose', async () => watch.close());
  app.get('/v1/channels/:channel/tail', { schema: TAIL, config: READ }, async (request, reply) => {
    assertAcceptable(request.headers.accept);
    const after = lastId(request.headers['last-event-id']) ?? placeIn(request);
    admitReader(request, reply);
    const channel = await reads.use(async (opened) => {
      const found = await openChannel(opened, request.params.channel);
      // What is wrong with the place shows before the answer begins.
      if (after !== undefined) await openReading(opened, found, everythingAfter(after));
      return found;
    });
    if (request.method === 'HEAD') return sendHead(reply.type(EVENT_STREAM_TYPE));
    const held = watch.hold(channel);
    const { access } = request;
    const signal = signalOf(access, [watch.closing, access.signal], () => {
      watch.counters.readers -= 1;
      held[Symbol.dispose]();
    });
    watch.counters.readers += 1;
    const note = access.note(channel, after === undefined ? 'tail' : `tail after=${after}`);
    const bytes = tailBytes({ reads, watch, feed: held.feed, after, note, signal });
    void reply.header('x-accel-buffering', 'no').type(EVENT_STREAM_TYPE);
    return reply.send(Readable.from(bytes, { objectMode: true, highWaterMark: 1 }));
  });
  done();
};

const TAIL = {
  summary: 'Follow a channel',
  description:
    'Messages, losses and deletions in the order of the channel, as server-sent events, each as ' +
    'soon as it is committed; never before. Without `after` it begins with what comes next, with ' +
    'it behind that position, through history where there is some. The id of each message is its ' +
    'position: a reader that connects again with `Last-Event-ID` misses nothing and gets no ' +
    'message twice; losses and deletions at that place are told again. Every few seconds without ' +
    'anything else comes a comment. A reader that is too slow is not waited for: it goes back to ' +
    'history, and one that takes nothing at all for ten seconds is cut off.',
  operationId: 'tailChannel',
  tags: ['history'],
  params: ChannelParams,
  querystring: TailQuery,
  response: withProblems(
    {
      200: {
        description: 'What is archived, without an end.',
        content: { [EVENT_STREAM_TYPE]: { schema: Type.Ref('TailFrame#') } },
      },
    },
    [
      ...CHANNEL_PROBLEMS,
      ...READER_PROBLEMS,
      'BACKCAST_CURSOR_INVALID',
      'BACKCAST_HISTORY_GONE',
      'BACKCAST_NOT_ACCEPTABLE',
    ],
  ),
} as const;

function assertAcceptable(accept: string | undefined): void {
  if (negotiate(accept, [EVENT_STREAM_TYPE]) !== undefined) return;
  throw new BackcastError(
    'BACKCAST_NOT_ACCEPTABLE',
    `A tail is served as ${EVENT_STREAM_TYPE}. Name it in Accept.`,
  );
}

/** Where the query wants the tail to begin. */
function placeIn({ params, query }: TailRequest): number | undefined {
  const { after, cursor } = query;
  if (cursor === undefined) return after;
  if (after === undefined) return positionInCursor(params.channel, cursor);
  throw new BackcastError(
    'BACKCAST_RANGE_INVALID',
    '"after" and "cursor" exclude each other: a cursor says by itself where to begin.',
  );
}

interface TailRequest {
  readonly params: Static<typeof ChannelParams>;
  readonly query: TailQuery;
}

function lastId(header: string | string[] | undefined): number | undefined {
  const text = Array.isArray(header) ? header.join() : header;
  if (text === undefined || text === '') return undefined;
  const position = Number(text);
  if (/^(0|[1-9][0-9]{0,15})$/.test(text) && position <= SEQUENCE_MAX) return position;
  throw new BackcastError(
    'BACKCAST_RANGE_INVALID',
    'The header "Last-Event-ID" is no position: send the id of the last message, or leave it out.',
  );
}

/** Fires with one of `ends`, or when the reader is gone; then `onGone` is called. */
function signalOf(
  access: RequestAccess,
  ends: readonly AbortSignal[],
  onGone: () => void,
): AbortSignal {
  const leaving = new AbortController();
  const leave = (): void => leaving.abort(ends.find(({ aborted }) => aborted)?.reason);
  for (const end of ends) end.addEventListener('abort', leave);
  if (ends.some(({ aborted }) => aborted)) leave();
  access.onEnd(() => {
    for (const end of ends) end.removeEventListener('abort', leave);
    leave();
    onGone();
  });
  return leaving.signal;
}
