// Compresses answers for those who ask for it. What has been handed over is flushed with every
// chunk, so that a stream arrives as it is made; a reader on the same network does better without,
// since no compression keeps up with it.

import type { Readable, Transform } from 'node:stream';
import { promisify } from 'node:util';
import {
  brotliCompress,
  constants,
  createBrotliCompress,
  createGzip,
  createZstdCompress,
  gzip,
  zstdCompress,
} from 'node:zlib';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { SEGMENTS_TYPE } from '#client/stream/mod.ts';
import { negotiateEncoding } from '../accept.ts';

/** Below this, an answer fits a packet anyway. */
const BYTES_MIN = 1_024;
/** What is a text or arrays of them; everything else is compressed already, or small. */
const COMPRESSED_TYPES = /^(application\/(json|problem\+json|x-ndjson)|text\/csv)\b/;

/** The first is what a caller gets who takes all of them alike: most for the least work. */
const ENCODINGS = ['zstd', 'gzip', 'br'] as const;
type Encoding = (typeof ENCODINGS)[number];

const GZIP = { level: constants.Z_BEST_SPEED };
const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } };

const WHOLE: Readonly<Record<Encoding, (text: string) => Promise<Buffer>>> = {
  zstd: (text) => promisify(zstdCompress)(text),
  gzip: (text) => promisify<string, object, Buffer>(gzip)(text, GZIP),
  br: (text) => promisify<string, object, Buffer>(brotliCompress)(text, BROTLI),
};

const STREAMED: Readonly<Record<Encoding, () => Compressor>> = {
  zstd: () => createZstdCompress(),
  gzip: () => createGzip(GZIP),
  br: () => createBrotliCompress(BROTLI),
};

/** Of the compressing streams, what is used here. */
type Compressor = Transform & { flush(): void };

/** Compresses what is sent by the routes of `app`. */
export function installContentEncoding(app: FastifyInstance): void {
  app.addHook('onSend', async (request, reply, payload: unknown) => {
    if (!isCompressible(reply)) return payload;
    void reply.header('vary', [reply.getHeader('vary') ?? [], 'accept-encoding'].flat().join(', '));
    const encoding = encodingFor(request);
    if (encoding === undefined) return payload;
    if (typeof payload === 'string') {
      if (payload.length < BYTES_MIN) return payload;
      void reply.header('content-encoding', encoding).removeHeader('content-length');
      return WHOLE[encoding](payload);
    }
    if (!isReadable(payload)) return payload;
    void reply.header('content-encoding', encoding).removeHeader('content-length');
    return compressed(payload, STREAMED[encoding]());
  });
}

function isCompressible(reply: FastifyReply): boolean {
  const type = String(reply.getHeader('content-type') ?? '');
  return COMPRESSED_TYPES.test(type) || type === SEGMENTS_TYPE;
}

function encodingFor(request: FastifyRequest): Encoding | undefined {
  if (request.method === 'HEAD') return undefined;
  return negotiateEncoding(request.headers['accept-encoding'], ENCODINGS);
}

function isReadable(payload: unknown): payload is Readable {
  return typeof payload === 'object' && payload !== null && Symbol.asyncIterator in payload;
}

/** `source` through `compressor`; whoever of the two ends early takes the other along. */
function compressed(source: Readable, compressor: Compressor): Readable {
  compressor.once('close', () => source.destroy());
  void pump(source, compressor);
  return compressor;
}

async function pump(source: Readable, compressor: Compressor): Promise<void> {
  try {
    for await (const chunk of source) {
      const isTaken = compressor.write(chunk);
      compressor.flush();
      if (!isTaken) await roomIn(compressor);
      if (compressor.destroyed) return;
    }
    compressor.end();
  } catch (error) {
    compressor.destroy(error instanceof Error ? error : new Error(String(error)));
  }
}

function roomIn(compressor: Compressor): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const done = (): void => {
    compressor.off('drain', done).off('close', done);
    resolve();
  };
  compressor.on('drain', done).on('close', done);
  return promise;
}
