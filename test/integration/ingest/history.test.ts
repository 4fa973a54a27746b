// From publisher to reader: what the replay API gives back is what was published, byte for byte,
// as pages and as a stream; and where something is lost, it says what and why.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { openDatabase } from '#archive/mod.ts';
import type { ChannelPublisher } from '#client/mod.ts';
import { type ReplayServer, startReplayServer } from '#replay-api/mod.ts';
import { type Scene, setScene } from '#test/support/archiving.ts';
import { until } from '#test/support/until.ts';

interface Item {
  readonly kind: string;
  readonly sequence: number;
  readonly encoding: 'utf8' | 'base64';
  readonly payload: string;
}

test('pages and stream give back what was published, byte for byte', async () => {
  await using scene = await setScene();
  await using _archiver = await scene.startArchiver({ faults: 'receive-loss=0.02,seed=5' });
  await using publisher = await scene.openPublisher();
  const payloads = [
    Buffer.alloc(0),
    Buffer.from('plain'),
    Buffer.from('{"json":"with \\"quotes\\" and ünïcödé 🎈"}'),
    Buffer.alloc(1_048_576, 0xab),
    Buffer.from([0xff, 0xfe, 0x00, 0xc3, 0x28]),
    Buffer.from('\u0000\u001b[31m\r\n'),
    Buffer.from([0xef, 0xbb, 0xbf, 0x62]),
    Buffer.alloc(1_048_576, 'é'),
    ...Array.from({ length: 2_000 }, (_, index) => Buffer.from(`message ${index}`)),
  ];
  for (const payload of payloads) await publisher.publish(payload);
  await scene.accounted(payloads.length);
  await using api = await startApi(scene);
  const paged = await readPages(api, `/v1/channels/${scene.channel}/messages?limit=300`);
  const streamed = await readStream(api, `/v1/channels/${scene.channel}/messages`);
  assert.deepEqual(paged, streamed.slice(0, -1));
  assert.deepEqual(
    paged.map(({ encoding, payload }) => Buffer.from(payload, encoding)),
    payloads,
  );
  const { cursor, ...end }: Record<string, unknown> = streamed.at(-1) ?? {};
  assert.match(String(cursor), /^[A-Za-z0-9_-]+$/);
  assert.deepEqual(
    { ...end, next: undefined },
    {
      kind: 'end',
      complete: true,
      status: 'complete',
      count: payloads.length,
      lastPosition: payloads.length,
      archivedThrough: payloads.length,
      next: undefined,
      askAgainMs: null,
    },
  );
});

test('a hole makes the answer partial, with range and cause', async () => {
  await using scene = await setScene();
  await using publisher = await scene.openPublisher({
    windowPackets: 16,
    packetBytesMax: 512,
    messageBytesMax: 400,
    lingerMs: 0,
  });
  const first = await scene.startArchiver();
  await publishEach(publisher, 20);
  await scene.accounted(20);
  await first.stop();
  await publishEach(publisher, 200);
  await using _second = await scene.startArchiver();
  await publishEach(publisher, 20);
  await scene.accounted(240);
  await scene.audited();
  await using api = await startApi(scene);
  const { session } = publisher;
  const range = `session=${session}&first=1&last=240`;
  const completeness = (await getJson(
    api,
    `/v1/channels/${scene.channel}/completeness?${range}`,
  )) as { status: string; lost: { first: number; last: number; cause: string }[] };
  assert.equal(completeness.status, 'partial');
  const [loss] = completeness.lost;
  assert.deepEqual([loss?.first, loss?.cause], [21, 'repair_expired']);
  const streamed = await readStream(api, `/v1/channels/${scene.channel}/messages`);
  const told = streamed.find(({ kind }) => kind === 'loss');
  assert.deepEqual(
    [told?.['first'], told?.['last'], told?.['cause']],
    [21, loss?.last, 'repair_expired'],
  );
  assert.equal(streamed.at(-1)?.['status'], 'partial');
  assert.equal(streamed.at(-1)?.['complete'], false);
});

/** Publishes one message to a packet, each sent before the next. */
async function publishEach(publisher: ChannelPublisher, count: number): Promise<void> {
  for (let number = 0; number < count; number += 1) {
    const before = publisher.counters.packetsSent;
    await publisher.publish(Buffer.alloc(300, 'x'));
    await until('the packet leaves', () => publisher.counters.packetsSent > before);
  }
}

async function startApi(scene: Scene): Promise<ReplayServer> {
  const resources = new AsyncDisposableStack();
  const database = resources.use(
    openDatabase({
      url: scene.databaseUrl,
      applicationName: 'test API',
      statementTimeoutMs: 30_000,
      poolConnectionsMax: 2,
    }),
  );
  const logger = pino({ level: 'silent' });
  const server = await startReplayServer({ database, logger, host: '127.0.0.1', port: 0 });
  resources.adopt(server, (it) => it.close());
  return { ...server, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

async function getJson(api: ReplayServer, path: string): Promise<unknown> {
  const answer = await fetch(`${api.url}${path}`);
  assert.equal(answer.status, 200);
  return await answer.json();
}

/** Follows `next` from page to page. */
async function readPages(api: ReplayServer, path: string): Promise<Item[]> {
  const items: Item[] = [];
  for (let next: string | null = path; next !== null; ) {
    const page = (await getJson(api, next)) as { items: Item[]; next: string | null };
    items.push(...page.items);
    next = page.items.length === 0 ? null : page.next;
  }
  return items;
}

async function readStream(
  api: ReplayServer,
  path: string,
): Promise<(Item & Record<string, unknown>)[]> {
  const headers = { accept: 'application/x-ndjson' };
  const answer = await fetch(`${api.url}${path}`, { headers });
  assert.equal(answer.status, 200);
  const lines = (await answer.text()).trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as Item & Record<string, unknown>);
}
