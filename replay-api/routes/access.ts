// Who read which messages, for whoever answers for the archive.

import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import {
  type AccessKeyset,
  listAccesses,
  type ListedAccess,
  type OpenDatabase,
} from '#archive/mod.ts';
import { formatInstant } from '#base/mod.ts';
import { withProblems } from '../contract-problems.ts';
import { AccessQuery } from '../contract-access.ts';
import { PAGE_ITEMS_DEFAULT } from '../contract-paging.ts';
import { assertNotInverted, toInstantUs } from '../message-request.ts';
import { nextUrl, nullableInstant } from './answers.ts';

/** The list of readings. */
export const accessRoutes: FastifyPluginCallbackTypebox<{ opened: OpenDatabase }> = (
  app,
  { opened },
  done,
) => {
  const config = { scope: 'admin' } as const;
  app.get('/v1/access', { schema: ACCESSES, config }, async (request) => {
    const { cursor, limit = PAGE_ITEMS_DEFAULT, channel, who, from, to } = request.query;
    const fromUs = toInstantUs(from);
    const toUs = toInstantUs(to);
    assertNotInverted('from', fromUs, 'to', toUs);
    const after = accessKeyset(cursor);
    const filter = { channel, who, fromUs, toUs, after, limit };
    const accesses = await listAccesses(opened.database, filter);
    const last = accesses.length === limit ? accesses.at(-1) : undefined;
    const key = last === undefined ? '' : `${last.startedAtUs}~${last.id}`;
    return {
      items: accesses.map(accessItem),
      next: last === undefined ? null : nextUrl('/v1/access', key, request.query),
    };
  });
  done();
};

const ACCESSES = {
  summary: 'List who read messages',
  description:
    'The latest first: one entry for each answer with messages. An entry appears a second or two ' +
    'after its answer was begun, and is brought up to date when that has ended.',
  operationId: 'listAccesses',
  tags: ['operation'],
  querystring: AccessQuery,
  response: withProblems({ 200: Type.Ref('AccessPage#') }, [
    'BACKCAST_FORBIDDEN',
    'BACKCAST_RANGE_INVERTED',
  ]),
} as const;

function accessItem(access: ListedAccess): object {
  const { startedAtUs, endedAtUs, messageCount, ...rest } = access;
  return {
    ...rest,
    messages: messageCount,
    startedAt: formatInstant(startedAtUs),
    endedAt: nullableInstant(endedAtUs),
  };
}

function accessKeyset(cursor: string | undefined): AccessKeyset | undefined {
  if (cursor === undefined) return undefined;
  const [startedAtUs, id] = cursor.split('~');
  return { startedAtUs: Number(startedAtUs), id };
}
