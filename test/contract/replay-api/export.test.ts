// An export over HTTP: one file, in the format asked for, that says what is missing and where it
// ends; and requests that cannot be understood, refused by name.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { tableFromIPC } from 'apache-arrow';
import { readParquet } from 'parquet-wasm';
import { randomBelow, seededRandom } from '#base/mod.ts';
import { csvRows, messagesOf } from '#test/support/exported-folder.ts';
import { linesOf, openTestApi, type TestApi } from '#test/support/replay-api.ts';
import { SESSIONS, tradedChannel } from '#test/support/traded-channel.ts';

const PATH = '/v1/channels/trades/export';

let api: TestApi;
before(async () => {
  api = await openTestApi();
  await api.addChannel(tradedChannel('trades', 3));
  await api.addChannel({ name: 'empty', deliveries: [] });
});
after(() => api[Symbol.asyncDispose]());

async function linesOfMessages(query = ''): Promise<Record<string, unknown>[]> {
  const answer = await api.get(`/v1/channels/trades/messages${query}`, 'application/x-ndjson');
  return linesOf(answer.text);
}

async function bytesAt(path: string): Promise<Buffer> {
  const answer = await api.get(path);
  assert.equal(answer.status, 200, answer.text);
  return answer.bytes;
}

test('NDJSON is what a request for messages answers, to be saved as a file', async () => {
  const answer = await api.get(`${PATH}?format=ndjson`);
  assert.equal(answer.status, 200);
  assert.equal(answer.type, 'application/x-ndjson');
  assert.equal(answer.headers['content-disposition'], 'attachment; filename="trades.ndjson"');
  assert.deepEqual(linesOf(answer.text), await linesOfMessages());
});

test('CSV is what a request for messages answers, byte for byte', async () => {
  const exported = await bytesAt(`${PATH}?format=csv`);
  const { bytes } = await api.get('/v1/channels/trades/messages', 'text/csv');
  assert.deepEqual(exported, bytes);
});

test('bounds mean what they mean for messages', async () => {
  for (const query of [
    'from=2026-11-20T20:00:00.5Z&to=2026-11-21T13:00:00Z',
    'after=17&before=403',
    'after=17&before=18',
  ]) {
    const lines = linesOf((await bytesAt(`${PATH}?format=ndjson&${query}`)).toString());
    assert.deepEqual(lines, await linesOfMessages(`?${query}`), query);
  }
});

test('a session comes alone, with its losses', async () => {
  for (const session of SESSIONS) {
    const all = await linesOfMessages();
    const lines = linesOf((await bytesAt(`${PATH}?format=ndjson&session=${session}`)).toString());
    assert.deepEqual(
      lines.slice(0, -1),
      all.filter((line) => line['session'] === session),
    );
    assert.equal(lines.at(-1)?.['count'], lines.filter(({ kind }) => kind === 'message').length);
  }
});

test('CSV has a line per message, loss and end, each in its columns', async () => {
  const rows = csvRows(await bytesAt(`${PATH}?format=csv`));
  const lines = await linesOfMessages();
  assert.deepEqual(
    rows.map(({ kind }) => kind),
    lines.map(({ kind }) => kind),
  );
  const losses = rows.filter(({ kind }) => kind === 'loss');
  assert.ok(losses.length > 0);
  const expected = lines.filter(({ kind }) => kind === 'loss');
  assert.deepEqual(
    losses.map((row) => [row['position'], row['sequence'], row['lastSequence'], row['detail']]),
    expected.map((loss) =>
      [loss['afterPosition'], loss['first'], loss['last'], loss['cause']].map(String),
    ),
  );
  assert.equal(rows.at(-1)?.['detail'], 'partial');
});

test('every format has the same messages', async () => {
  const [ndjson, csv, parquet] = await Promise.all(
    ['ndjson', 'csv', 'parquet'].map(async (format) =>
      messagesOf(await bytesAt(`${PATH}?format=${format}`), format),
    ),
  );
  assert.deepEqual(csv, ndjson);
  assert.deepEqual(parquet, ndjson);
});

