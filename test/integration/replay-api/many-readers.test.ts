// Many instances that come back at once: what they cost the database, and that each gets all.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import type { SessionId } from '#base/mod.ts';
import { type ReplayServer, startReplayServer } from '#replay-api/mod.ts';
import { type Delivery, instantAt } from '#test/support/filled-archive.ts';
import { openTestApi, silentLogger, type TestApi } from '#test/support/replay-api.ts';

const SESSION = '00000000000000aa' as SessionId;
const READERS = 50;
const SEGMENTS = 48;
const SEGMENT_MESSAGES = 64;
const PAYLOAD = Buffer.alloc(4_096, 'x');

/** A page each, half a second of a busy time. */
function deliveries(): Delivery[] {
  return Array.from({ length: SEGMENTS }, (_, index) => ({
    kind: 'segment',
    archivedAtUs: instantAt(index / 2),
    messages: Array.from({ length: SEGMENT_MESSAGES }, (_unused, nth) => ({
      session: SESSION,
      sequence: index * SEGMENT_MESSAGES + nth + 1,
      publishedAtUs: instantAt(index / 2),
      payload: PAYLOAD,
    })),
  }));
}

let api: TestApi;
let server: ReplayServer;
before(async () => {
  api = await openTestApi();
  await api.addChannel({ name: 'busy', deliveries: deliveries() });
  server = await startReplayServer({
    database: api.opened,
    logger: silentLogger,
    host: '127.0.0.1',
    port: 0,
  });
});
after(async () => {
  await server.close();
  await api[Symbol.asyncDispose]();
});

interface Got {
  /** The end of the answer, which counts its messages. */
  readonly end: { readonly complete: boolean; readonly count: number };
  readonly sha256: string;
}

async function readAfter(position: number): Promise<Got> {
  const address = `${server.url}/v1/channels/busy/messages?after=${position}`;
  const answer = await fetch(address, { headers: { accept: 'application/x-ndjson' } });
  assert.equal(answer.status, 200);
  const hash = createHash('sha256');
  let tail = Buffer.alloc(0);
  for await (const chunk of answer.body ?? []) {
    hash.update(chunk);
    tail = Buffer.concat([tail, chunk]).subarray(-512);
  }
  const [line = ''] = tail.toString().trimEnd().split('\n').slice(-1);
  return { end: JSON.parse(line) as Got['end'], sha256: hash.digest('hex') };
}

async function statementsOf(work: () => Promise<unknown>): Promise<number> {
  let count = 0;
  const counted = (): void => {
    count += 1;
  };
  api.opened.pool.on('acquire', counted);
  await work();
  api.opened.pool.off('acquire', counted);
  return count;
}

test('fifty readers at once cost the database less than twice what one costs', async (t) => {
  // One alone on a server of its own, on which nothing is kept.
  await using other = await startReplayServer({
    database: api.opened,
    logger: silentLogger,
    host: '127.0.0.1',
    port: 0,
  });
  const alone = await statementsOf(async () => {
    const answer = await fetch(`${other.url}/v1/channels/busy/messages?after=3`, {
      headers: { accept: 'application/x-ndjson' },
    });
    await answer.text();
  });
  assert.ok(alone > SEGMENTS, `${alone} statements of one`);
  const together = await statementsOf(async () => {
    const readers = Array.from({ length: READERS }, (_, index) => readAfter(index % 10));
    const got = await Promise.all(readers);
    const answers = new Map<number, string>();
    for (const [index, { end, sha256 }] of got.entries()) {
      const position = index % 10;
      assert.ok(end.complete);
      assert.equal(end.count, SEGMENTS * SEGMENT_MESSAGES - position);
      assert.equal(answers.get(position) ?? sha256, sha256);
      answers.set(position, sha256);
    }
  });
  t.diagnostic(`${together} statements of ${READERS}, ${alone} of one`);
  assert.ok(together <= 2 * alone, `${together} statements of ${READERS}, ${alone} of one`);
});
