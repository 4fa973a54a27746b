import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { BackcastError } from '#base/mod.ts';
import { Pace, publishLines, publishMadeUp } from '#cli/publish-source.ts';

const LINE_BYTES_MAX = 1_048_576;
const never = new AbortController().signal;

/** Writes down what it is given; the bytes are copied, as a publisher does. */
class PublishedList {
  readonly messageBytesMax: number;
  readonly payloads: Buffer[] = [];
  onPublish: () => void = () => undefined;

  constructor(messageBytesMax = LINE_BYTES_MAX) {
    this.messageBytesMax = messageBytesMax;
  }

  async publish(payload: Uint8Array): Promise<number> {
    this.payloads.push(Buffer.from(payload));
    this.onPublish();
    return this.payloads.length;
  }
}

function unpaced(): Pace {
  return new Pace(undefined, 0);
}

/** What lines come out of `chunks`, as Latin-1, in which every byte is a character. */
async function linesOf(...chunks: readonly (string | Buffer)[]): Promise<string[]> {
  const published = new PublishedList();
  const input = Readable.from(chunks.map((chunk) => Buffer.from(chunk)));
  const count = await publishLines(published, input, unpaced(), never);
  assert.equal(count, published.payloads.length);
  return published.payloads.map((payload) => payload.toString('latin1'));
}

test('each line is a message without its newline', async () => {
  assert.deepEqual(await linesOf('one\ntwo\n'), ['one', 'two']);
});

test('empty lines are messages, and nothing at all is none', async () => {
  assert.deepEqual(await linesOf('\n\nx\n\n'), ['', '', 'x', '']);
  assert.deepEqual(await linesOf(), []);
  assert.deepEqual(await linesOf(''), []);
});

test('a last line without a newline is a message', async () => {
  assert.deepEqual(await linesOf('one\ntwo'), ['one', 'two']);
});

test('carriage returns, zeroes and bytes that are not UTF-8 are kept', async () => {
  const bytes = Buffer.from([0xff, 0x00, 0xc3, 0x28, 0x0d]);
  const input = Buffer.concat([Buffer.from('a\r\n'), bytes, Buffer.from('\n')]);
  assert.deepEqual(await linesOf(input), ['a\r', bytes.toString('latin1')]);
});

test('it does not matter where chunks begin and end', async () => {
  const bytes = fc.uint8Array({ maxLength: 40 }).map((raw) => raw.map((byte) => byte % 12));
  await fc.assert(
    fc.asyncProperty(fc.array(bytes, { maxLength: 12 }), async (chunks) => {
      const whole = Buffer.concat(chunks).toString('latin1');
      const lines = whole.split('\n');
      if (lines.at(-1) === '') lines.pop();
      assert.deepEqual(await linesOf(...chunks.map((chunk) => Buffer.from(chunk))), lines);
    }),
  );
});

test('a line as large as a message may be is one, also in many chunks', async () => {
  const chunks = Array.from({ length: 256 }, () => Buffer.alloc(4_096, 'x'));
  const lines = await linesOf(...chunks, '\nnext\n');
  assert.deepEqual(
    lines.map(({ length }) => length),
    [LINE_BYTES_MAX, 4],
  );
});

test('a line that is too large is named, and the lines before it are published', async () => {
  const published = new PublishedList(4);
  const input = Readable.from([Buffer.from('one\ntwo\nthr'), Buffer.from('ee\nfour\n')]);
  await assert.rejects(
    publishLines(published, input, unpaced(), never),
    (error) =>
      error instanceof BackcastError &&
      error.code === 'BACKCAST_MESSAGE_TOO_LARGE' &&
      error.message.startsWith('Line 3 has more than the 4 bytes'),
  );
  assert.equal(published.payloads.length, 2);
  assert.equal(input.destroyed, true);
});

test('a line without end is refused before it is held', async () => {
  const published = new PublishedList(1_000);
  let chunkCount = 0;
  async function* endless(): AsyncGenerator<Buffer> {
    for (;;) {
      chunkCount += 1;
      yield Buffer.alloc(100, 'x');
    }
  }
  const input = Readable.from(endless(), { highWaterMark: 1 });
  await assert.rejects(publishLines(published, input, unpaced(), never), /Line 1 has more/);
  assert.ok(chunkCount < 20, `${chunkCount} chunks were read`);
});

test('an input that fails, fails the publishing', async () => {
  const input = new Readable({ read: () => input.destroy(new Error('the pipe broke')) });
  await assert.rejects(publishLines(new PublishedList(), input, unpaced(), never), /pipe broke/);
});

test('a signal ends publishing while nothing comes', async () => {
  const stop = new AbortController();
  const input = new Readable({ read: () => undefined });
  const publishing = publishLines(new PublishedList(), input, unpaced(), stop.signal);
  stop.abort();
  assert.equal(await publishing, 0);
});

test('a signal ends publishing in the middle of the lines that have come', async () => {
  const stop = new AbortController();
  const published = new PublishedList();
  const input = new Readable({ read: () => undefined });
  const publishing = publishLines(published, input, unpaced(), stop.signal);
  published.onPublish = () => stop.abort();
  input.push('one\ntwo\nthree');
  assert.equal(await publishing, 1);
  assert.equal(input.destroyed, true);
});

test('made-up messages have their number and exactly their size', async () => {
  const published = new PublishedList();
  const options = { count: 3, size: 40, pace: unpaced() };
  assert.equal(await publishMadeUp(published, options, never), 3);
  const [first] = published.payloads;
  assert.deepEqual(JSON.parse(first?.toString() ?? ''), { number: 1, filler: 'abcdefghijabcdef' });
  assert.ok(published.payloads.every(({ length }) => length === 40));
});

test('messages of no bytes can be made up, and none at all', async () => {
  const published = new PublishedList();
  await publishMadeUp(published, { count: 2, size: 0, pace: unpaced() }, never);
  assert.deepEqual(published.payloads, [Buffer.alloc(0), Buffer.alloc(0)]);
  assert.equal(await publishMadeUp(published, { count: 0, size: 9, pace: unpaced() }, never), 0);
});

test('a signal ends the making up, and the count says how far it got', async () => {
  const stop = new AbortController();
  const published = new PublishedList();
  published.onPublish = () => {
    if (published.payloads.length === 5) stop.abort();
  };
  const options = { count: 1_000_000, size: 20, pace: unpaced() };
  assert.equal(await publishMadeUp(published, options, stop.signal), 5);
});

test('a pace spreads messages evenly', () => {
  const pace = new Pace(10, 0);
  const waitsMs = [0, 0, 0, 0].map((nowMs) => pace.takeTurn(nowMs));
  assert.deepEqual(waitsMs, [0, 100, 200, 300]);
});

test('a pace makes up for timers that fire late, and not for a pause', () => {
  const pace = new Pace(1_000, 0);
  assert.equal(pace.takeTurn(0), 0);
  const waitsMs = Array.from({ length: 20 }, () => pace.takeTurn(10));
  assert.equal(waitsMs.filter((waitMs) => waitMs === 0).length, 10);
  const afterPause = Array.from({ length: 200 }, () => pace.takeTurn(60_000));
  assert.equal(afterPause.filter((waitMs) => waitMs === 0).length, 51);
});
