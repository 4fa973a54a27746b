// A reader whose connection breaks again and again goes on where it was, and has in the end, byte
// for byte, what an answer without a break would have had; compressed or not, in each form.

import assert from 'node:assert/strict';
import { get } from 'node:http';
import { after, before, test } from 'node:test';
import {
  createZstdDecompress,
  gunzipSync,
  zstdDecompressSync,
  brotliDecompressSync,
} from 'node:zlib';
import { randomBelow, seededRandom, type SessionId } from '#base/mod.ts';
import { startReplayServer, type ReplayServer } from '#replay-api/mod.ts';
import { type Delivery, fillChannel, instantAt } from '#test/support/filled-archive.ts';
import { openTestApi, silentLogger, type TestApi } from '#test/support/replay-api.ts';

const A = '00000000000000aa' as SessionId;
const B = '7bbbbbbbbbbbbbbb' as SessionId;
const CUTS = 100;
const SEED = 20_261_122;
const PATH = '/v1/channels/long/messages';
const FORMS = ['application/x-ndjson', 'text/csv', 'application/vnd.backcast.segments'] as const;
const KINDS = { messages: 3, loss: 4, end: 7 };

let api: TestApi;
let server: ReplayServer;
before(async () => {
  api = await openTestApi();
  await fillChannel(api.url, { name: 'long', deliveries: longCourse() });
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

/** Segments of two sessions in turn, of all sizes, and a loss now and then. */
function longCourse(): Delivery[] {
  const random = seededRandom(SEED);
  const next = new Map([
    [A, 1],
    [B, 1],
  ]);
  const take = (session: SessionId, count: number): number => {
    const first = next.get(session) ?? 1;
    next.set(session, first + count);
    return first;
  };
  return Array.from({ length: 200 }, (_, index): Delivery => {
    const atUs = instantAt(index);
    if (index % 9 === 4) {
      const first = take(A, 3);
      const range = { session: A, first, last: first + 2 };
      return { kind: 'loss', ...range, cause: 'corrupt', detectedAtUs: atUs };
    }
    const messages = Array.from({ length: 1 + randomBelow(random, 40) }, () => {
      const session = randomBelow(random, 3) === 0 ? B : A;
      const payload = Buffer.alloc(randomBelow(random, 400), 32 + randomBelow(random, 224));
      return { session, sequence: take(session, 1), publishedAtUs: atUs, payload };
    });
    return { kind: 'segment', archivedAtUs: atUs, messages };
  });
}

/** The first `bytesMax` bytes of an answer, whose connection is cut then; all of a shorter one. */
function read(path: string, accept: string, bytesMax: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let byteCount = 0;
    const request = get(server.url + path, { headers: { accept }, agent: false }, (response) => {
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        byteCount += chunk.length;
        if (byteCount >= bytesMax) request.destroy();
      });
      response.on('error', () => undefined);
      response.on('close', () => resolve(Buffer.concat(chunks).subarray(0, bytesMax)));
    });
    request.on('error', (error) => (byteCount === 0 ? reject(error) : undefined));
  });
}

/** What of an answer came whole, one by one; `position` is the last one told by then. */
interface WholePiece {
  readonly bytes: Buffer;
  readonly position: number | undefined;
  readonly isEnd: boolean;
}

