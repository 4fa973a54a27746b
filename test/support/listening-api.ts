// A replay API that listens, over a database of the test's own; and a relay before it that breaks
// the connection in the middle of answers.

import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { openDatabase, type OpenDatabase } from '#archive/mod.ts';
import { startReplayServer } from '#replay-api/mod.ts';
import { type FilledChannel, fillChannel } from './filled-archive.ts';
import { createTestDatabase } from './postgres.ts';
import { silentLogger } from './replay-api.ts';

/** The API under test. */
export interface ListeningApi extends AsyncDisposable {
  readonly url: string;
  readonly opened: OpenDatabase;
  readonly addChannel: (channel: FilledChannel) => Promise<number>;
}

/** An API over an empty database, or the one at `databaseUrl`. */
export async function startTestApi(databaseUrl?: string): Promise<ListeningApi> {
  const resources = new AsyncDisposableStack();
  const { url: database } =
    databaseUrl === undefined ? resources.use(await createTestDatabase()) : { url: databaseUrl };
  const opened = resources.use(
    openDatabase({
      url: database,
      poolConnectionsMax: 4,
      applicationName: 'replay-api test',
      statementTimeoutMs: 10_000,
    }),
  );
  const listening = { host: '127.0.0.1', port: 0, logger: silentLogger };
  const server = resources.use(await startReplayServer({ ...listening, database: opened }));
  return {
    url: server.url,
    opened,
    addChannel: (channel) => fillChannel(database, channel),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** A relay on a port of its own. */
export interface BreakingRelay extends AsyncDisposable {
  readonly url: string;
  /** Connections broken so far. */
  readonly brokenCount: () => number;
}

/**
 * Stands before the API at `url` and breaks each connection after as many bytes of answers as
 * `nextCutBytes` says; undefined lets it be.
 */
export async function startBreakingRelay(
  url: string,
  nextCutBytes: () => number | undefined,
): Promise<BreakingRelay> {
  const target = new URL(url);
  const sockets = new Set<Socket>();
  let brokenCount = 0;
  const server = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
    let leftBytes = nextCutBytes() ?? Number.POSITIVE_INFINITY;
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => [near, far].forEach((each) => each.destroy()));
    }
    near.pipe(far);
    far.on('data', (chunk) => {
      near.write(chunk.subarray(0, Math.min(chunk.length, leftBytes)));
      leftBytes -= chunk.length;
      if (leftBytes > 0) return;
      brokenCount += 1;
      far.destroy();
      near.destroySoon();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    brokenCount: () => brokenCount,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
