// Makes a PostgreSQL server that listens on TCP reachable through a socket file, which can also be
// opened from another network namespace.

import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { createTestFolder } from './folder.ts';

/** Starts the relay and gives the URL of the same database through it; it ends with `resources`. */
export async function relayThroughFile(
  resources: AsyncDisposableStack,
  url: string,
): Promise<string> {
  const { path } = resources.use(await createTestFolder());
  const target = new URL(url);
  const port = target.port === '' ? '5432' : target.port;
  const server = createServer((near) => {
    const far = connect(Number(port), target.hostname);
    for (const socket of [near, far]) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  });
  server.listen(join(path, `.s.PGSQL.${port}`));
  await once(server, 'listening');
  resources.defer(() => void server.close());
  target.searchParams.set('host', path);
  return target.href;
}
