// An HTTP listener for /metrics and nothing else, for processes that have no API of their own.

import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { BackcastError, toError } from '#base/mod.ts';
import { EXPOSITION_TYPE, type MetricFamily, renderMetrics } from './exposition.ts';

/** Where to listen, and what to tell. Port 0 takes a free one. */
export interface MetricsListenerOptions {
  readonly host: string;
  readonly port: number;
  /** Asked once per request. */
  readonly collect: () => readonly MetricFamily[];
}

/** A listener. Disposing cuts what is being answered. */
export interface MetricsListener extends AsyncDisposable {
  /** Where it is: http://host:port/metrics. */
  readonly url: string;
}

const REQUEST_MS_MAX = 10_000;

/** Starts to listen. Errors: BACKCAST_PORT_IN_USE, BACKCAST_CONFIG_INVALID. */
export async function listenForMetrics(options: MetricsListenerOptions): Promise<MetricsListener> {
  const { host, port, collect } = options;
  const server = createServer({ requestTimeout: REQUEST_MS_MAX }, (request, response) => {
    const isMetrics = request.method === 'GET' && request.url?.split('?')[0] === '/metrics';
    if (isMetrics) {
      response.writeHead(200, { 'content-type': EXPOSITION_TYPE }).end(renderMetrics(collect()));
    } else {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('GET /metrics is here.\n');
    }
  });
  try {
    const listening = once(server, 'listening');
    server.listen({ host, port });
    await listening;
  } catch (error) {
    throw listenError(error, host, port);
  }
  const shown = host.includes(':') ? `[${host}]` : host;
  return {
    url: `http://${shown}:${(server.address() as AddressInfo).port}/metrics`,
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function listenError(cause: unknown, host: string, port: number): BackcastError {
  const known = toError(cause);
  if ('code' in known && known.code === 'EADDRINUSE') {
    const message = `Port ${port} of ${host} is in use by another process. Choose another one.`;
    return new BackcastError('BACKCAST_PORT_IN_USE', message, { cause });
  }
  const message =
    `Cannot serve metrics on ${host} port ${port}: ${known.message}. ` +
    'Choose an address of this host.';
  return new BackcastError('BACKCAST_CONFIG_INVALID', message, { cause });
}