test('Parquet has microseconds, binary payloads, zstd, and says how it ended', async () => {
  const bytes = await bytesAt(`${PATH}?format=parquet`);
  const { schema } = tableFromIPC(readParquet(bytes).intoIPCStream());
  assert.deepEqual(
    schema.fields.map(({ name, type, nullable }) => `${name} ${String(type)} ${nullable}`),
    [
      'position Int64 false',
      'session Utf8 false',
      'source Utf8 true',
      'sequence Int64 false',
      'published_at Timestamp<MICROSECOND, UTC> false',
      'archived_at Timestamp<MICROSECOND, UTC> false',
      'payload Binary false',
    ],
  );
  assert.equal(schema.metadata.get('backcast.channel'), 'trades');
  assert.equal(schema.metadata.get('backcast.status'), 'partial');
  assert.throws(() => readParquet(bytes.subarray(0, bytes.length - 10)));
});

test('an export that was cut anywhere is gone on with behind the last position', async () => {
  const random = seededRandom(11);
  for (const bounds of ['', '&from=2026-11-20T14:00:00Z&to=2026-11-21T20:00:00Z']) {
    const path = `${PATH}?format=ndjson${bounds}`;
    const whole = await bytesAt(path);
    for (let cut = 0; cut < 25; cut += 1) {
      const arrived = whole.subarray(0, randomBelow(random, whole.length));
      const kept = upToLastMessage(arrived);
      const last = linesOf(kept.toString()).at(-1)?.['position'];
      const rest = await bytesAt(last === undefined ? path : `${path}&after=${Number(last)}`);
      assert.deepEqual(
        withoutEnd(Buffer.concat([kept, rest]).toString()),
        withoutEnd(whole.toString()),
      );
    }
  }
});

/** Whole lines up to the last message: what is missing behind it comes again. */
function upToLastMessage(bytes: Buffer): Buffer {
  const lines = bytes.toString().split('\n').slice(0, -1);
  const count = lines.findLastIndex((line) => line.startsWith('{"kind":"message"')) + 1;
  return Buffer.from(
    lines
      .slice(0, count)
      .map((line) => `${line}\n`)
      .join(''),
  );
}

function withoutEnd(text: string): string[] {
  return text.split('\n').filter((line) => !line.startsWith('{"kind":"end"'));
}

test('a channel without messages gives a file without messages, in every format', async () => {
  for (const format of ['ndjson', 'csv', 'parquet']) {
    const bytes = await bytesAt(`/v1/channels/empty/export?format=${format}`);
    assert.deepEqual(messagesOf(bytes, format), [], format);
  }
});

test('what cannot be understood is refused before anything is sent', async () => {
  for (const [query, code] of [
    ['', 'BACKCAST_RANGE_INVALID'],
    ['?format=xml', 'BACKCAST_RANGE_INVALID'],
    ['?format=csv&format=csv', 'BACKCAST_RANGE_INVALID'],
    ['?format=csv&limit=1', 'BACKCAST_RANGE_INVALID'],
    ['?format=csv&session=0000000000000000', 'BACKCAST_RANGE_INVALID'],
    ['?format=csv&after=1e3', 'BACKCAST_RANGE_INVALID'],
    ['?format=csv&from=yesterday', 'BACKCAST_RANGE_INVALID'],
    ['?format=csv&after=9&before=3', 'BACKCAST_RANGE_INVERTED'],
    ['?format=csv&session=1111111111111111', 'BACKCAST_SESSION_UNKNOWN'],
  ]) {
    const answer = await api.get(PATH + query);
    assert.equal(answer.type, 'application/problem+json; charset=utf-8', query);
    assert.equal((JSON.parse(answer.text) as { code: string }).code, code, query);
  }
  assert.equal((await api.get('/v1/channels/none/export?format=csv')).status, 404);
});
