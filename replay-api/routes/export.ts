// Part of the history as one file, in the format that is asked for: for a person with a browser or
// a job with curl. What must be gone on with after an interruption is exported by the command.

import { Readable } from 'node:stream';
import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { CHANNEL_PROBLEMS, READER_PROBLEMS, withProblems } from '../contract-problems.ts';
import { ChannelParams } from '../contract.ts';
import { ExportQuery } from '../contract-export.ts';
import {
  beginExport,
  FORMAT_NAMES,
  openExport,
  streamExport,
  toExportRange,
} from '../export/mod.ts';
import type { ReadDatabases } from '../read-databases.ts';
import type { ReaderGuard } from '../reader-guard.ts';
import { sendHead } from './answers.ts';

/** What this route is made of. */
export interface ExportRoutesOptions {
  readonly reads: ReadDatabases;
  readonly admitReader: ReaderGuard;
}

/** The export. */
export const exportRoutes: FastifyPluginCallbackTypebox<ExportRoutesOptions> = (
  app,
  { reads, admitReader },
  done,
) => {
  app.get(
    '/v1/channels/:channel/export',
    { schema: EXPORT, config: { scope: 'export' } },
    async (request, reply) => {
      const { format, ...bounds } = request.query;
      const range = toExportRange(request.params.channel, bounds);
      admitReader(request, reply);
      const { suffix, mediaType } = FORMAT_NAMES[format];
      void reply
        .type(mediaType)
        .header('content-disposition', `attachment; filename="${range.channel}.${suffix}"`);
      if (request.method === 'HEAD') {
        const { reading } = await reads.use((opened) => openExport(opened, range));
        return sendHead(reply.header('backcast-remaining', reading.remaining));
      }
      const begun = await reads.use((opened) => beginExport(opened, range, format));
      const chunks = streamExport(begun, request.access.note(begun.channel));
      return reply.send(Readable.from(chunks, { objectMode: true, highWaterMark: 1 }));
    },
  );
  done();
};

const file = Type.Unsafe<unknown>({ type: 'string', format: 'binary' });

const EXPORT = {
  summary: 'Export messages as one file',
  description:
    'In the order of the channel: all of it, or what lies between positions (`after`, ' +
    '`before`), between publish times (`from`, `to`, half-open), or what is of one `session`. ' +
    'NDJSON and CSV have losses and deletions between the messages and end with a line of kind ' +
    '`end`: without it the file was cut off. Parquet has messages alone, and in its metadata ' +
    '`backcast.status`; a file that was cut off has no footer and cannot be opened. To go on ' +
    'with a file that was cut off, ask for what is `after` the last position that arrived. ' +
    '`backcast export` makes folders that go on by themselves and can be verified. HEAD tells ' +
    'whether the export can be had, and how many messages it has at most.',
  operationId: 'exportMessages',
  tags: ['history'],
  params: ChannelParams,
  querystring: ExportQuery,
  response: withProblems(
    {
      200: {
        description: 'The file.',
        content: {
          'application/x-ndjson': { schema: Type.Ref('MessageLine#') },
          'text/csv': { schema: file },
          'application/vnd.apache.parquet': { schema: file },
        },
      },
    },
    [
      ...CHANNEL_PROBLEMS,
      ...READER_PROBLEMS,
      'BACKCAST_FORBIDDEN',
      'BACKCAST_SESSION_UNKNOWN',
      'BACKCAST_RANGE_INVERTED',
      'BACKCAST_HISTORY_GONE',
      'BACKCAST_ARCHIVE_REWOUND',
    ],
  ),
} as const;
