// How complete a range of a session is.

import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { findChannel, readCompleteness, tailOf } from '#archive/mod.ts';
import { formatInstant } from '#base/mod.ts';
import { CHANNEL_PROBLEMS, withProblems } from '../contract-problems.ts';
import { ChannelParams, CompletenessQuery } from '../contract.ts';
import { assertNotInverted, toSessionId } from '../message-request.ts';
import type { ReadDatabases } from '../read-databases.ts';

/** Completeness. */
export const completenessRoutes: FastifyPluginCallbackTypebox<{ reads: ReadDatabases }> = (
  app,
  { reads },
  done,
) => {
  app.get(
    '/v1/channels/:channel/completeness',
    { schema: COMPLETENESS, config: { scope: 'read' } },
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
  response: withProblems({ 200: Type.Ref('Completeness#') }, [
    ...CHANNEL_PROBLEMS,
    'BACKCAST_SESSION_UNKNOWN',
    'BACKCAST_RANGE_INVERTED',
  ]),
} as const;
