// A replay API over a database of the test's own, asked without a network.

import { pino } from 'pino';
import { openDatabase, type OpenDatabase } from '#archive/mod.ts';
import { createReplayApi } from '#replay-api/mod.ts';
import { fillChannel, type FilledChannel } from './filled-archive.ts';
import { createTestDatabase } from './postgres.ts';

/** An answer, as a reader sees it. */
export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly bytes: Buffer;
}

/** What beside the path makes a request. */
export interface Question {
  readonly method?: 'GET' | 'HEAD' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: object;
}

/** The API under test. */
export interface TestApi extends AsyncDisposable {
  readonly url: string;
  readonly opened: OpenDatabase;
  readonly get: (path: string, accept?: string) => Promise<Answer>;
  readonly ask: (path: string, question: Question) => Promise<Answer>;
  readonly addChannel: (channel: FilledChannel) => Promise<number>;
}

/** Log lines are not looked at unless a test brings its own logger. */
export const silentLogger = pino({ level: 'silent' });

/** An API over an empty database. */
export async function openTestApi(): Promise<TestApi> {
  const created = await createTestDatabase();
  const opened = openDatabase({
    url: created.url,
    poolConnectionsMax: 4,
    applicationName: 'replay-api test',
    statementTimeoutMs: 10_000,
  });
  const app = await createReplayApi({ database: opened, logger: silentLogger });
  const ask = async (path: string, { method = 'GET', headers = {}, body }: Question) => {
    const payload = body === undefined ? {} : { payload: body };
    const response = await app.inject({ method, url: path, headers, ...payload });
    return {
      status: response.statusCode,
      type: String(response.headers['content-type']),
      headers: response.headers,
      text: response.body,
      bytes: response.rawPayload,
    };
  };
  return {
    url: created.url,
    opened,
    get: (path, accept) => ask(path, accept === undefined ? {} : { headers: { accept } }),
    ask,
    addChannel: (channel) => fillChannel(created.url, channel),
    [Symbol.asyncDispose]: async () => {
      await app.close();
      await opened.close();
      await created[Symbol.asyncDispose]();
    },
  };
}

/** The lines of an NDJSON answer. */
export function linesOf(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** The bytes that a message of an answer stands for. */
export function bytesOf(message: Readonly<Record<string, unknown>>): Buffer {
  return Buffer.from(String(message['payload']), message['encoding'] as BufferEncoding);
}
