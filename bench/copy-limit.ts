// Measures what PostgreSQL takes when nothing else is done: the very rows that a channel has, read
// back and copied again into the same table, in transactions of as many rows as the archiver's had,
// on as many connections. They get channel numbers below zero, which no channel has, and are
// deleted afterwards.

import { finished } from 'node:stream/promises';
import { Client, type Pool } from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';
import { assert } from '#base/mod.ts';

/** Rows to copy, and how. */
export interface CopyLimitOptions {
  readonly databaseUrl: string;
  readonly pool: Pool;
  /** The channel whose rows are copied. */
  readonly channelId: number;
  readonly rowsPerTransaction: number;
  readonly connections: number;
}

const COLUMNS =
  'channel_id, first_position, message_count, payload_bytes, run_session, run_first, run_length, ' +
  'min_published_at, max_published_at, archived_at, published_at, payload';
const MEASURE_MS = 3_000;
/** Read back at most; copied as often as there is time. */
const ROWS_MAX = 256;
const HEADER_BYTES = 19;
const END_MARK = Buffer.from([0xff, 0xff]);
/** Of a row: the number of columns and the length of the first one, channel_id. */
const CHANNEL_AT = 6;

/** Messages per second that COPY and COMMIT alone bring in. */
export async function measureCopyLimit(options: CopyLimitOptions): Promise<number> {
  const copied = await readRows(options);
  const rows = splitRows(copied);
  const messagesPerRow = rows.reduce((sum, row) => sum + messageCountOf(row), 0) / rows.length;
  const endMs = performance.now() + MEASURE_MS;
  const startedMs = performance.now();
  const counts = await Promise.all(
    Array.from({ length: options.connections }, (_, lane) => copyAgain(options, rows, lane, endMs)),
  );
  const elapsedMs = performance.now() - startedMs;
  await options.pool.query('DELETE FROM segments WHERE channel_id < 0');
  const copiedRows = counts.reduce((sum, count) => sum + count, 0);
  return Math.round((copiedRows * messagesPerRow * 1000) / elapsedMs);
}

async function readRows({ pool, channelId }: CopyLimitOptions): Promise<Buffer> {
  const client = await pool.connect();
  try {
    const query = `SELECT ${COLUMNS} FROM segments WHERE channel_id = ${channelId}
      ORDER BY first_position LIMIT ${ROWS_MAX}`;
    const stream = client.query(copyTo(`COPY (${query}) TO STDOUT (FORMAT binary)`));
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  } finally {
    client.release();
  }
}

function splitRows(copied: Buffer): Buffer[] {
  const rows: Buffer[] = [];
  let at = HEADER_BYTES;
  for (let columns = copied.readInt16BE(at); columns > 0; columns = copied.readInt16BE(at)) {
    const start = at;
    at += 2;
    for (let column = 0; column < columns; column += 1) {
      at += 4 + Math.max(0, copied.readInt32BE(at));
    }
    rows.push(copied.subarray(start, at));
  }
  assert(rows.length > 0, 'a channel that was measured has rows');
  return rows;
}

/** The third column; the first two take 4 and 8 bytes behind their lengths. */
function messageCountOf(row: Buffer): number {
  return row.readInt32BE(CHANNEL_AT + 4 + 4 + 8 + 4);
}

/** Copies all rows, again and again under other channel numbers; returns how many rows. */
async function copyAgain(
  { databaseUrl, rowsPerTransaction, connections }: CopyLimitOptions,
  rows: readonly Buffer[],
  lane: number,
  endMs: number,
): Promise<number> {
  const client = new Client({ connectionString: databaseUrl, application_name: 'backcast bench' });
  await client.connect();
  const own = rows.map((row) => Buffer.from(row));
  let count = 0;
  try {
    for (let pass = 0; performance.now() < endMs; pass += 1) {
      for (const row of own) row.writeInt32BE(-1 - lane - pass * connections, CHANNEL_AT);
      for (let from = 0; from < own.length && performance.now() < endMs; ) {
        const some = own.slice(from, from + rowsPerTransaction);
        await copyTransaction(client, some);
        count += some.length;
        from += some.length;
      }
    }
  } finally {
    await client.end();
  }
  return count;
}

async function copyTransaction(client: Client, rows: readonly Buffer[]): Promise<void> {
  await client.query('BEGIN; SET LOCAL synchronous_commit = on');
  const stream = client.query(copyFrom(`COPY segments (${COLUMNS}) FROM STDIN (FORMAT binary)`));
  const done = finished(stream);
  stream.write(SIGNATURE);
  for (const row of rows) stream.write(row);
  stream.end(END_MARK);
  await done;
  await client.query('COMMIT');
}

const SIGNATURE = Buffer.from(`PGCOPY\n\xff\r\n\0${'\0'.repeat(8)}`, 'latin1');
