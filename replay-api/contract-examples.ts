// What the answers of the contract look like, in one small story: two messages of a publisher that
// are there and two between them that were lost. Shown in the document of the API and on its page;
// a test has a server tell the same story, and compares.

import type { TSchema } from 'typebox';

const SESSION = '5f0c9d2ab8e17346';
const SOURCE = 'gateway-7';
const SECOND = '2026-11-22T14:05:01.000000Z';
const NEXT = null;

const message = {
  kind: 'message',
  position: 1,
  session: SESSION,
  source: SOURCE,
  sequence: 1,
  publishedAt: '2026-11-22T14:05:00.000001Z',
  archivedAt: '2026-11-22T14:05:00.020000Z',
  encoding: 'utf8',
  payload: '{"order":1}',
};

const later = {
  ...message,
  position: 2,
  sequence: 4,
  publishedAt: '2026-11-22T14:05:03.000000Z',
  archivedAt: '2026-11-22T14:05:03.020000Z',
  payload: '{"order":4}',
};

const lost = {
  session: SESSION,
  source: SOURCE,
  first: 2,
  last: 3,
  packets: null,
  cause: 'repair_expired',
  afterPosition: 1,
  detectedAt: SECOND,
  declaredAt: '2026-11-22T14:05:02.000000Z',
};
const loss = { kind: 'loss', ...lost };

const deletion = {
  kind: 'deletion',
  session: SESSION,
  source: SOURCE,
  first: 1,
  last: 900,
  messages: 900,
  firstPosition: 1,
  lastPosition: 900,
  publishedFrom: '2026-10-22T00:00:00.000000Z',
  publishedThrough: '2026-10-22T23:59:59.999999Z',
  deletedAt: '2026-11-22T00:10:00.000000Z',
  policy: 'age 30d',
};

const end = {
  kind: 'end',
  complete: false,
  status: 'partial',
  count: 2,
  lastPosition: 2,
  archivedThrough: 2,
  cursor: '2MEHj2DoWzEsIm9yZGVycy5ldSIsInAiLCJhc2MiLDIsbnVsbCxudWxsLG51bGwsbnVsbCxudWxsLDJd',
  next: NEXT,
  askAgainMs: null,
};

const range = {
  kind: 'range',
  session: SESSION,
  first: 1,
  last: 4,
  status: 'partial',
  untoldFrom: null,
};

const estimate = {
  kind: 'estimate',
  remaining: 910_000,
  rate: 90_000,
  liveRate: 50_000,
  etaSeconds: 23,
  isCatchingUp: true,
};

const channel = {
  channel: 'orders.eu',
  group: '239.255.0.1',
  port: 7500,
  dport: 7500,
  framing: 'native',
  createdAt: '2026-11-22T14:04:58.000000Z',
  archivedThrough: 2,
  durability: 'durable',
  firstPosition: 1,
  firstAvailable: 1,
  publishedFrom: message.publishedAt,
  publishedThrough: later.publishedAt,
  archivers: [
    {
      name: 'archiver-1',
      isWriting: true,
      seenAt: '2026-11-22T14:05:04.000000Z',
      heardAt: '2026-11-22T14:05:03.900000Z',
      received: 2,
      spooled: 2,
    },
  ],
};

const session = {
  session: SESSION,
  source: SOURCE,
  tsi: '010203040506:7500',
  isForeign: false,
  state: 'open',
  firstArchived: 1,
  watermark: 4,
  lead: 4,
  tail: 'open',
  openedAt: '2026-11-22T14:04:59.000000Z',
  seenAt: '2026-11-22T14:05:04.000000Z',
  closedAt: null,
};

const listedLoss = { ...lost, sqns: null, healedAt: null, healedBy: null };

const conflict = {
  session: SESSION,
  source: SOURCE,
  first: 4,
  last: 4,
  detectedAt: '2026-11-22T14:05:09.000000Z',
  archiver: 'archiver-2',
  evidence: 'replayed',
  storedSha256: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  heardSha256: '60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752',
};

