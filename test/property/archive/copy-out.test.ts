// The answer to a COPY as a connection hands it over: the messages of the protocol, cut anywhere.

import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Connection } from 'pg';
import { CopyOut } from '#archive/copy-out.ts';

const message = (kind: string, body: Uint8Array): Buffer => {
  const head = Buffer.alloc(5, kind);
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};
const NOTICE = message('N', Buffer.from('SNOTICE\0\0'));
const BEGUN = message('H', Buffer.from([1, 0, 0]));
const ENDED = Buffer.concat([message('c', Buffer.alloc(0)), message('C', Buffer.from('COPY\0'))]);

/** A connection at which bytes arrive, and what its driver has got of them. */
function openConnection() {
  const stream = new EventEmitter();
  const driven: Buffer[] = [];
  stream.on('data', (bytes: Buffer) => driven.push(Buffer.from(bytes)));
  const statements: string[] = [];
  const query = (text: string): void => void statements.push(text);
  const connection = { stream, query } as unknown as Connection;
  return { connection, stream, statements, driven: () => Buffer.concat(driven) };
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % bytes.length)), bytes.length];
  const sorted = ends.toSorted((one, other) => one - other);
  return sorted.map((end, index) => bytes.subarray(sorted[index - 1] ?? 0, end));
}

const toBuffer = (row: Uint8Array): Buffer => Buffer.from(row);

const ROWS = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 });
const PLACES = fc.array(fc.nat(), { maxLength: 20 });
const HOW = fc.constantFrom('plainBytes', 'data');

test('an answer is its rows and the rest is the driver’s, however it is cut', async () => {
  await fc.assert(
    fc.asyncProperty(ROWS, PLACES, HOW, async (rows, places, how) => {
      const { connection, stream, statements, driven } = openConnection();
      const copy = new CopyOut('COPY some TO STDOUT', (bytes) => new ArrayBuffer(bytes + 3));
      copy.submit(connection);
      const messages = rows.map((row) => message('d', row));
      const answer = Buffer.concat([BEGUN, NOTICE, ...messages, NOTICE, ENDED]);
      // The memory that bytes come in is used for the next ones.
      const arrived = Buffer.alloc(answer.length);
      for (const chunk of cut(answer, places)) {
        const isHandedBack = driven().length > 0;
        chunk.copy(arrived);
        stream.emit(isHandedBack ? 'data' : how, arrived.subarray(0, chunk.length));
        arrived.fill(0xff);
      }
      copy.handleReadyForQuery();
      assert.deepEqual((await copy.rows).map(toBuffer), rows.map(toBuffer));
      assert.deepEqual(driven(), ENDED);
      assert.deepEqual(statements, ['COPY some TO STDOUT']);
      assert.equal(stream.listenerCount('data'), 1);
      assert.equal(stream.listenerCount('plainBytes'), 0);
    }),
  );
});

test('an error within an answer reaches the driver whole, and by it who waits', async () => {
  await fc.assert(
    fc.asyncProperty(ROWS, PLACES, HOW, async (rows, places, how) => {
      const { connection, stream, driven } = openConnection();
      const copy = new CopyOut('COPY some TO STDOUT', (bytes) => new ArrayBuffer(bytes));
      copy.submit(connection);
      const failure = message('E', Buffer.from('SERROR\0C57014\0\0'));
      const messages = rows.map((row) => message('d', row));
      for (const chunk of cut(Buffer.concat([BEGUN, ...messages, failure]), places)) {
        stream.emit(driven().length > 0 ? 'data' : how, chunk);
      }
      assert.deepEqual(driven(), failure);
      copy.handleError(new Error('canceled'));
      await assert.rejects(copy.rows, /canceled/);
    }),
  );
});
