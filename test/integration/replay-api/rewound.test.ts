// The archive goes back, as when a database server takes over that lacks the last commits, or a
// backup is restored. Whoever had read further is told so, on every way of reading on, instead of
// waiting for positions that will be given to other messages.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Value } from 'typebox/value';
import type { SessionId } from '#base/mod.ts';
import { history, openReplaySource, subscribe, type SubscribedItem } from '#client/mod.ts';
import { type ExportPlan, Problem, runExport, toExportRange } from '#replay-api/mod.ts';
import { instantAt } from '#test/support/filled-archive.ts';
import { createTestFolder } from '#test/support/folder.ts';
import {
  type ListeningApi,
  startBreakingRelay,
  startTestApi,
} from '#test/support/listening-api.ts';

const A = '00000000000000aa' as SessionId;
const REWOUND = 'BACKCAST_ARCHIVE_REWOUND';
const SEGMENTS = 3;
const PAYLOAD_BYTES = 20_000;

let api: ListeningApi;
before(async () => {
  api = await startTestApi();
});
after(() => api[Symbol.asyncDispose]());

/** A channel of three segments with two messages each, that `rewind` ends earlier. */
async function addChannel(
  name: string,
): Promise<{ readonly rewind: (through?: number) => Promise<void> }> {
  const channelId = await api.addChannel({
    name,
    deliveries: Array.from({ length: SEGMENTS }, (_, index) => ({
      kind: 'segment',
      archivedAtUs: instantAt(index + 1),
      messages: [1, 2].map((one) => ({
        session: A,
        sequence: index * 2 + one,
        publishedAtUs: instantAt(index),
        payload: Buffer.alloc(PAYLOAD_BYTES, 'x'),
      })),
    })),
  });
  const rewind = async (through = 4): Promise<void> => {
    await api.opened.pool.query(
      `WITH segments_gone AS (
         DELETE FROM segments WHERE channel_id = ${channelId} AND first_position > ${through}
       ), index_gone AS (
         DELETE FROM segment_sessions
         WHERE channel_id = ${channelId} AND first_position > ${through}
       ), bounds AS (
         UPDATE partition_bounds SET last_position = ${through} WHERE channel_id = ${channelId}
       ), watermark AS (
         UPDATE sessions SET watermark = ${through}, lead = ${through}
         WHERE channel_id = ${channelId}
       )
       UPDATE leases SET head = ${through} WHERE channel_id = ${channelId}`,
    );
  };
  return { rewind };
}

interface Page {
  readonly status: unknown;
  readonly code?: string;
  readonly cursor: string;
  readonly available?: Readonly<Record<string, unknown>>;
  readonly items: readonly { readonly position: number }[];
}

async function page(channel: string, query: string): Promise<Page> {
  const answer = await fetch(`${api.url}/v1/channels/${channel}/messages?${query}`);
  const body = (await answer.json()) as Page;
  if (body.code !== undefined) {
    assert.equal(answer.status, 410);
    assert.deepEqual([...Value.Errors(Problem, body)], []);
  }
  return body;
}

async function codeOf(reading: AsyncIterable<unknown>): Promise<unknown> {
  try {
    for await (const one of reading) void one;
    return undefined;
  } catch (error) {
    return (error as { readonly code?: unknown }).code ?? error;
  }
}

test('a cursor behind the end of the archive is refused, with what there is', async () => {
  const channel = await addChannel('cursors');
  const questions = ['', 'from=2026-11-20T12:00:00Z', 'archivedFrom=2026-11-20T12:00:00Z'];
  const ends = await Promise.all(questions.map((question) => page('cursors', question)));
  await channel.rewind();
  for (const { cursor } of ends) {
    const refused = await page('cursors', `cursor=${cursor}`);
    assert.equal(refused.code, REWOUND);
    assert.equal(refused.available?.['archivedThrough'], 4);
  }
});

test('a cursor that the archive still reaches goes on', async () => {
  const channel = await addChannel('reached');
  const { cursor } = await page('reached', 'limit=3');
  await channel.rewind();
  const { items, status } = await page('reached', `cursor=${cursor}`);
  assert.deepEqual([status, items.map(({ position }) => position)], ['complete', [4]]);
});

test('reading back, what was to come next must still be there', async () => {
  const channel = await addChannel('back');
  const { cursor: above } = await page('back', 'order=desc&limit=1');
  const { cursor: below } = await page('back', 'order=desc&limit=2');
  await channel.rewind();
  assert.equal((await page('back', `cursor=${above}`)).code, REWOUND);
  const { items } = await page('back', `cursor=${below}`);
  assert.deepEqual(
    items.map(({ position }) => position),
    [4, 3, 2, 1],
  );
});