const access = {
  id: '0b6c2f0e-6c1e-4b57-9f4e-2f5d7f1c9a3b',
  channel: 'orders.eu',
  who: 'token:5k2m8q1x9d4t',
  remote: '10.0.0.17',
  operation: 'readMessages',
  request: 'after=0',
  startedAt: '2026-11-22T14:06:00.000000Z',
  endedAt: '2026-11-22T14:06:00.004000Z',
  outcome: 'complete',
  messages: 2,
  firstPosition: 1,
  lastPosition: 2,
};

const sessionChange = { kind: 'session', session: SESSION, source: SOURCE, state: 'open' };
const tailState = { kind: 'state', state: 'live', position: 2, archivedThrough: 2 };
const tailEnd = { kind: 'end', position: 2, code: null, detail: 'The server stops.' };

const page = (only: object): object => ({ items: [only], next: NEXT });

/** By the name of the schema: what has its shape, the first being the one to show. */
export const EXAMPLES: Readonly<Record<string, readonly object[]>> = {
  Channel: [channel],
  Session: [session],
  ListedLoss: [listedLoss],
  Loss: [loss],
  Deletion: [deletion],
  Message: [message, later],
  Range: [range],
  Estimate: [estimate],
  End: [end],
  ChannelPage: [page(channel)],
  SessionPage: [page(session)],
  LossPage: [page(listedLoss)],
  DeletionPage: [page(deletion)],
  Conflict: [conflict],
  ConflictPage: [page(conflict)],
  Access: [access],
  AccessPage: [page(access)],
  MessagePage: [
    {
      channel: 'orders.eu',
      status: 'partial',
      archivedThrough: 2,
      items: [message, later],
      losses: [loss],
      deletions: [],
      remaining: 0,
      cursor: end.cursor,
      next: NEXT,
      askAgainMs: null,
    },
  ],
  MessageLine: [message, loss, later, end],
  SessionChange: [sessionChange],
  TailState: [tailState],
  TailEnd: [tailEnd],
  TailFrame: [message, loss, later, tailState, sessionChange],
  Completeness: [
    {
      channel: 'orders.eu',
      session: SESSION,
      source: SOURCE,
      state: 'open',
      first: 1,
      last: 4,
      status: 'partial',
      lost: [{ first: 2, last: 3, packets: null, cause: 'repair_expired' }],
      deleted: [],
      storedCount: 2,
      lostCount: 2,
      deletedCount: 0,
      unsettledFrom: null,
      unknownFrom: null,
      tail: 'open',
      watermark: 4,
    },
  ],
  Health: [{ status: 'ok' }],
  Readiness: [
    {
      status: 'ready',
      database: 'reachable',
      schema: 'current',
      archive: { channels: 1, channelsWritten: 1, sessionsOpen: 1, messagesOutstanding: 0 },
      durability: { state: 'durable', reasons: [] },
      detail: null,
    },
  ],
  Index: [
    {
      name: 'backcast',
      channels: '/v1/channels',
      docs: '/docs',
      openapi: '/openapi.json',
      health: '/healthz',
      readiness: '/readyz',
    },
  ],
};

/** The messages of the story, and what is lost of them, as rows. */
export const TABLE_EXAMPLE = [
  'kind,position,session,source,sequence,lastSequence,' +
    'publishedAt,archivedAt,encoding,payload,detail',
  tableRow(message, '"{""order"":1}"'),
  `loss,1,${SESSION},${SOURCE},2,3,,${lost.declaredAt},,,repair_expired`,
  tableRow(later, '"{""order"":4}"'),
  'end,2,,,2,,,,,,partial',
  '',
].join('\r\n');

function tableRow(row: typeof message, payload: string): string {
  const { position, sequence, publishedAt, archivedAt, encoding } = row;
  const place = `message,${position},${SESSION},${SOURCE},${sequence},${sequence}`;
  return `${place},${publishedAt},${archivedAt},${encoding},${payload},`;
}

/** `schema` with what shows it, if anything does. */
export function withExamples(schema: TSchema & { readonly $id?: string }): TSchema {
  const examples = EXAMPLES[schema.$id ?? ''];
  return examples === undefined ? schema : { ...schema, examples };
}
