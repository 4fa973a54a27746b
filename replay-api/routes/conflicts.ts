// What came twice with different bytes.

import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import {
  type ConflictKeyset,
  findChannel,
  listConflicts,
  type ListedConflict,
} from '#archive/mod.ts';
import { formatInstant } from '#base/mod.ts';
import { CHANNEL_PROBLEMS, withProblems } from '../contract-problems.ts';
import { ChannelParams, LossesQuery, PAGE_ITEMS_DEFAULT } from '../contract.ts';
import { toSessionId } from '../message-request.ts';
import type { ReadDatabases } from '../read-databases.ts';
import { nextUrl } from './answers.ts';

/** Conflicts, walked as losses are. */
export const conflictRoutes: FastifyPluginCallbackTypebox<{ reads: ReadDatabases }> = (
  app,
  { reads },
  done,
) => {
  app.get(
    '/v1/channels/:channel/conflicts',
    { schema: CONFLICTS, config: { scope: 'read' } },
    async (request) => {
      const { cursor, limit = PAGE_ITEMS_DEFAULT, session } = request.query;
      const after = conflictKeyset(cursor);
      const wanted = session === undefined ? undefined : toSessionId(session);
      const { channel, conflicts } = await reads.use(async ({ database: db }) => {
        const named = await findChannel(db, request.params.channel);
        const page = { session: wanted, after, limit };
        return { channel: named, conflicts: await listConflicts(db, named, page) };
      });
      const last = conflicts.length === limit ? conflicts.at(-1) : undefined;
      const path = `/v1/channels/${channel.name}/conflicts`;
      const key = last === undefined ? '' : `${last.detectedAtUs}~${last.session}~${last.first}`;
      return {
        items: conflicts.map(conflictItem),
        next: last === undefined ? null : nextUrl(path, key, request.query),
      };
    },
  );
  done();
};

const CONFLICTS = {
  summary: 'List what came twice with different bytes',
  description: 'The earliest first. What is stored is what came first.',
  operationId: 'listConflicts',
  tags: ['catalogue'],
  params: ChannelParams,
  querystring: LossesQuery,
  response: withProblems({ 200: Type.Ref('ConflictPage#') }, [...CHANNEL_PROBLEMS]),
} as const;

function conflictItem({ detectedAtUs, ...rest }: ListedConflict): object {
  return { ...rest, detectedAt: formatInstant(detectedAtUs) };
}

function conflictKeyset(cursor: string | undefined): ConflictKeyset | undefined {
  if (cursor === undefined) return undefined;
  const [detectedAtUs, session, first] = cursor.split('~');
  return {
    detectedAtUs: Number(detectedAtUs),
    session: toSessionId(session),
    first: Number(first),
  };
}