test('who asks for what the archive never had waits for it', async () => {
  await addChannel('future');
  const { status, cursor } = await page('future', 'after=100');
  assert.equal(status, 'unsettled');
  assert.equal((await page('future', `cursor=${cursor}`)).status, 'unsettled');
});

test('a position that was read is refused, one that was only asked for is not', async () => {
  const channel = await addChannel('positions');
  await channel.rewind();
  assert.equal((await page('positions', 'after=6')).status, 'unsettled');
  assert.equal((await page('positions', 'after=6&seenThrough=6')).code, REWOUND);
  assert.equal((await page('positions', 'after=4&seenThrough=4')).status, 'complete');
});

test('a history that is taken up again is told', async () => {
  const channel = await addChannel('histories');
  // One or two of three segments arrive, and the connection breaks within the third.
  let cutBytes: number | undefined = PAYLOAD_BYTES * 5;
  await using relay = await startBreakingRelay(api.url, () => cutBytes);
  let lastPosition = 0;
  const read = async (): Promise<void> => {
    for await (const told of history({ url: relay.url, channel: 'histories' })) {
      if (told.kind !== 'message') continue;
      lastPosition = told.position;
      if (cutBytes !== undefined) await channel.rewind(1);
      cutBytes = undefined;
    }
  };
  await assert.rejects(read, { code: REWOUND });
  assert.ok(lastPosition >= 2);
  assert.equal(relay.brokenCount(), 1);
});

test('a replay source tells it of a reading and of a tail', async () => {
  const channel = await addChannel('sources');
  await channel.rewind();
  const source = openReplaySource({ url: api.url }, 'sources');
  const { signal } = new AbortController();
  assert.equal(await codeOf(source.open({ afterPosition: 6 }, signal)), REWOUND);
  assert.equal(await codeOf(source.tail(6, signal)), REWOUND);
  assert.equal(await codeOf(source.open({ afterPosition: 4 }, signal)), undefined);
});

test('a subscription from a cursor that is ahead fails at once, and says why', async () => {
  const channel = await addChannel('subscribed');
  const archive = openReplaySource({ url: api.url }, 'subscribed');
  let cursor: string | undefined;
  {
    await using first = await subscribe({ channel: 'subscribed', from: 'start', archive });
    let messages = 0;
    for await (const told of first) {
      if (told.kind === 'message') messages += 1;
      cursor = first.cursor;
      if (messages === SEGMENTS * 2) break;
    }
  }
  assert.ok(cursor !== undefined);
  await channel.rewind();
  await using second = await subscribe({ channel: 'subscribed', from: { cursor }, archive });
  const told: SubscribedItem[] = [];
  await assert.rejects(
    async () => {
      for await (const one of second) told.push(one);
    },
    { code: REWOUND, isRetryable: false },
  );
  assert.equal(told.filter(({ kind }) => kind === 'message').length, 0);
});

test('a subscription that follows is told when the archive goes back', async () => {
  const channel = await addChannel('followed');
  const archive = openReplaySource({ url: api.url }, 'followed');
  await using subscription = await subscribe({ channel: 'followed', from: 'start', archive });
  await assert.rejects(
    async () => {
      for await (const told of subscription) if (told.kind === 'live') await channel.rewind();
    },
    { code: REWOUND },
  );
});

test('an export over HTTP that is gone on with is refused', async () => {
  const channel = await addChannel('sent');
  await channel.rewind();
  assert.deepEqual(await beginningOf('after=6&seenThrough=6'), [410, REWOUND]);
  assert.deepEqual(await beginningOf('after=2&seenThrough=2'), [200, undefined]);
});

async function beginningOf(query: string): Promise<readonly [number, unknown]> {
  const answer = await fetch(`${api.url}/v1/channels/sent/export?format=ndjson&${query}`);
  const [line] = (await answer.text()).split('\n');
  return [answer.status, (JSON.parse(line) as { readonly code?: unknown }).code];
}

test('an export that goes on finds that the archive is another one', async () => {
  const channel = await addChannel('exported');
  await using folder = await createTestFolder();
  const plan: ExportPlan = {
    ...toExportRange('exported', {}),
    format: 'ndjson',
    partMessages: 2,
  };
  const path = join(folder.path, 'exported');
  const stop = new AbortController();
  const { opened } = api;
  const onStep = (): void => stop.abort(new Error('interrupted'));
  await assert.rejects(
    runExport({ opened, plan, path, signal: stop.signal, onStep }),
    /interrupted/,
  );
  await channel.rewind();
  const { signal } = new AbortController();
  await assert.rejects(runExport({ opened, plan, path, signal }), { code: REWOUND });
});