function wholeLines(bytes: Buffer): WholePiece[] {
  const text = bytes.toString('latin1');
  const lines = text.slice(0, text.lastIndexOf('\n') + 1).split(/(?<=\n)/);
  return lines
    .filter((line) => line !== '' && !line.startsWith('kind,'))
    .map((line) => {
      const position = /^(?:\{"kind":"message","position":|message,)(\d+)/.exec(line)?.[1];
      return {
        bytes: Buffer.from(line, 'latin1'),
        position: position === undefined ? undefined : Number(position),
        isEnd: /^(\{"kind":"end"|end,)/.test(line),
      };
    });
}

function wholeFrames(bytes: Buffer): WholePiece[] {
  const pieces: WholePiece[] = [];
  for (let at = 0; at + 5 <= bytes.length; ) {
    const end = at + 5 + bytes.readUInt32BE(at);
    if (end > bytes.length) break;
    const frame = bytes.subarray(at, end);
    const kind = frame[4];
    if (kind === KINDS.messages) pieces.push({ ...messagesPiece(frame), isEnd: false });
    if (kind === KINDS.loss) pieces.push({ bytes: frame, position: undefined, isEnd: false });
    if (kind === KINDS.end) pieces.push({ bytes: frame, position: undefined, isEnd: true });
    at = end;
  }
  return pieces;
}

/** The last position in a frame is that of the last message of its last run. */
function messagesPiece(frame: Buffer): { readonly bytes: Buffer; readonly position: number } {
  const lastRunAt = 5 + 8 + (frame.readUInt32BE(5) - 1) * 44;
  const first = Number(frame.readBigInt64BE(lastRunAt + 24));
  return { bytes: frame, position: first + frame.readUInt32BE(lastRunAt + 40) - 1 };
}

/**
 * Reads to the end with a cut at each of `cuts` bytes from where it began again. Losses behind the
 * last position are told again, so that only what stands before a later message is kept.
 */
async function readCut(
  form: (typeof FORMS)[number],
  piecesOf: (bytes: Buffer) => WholePiece[],
  cuts: readonly number[],
): Promise<Buffer> {
  const kept: Buffer[] = [];
  let position = 0;
  for (const bytesMax of [...cuts, Number.MAX_SAFE_INTEGER]) {
    const pieces = piecesOf(await read(`${PATH}?after=${position}`, form, bytesMax));
    const isWhole = pieces.at(-1)?.isEnd === true;
    const lastMessage = pieces.findLastIndex((piece) => piece.position !== undefined);
    const taken = isWhole ? pieces.slice(0, -1) : pieces.slice(0, lastMessage + 1);
    kept.push(...taken.map(({ bytes }) => bytes));
    position = pieces[lastMessage]?.position ?? position;
    if (isWhole) break;
  }
  return Buffer.concat(kept);
}

for (const form of FORMS) {
  test(`${form}, cut at 100 random places and resumed, has the same bytes in total`, async () => {
    const piecesOf = form === FORMS[2] ? wholeFrames : wholeLines;
    const whole = piecesOf(await read(PATH, form, Number.MAX_SAFE_INTEGER));
    assert.equal(whole.at(-1)?.isEnd, true);
    const expected = Buffer.concat(whole.slice(0, -1).map(({ bytes }) => bytes));
    const random = seededRandom(SEED);
    const reach = Math.ceil((2.5 * expected.length) / CUTS);
    const cuts = Array.from({ length: CUTS }, () => 1 + randomBelow(random, reach));
    assert.ok((await readCut(form, piecesOf, cuts)).equals(expected));
  });
}

const UNPACKED = { gzip: gunzipSync, br: brotliDecompressSync, zstd: zstdDecompressSync };

for (const [encoding, unpack] of Object.entries(UNPACKED)) {
  test(`an answer in ${encoding} is smaller, and the same once it is unpacked`, async () => {
    for (const accept of [...FORMS, 'application/json']) {
      const plain = await api.ask(PATH, { headers: { accept } });
      const headers = { accept, 'accept-encoding': encoding };
      const packed = await api.ask(PATH, { headers });
      assert.equal(packed.headers['content-encoding'], encoding);
      assert.match(String(packed.headers['vary']), /accept-encoding/);
      assert.ok(packed.bytes.length < plain.bytes.length);
      assert.ok(withoutEstimate(unpack(packed.bytes)).equals(withoutEstimate(plain.bytes)));
    }
  });
}

/** Without the only frame of an answer that depends on how long it took. */
function withoutEstimate(bytes: Buffer): Buffer {
  const frame = /[^]{4}\x80\{"kind":"estimate"[^}]*\}/;
  return Buffer.from(bytes.toString('latin1').replace(frame, ''), 'latin1');
}

test('what is compressed arrives while the rest is still being made', async () => {
  const headers = { accept: FORMS[0], 'accept-encoding': 'zstd' };
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const request = get(`${server.url}${PATH}`, { headers, agent: false }, (response) => {
    const unpacked = response.pipe(createZstdDecompress());
    unpacked.once('data', (chunk: Buffer) => resolve(chunk.toString()));
  });
  request.on('error', reject);
  const first = await promise;
  request.destroy();
  assert.match(first, /^\{"kind":"message","position":1,/);
  assert.doesNotMatch(first, /"kind":"end"/);
});
