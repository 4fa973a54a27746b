// What is recorded: channels, their sessions, their losses, and what retention deleted of them.

import type { FastifyPluginCallbackTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import {
  type ArchiveDatabase,
  type ArchivedSession,
  type Channel,
  type ChannelArchiver,
  type DeletionKeyset,
  type Durability,
  findChannel,
  type ListedLoss,
  listArchivers,
  listChannels,
  listDeletions,
  listLosses,
  listSessions,
  loadSources,
  type LossKeyset,
  readDurability,
  type SessionKeyset,
  tailOf,
} from '#archive/mod.ts';
import { formatInstant } from '#base/mod.ts';
import { CHANNEL_PROBLEMS, withProblems } from '../contract-problems.ts';
import {
  ChannelParams,
  ChannelsQuery,
  LossesQuery,
  PAGE_ITEMS_DEFAULT,
  SessionsQuery,
} from '../contract.ts';
import type { ReadDatabases } from '../read-databases.ts';
import { nextUrl, nullableInstant } from './answers.ts';
import { toSessionId } from '../message-request.ts';
import { deletionItem } from '../message-text.ts';

type CatalogueServer = Parameters<FastifyPluginCallbackTypebox>[0];

/** Channels, sessions, losses, deletions. */
export const catalogueRoutes: FastifyPluginCallbackTypebox<{ reads: ReadDatabases }> = (
  app,
  { reads },
  done,
) => {
  app.get('/v1/channels', { schema: CHANNELS, config: { scope: 'any' } }, async (request) => {
    const { cursor, limit = PAGE_ITEMS_DEFAULT } = request.query;
    const patterns = request.access.readable;
    const { items, last } = await reads.use(async ({ database: db }) => {
      const channels = await listChannels(db, { after: cursor, limit, patterns });
      const end = channels.length === limit ? channels.at(-1) : undefined;
      return { items: await channelItems(reads, db, channels), last: end };
    });
    const next = last === undefined ? null : nextUrl('/v1/channels', last.name, request.query);
    return { items, next };
  });

  app.get('/v1/channels/:channel', { ...READ, schema: CHANNEL }, async (request) => {
    const [shown] = await reads.use(async ({ database: db }) =>
      channelItems(reads, db, [await findChannel(db, request.params.channel)]),
    );
    return shown;
  });

  app.get('/v1/channels/:channel/sessions', { ...READ, schema: SESSIONS }, async (request) => {
    const { cursor, limit = PAGE_ITEMS_DEFAULT, state, session } = request.query;
    const after = sessionKeyset(cursor);
    const wanted = session === undefined ? undefined : toSessionId(session);
    const { channel, sessions } = await reads.use(async ({ database: db }) => {
      const named = await findChannel(db, request.params.channel);
      const page = { state, session: wanted, after, limit };
      return { channel: named, sessions: await listSessions(db, named, page) };
    });
    const last = sessions.length === limit ? sessions.at(-1) : undefined;
    const path = `/v1/channels/${channel.name}/sessions`;
    const key = last === undefined ? '' : `${last.openedAtUs}~${last.session}`;
    return {
      items: sessions.map(sessionItem),
      next: last === undefined ? null : nextUrl(path, key, request.query),
    };
  });

  lossRoutes(app, reads);
  done();
};

/** What is missing: losses and deletions. */
function lossRoutes(app: CatalogueServer, reads: ReadDatabases): void {
  app.get('/v1/channels/:channel/losses', { ...READ, schema: LOSSES }, async (request) => {
    const { cursor, limit = PAGE_ITEMS_DEFAULT, session } = request.query;
    const after = lossKeyset(cursor);
    const wanted = session === undefined ? undefined : toSessionId(session);
    const { channel, losses } = await reads.use(async ({ database: db }) => {
      const named = await findChannel(db, request.params.channel);
      const page = { session: wanted, after, limit };
      return { channel: named, losses: await listLosses(db, named, page) };
    });
    const last = losses.length === limit ? losses.at(-1) : undefined;
    const path = `/v1/channels/${channel.name}/losses`;
    const key = last === undefined ? '' : `${last.afterPosition}~${last.session}~${last.first}`;
    return {
      items: losses.map(lossItem),
      next: last === undefined ? null : nextUrl(path, key, request.query),
    };
  });

  app.get('/v1/channels/:channel/deletions', { ...READ, schema: DELETIONS }, async (request) => {
    const { cursor, limit = PAGE_ITEMS_DEFAULT, session } = request.query;
    const after = deletionKeyset(cursor);
    const wanted = session === undefined ? undefined : toSessionId(session);
    const { channel, deletions, sources } = await reads.use(async ({ database: db }) => {
      const named = await findChannel(db, request.params.channel);
      const listed = await listDeletions(db, named, { session: wanted, after, limit });
      const sessions = [...new Set(listed.map((deletion) => deletion.session))];
      return {
        channel: named,
        deletions: listed,
        sources: await loadSources(db, named, sessions),
      };
    });
    const last = deletions.length === limit ? deletions.at(-1) : undefined;
    const path = `/v1/channels/${channel.name}/deletions`;
    const key = last === undefined ? '' : `${last.lastPosition}~${last.session}~${last.first}`;
    return {
      items: deletions.map((one) => deletionItem(one, sources.get(one.session) ?? null)),
      next: last === undefined ? null : nextUrl(path, key, request.query),
    };
  });
}

/** What it takes to ask about a channel. */
const READ = { config: { scope: 'read' } } as const;

const CHANNELS = {
  summary: 'List the channels',
  description: 'By name; those that the token allows to read.',
  operationId: 'listChannels',
  tags: ['catalogue'],
  querystring: ChannelsQuery,
  response: withProblems({ 200: Type.Ref('ChannelPage#') }, []),
} as const;

const CHANNEL = {
  summary: 'Show a channel',
  description:
    'And its archivers. `archivedThrough` is what is committed and can be read; `received` and ' +
    '`spooled` of an archiver say what it alone has beyond that.',
  operationId: 'getChannel',
  tags: ['catalogue'],
  params: ChannelParams,
  querystring: Type.Object({}, { additionalProperties: false }),
  response: withProblems({ 200: Type.Ref('Channel#') }, [...CHANNEL_PROBLEMS]),
} as const;

const SESSIONS = {
  summary: 'List the sessions of a channel',
  description: 'The latest first; only those of a `state`, or only one, if that is asked for.',
  operationId: 'listSessions',
  tags: ['catalogue'],
  params: ChannelParams,
  querystring: SessionsQuery,
  response: withProblems({ 200: Type.Ref('SessionPage#') }, [...CHANNEL_PROBLEMS]),
} as const;

const LOSSES = {
  summary: 'List what was lost on a channel',
  description: 'In the order of the channel, also what was healed later.',
  operationId: 'listLosses',
  tags: ['catalogue'],
  params: ChannelParams,
  querystring: LossesQuery,
  response: withProblems({ 200: Type.Ref('LossPage#') }, [...CHANNEL_PROBLEMS]),
} as const;

const DELETIONS = {
  summary: 'List what retention has deleted of a channel',
  description: 'In the order of the channel.',
  operationId: 'listDeletions',
  tags: ['catalogue'],
  params: ChannelParams,
  querystring: LossesQuery,
  response: withProblems({ 200: Type.Ref('DeletionPage#') }, [...CHANNEL_PROBLEMS]),
} as const;

async function channelItems(
  reads: ReadDatabases,
  db: ArchiveDatabase,
  channels: readonly Channel[],
): Promise<object[]> {
  // It is about the server that is written to; while that is away, about the one that follows it.
  const { state } = await readDurability(reads.primary().database).catch(() => readDurability(db));
  const ids = channels.map(({ channelId }) => channelId);
  const archivers = Map.groupBy(await listArchivers(db, ids), ({ channelId }) => channelId);
  return channels.map((channel) => {
    return channelItem(channel, state, archivers.get(channel.channelId) ?? []);
  });
}

function archiverItem(archiver: ChannelArchiver): object {
  const { name, isWriting, received, spooled } = archiver;
  const seenAt = formatInstant(archiver.seenAtUs);
  return { name, isWriting, seenAt, heardAt: formatInstant(archiver.heardAtUs), received, spooled };
}

function channelItem(
  channel: Channel,
  durability: Durability['state'],
  archivers: readonly ChannelArchiver[],
): object {
  const { name, group, port, dport, framing, archivedThrough, firstPosition } = channel;
  return {
    channel: name,
    group,
    port,
    dport,
    framing,
    createdAt: formatInstant(channel.createdAtUs),
    archivedThrough,
    durability,
    firstPosition,
    firstAvailable: channel.firstAvailable,
    publishedFrom: nullableInstant(channel.publishedFromUs),
    publishedThrough: nullableInstant(channel.publishedThroughUs),
    archivers: archivers.map(archiverItem),
  };
}

function sessionItem(session: ArchivedSession): object {
  const { openedAtUs, seenAtUs, closedAtUs, ...rest } = session;
  return {
    ...rest,
    tail: tailOf(session),
    openedAt: formatInstant(openedAtUs),
    seenAt: formatInstant(seenAtUs),
    closedAt: nullableInstant(closedAtUs),
  };
}

function lossItem(loss: ListedLoss): object {
  const { detectedAtUs, declaredAtUs, healedAtUs, packetCount, firstSqn, nextSqn, ...rest } = loss;
  const isKnown = firstSqn !== null && firstSqn < nextSqn;
  return {
    ...rest,
    packets: packetCount,
    sqns: isKnown ? { first: firstSqn % SQNS, last: (nextSqn - 1) % SQNS } : null,
    detectedAt: formatInstant(detectedAtUs),
    declaredAt: formatInstant(declaredAtUs),
    healedAt: nullableInstant(healedAtUs),
  };
}

/** Packet numbers have 32 bits on the wire. */
const SQNS = 2 ** 32;

function sessionKeyset(cursor: string | undefined): SessionKeyset | undefined {
  if (cursor === undefined) return undefined;
  const [openedAtUs, session] = cursor.split('~');
  return { openedAtUs: Number(openedAtUs), session: toSessionId(session) };
}

function lossKeyset(cursor: string | undefined): LossKeyset | undefined {
  if (cursor === undefined) return undefined;
  const [afterPosition, session, first] = cursor.split('~');
  return {
    afterPosition: Number(afterPosition),
    session: toSessionId(session),
    first: Number(first),
  };
}

function deletionKeyset(cursor: string | undefined): DeletionKeyset | undefined {
  if (cursor === undefined) return undefined;
  const [lastPosition, session, first] = cursor.split('~');
  return {
    lastPosition: Number(lastPosition),
    session: toSessionId(session),
    first: Number(first),
  };
}
