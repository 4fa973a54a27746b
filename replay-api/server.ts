// Listens with the replay API, and stops listening without leaving anybody hanging.

import type { AddressInfo } from 'node:net';
import type { Server } from 'node:tls';
import { BackcastError, toError } from '#base/mod.ts';
import { Certificate, type CertificateFiles, TLS_VERSION_MIN } from './certificate.ts';
import { createReplayApi, type ReplayApiOptions } from './app.ts';

/** Where to listen. Port 0 takes a free one. */
export interface ReplayServerOptions extends Omit<ReplayApiOptions, 'certificate'> {
  readonly host: string;
  readonly port: number;
  /** TLS is spoken with this certificate; plain HTTP if not given. */
  readonly tls?: CertificateFiles | undefined;
}

/** A listening API. */
export interface ReplayServer extends AsyncDisposable {
  /** Where it is: http://host:port or https://host:port, without a slash at the end. */
  readonly url: string;
  /**
   * Takes no more requests, lets running answers end for CLOSE_MS_MAX, then cuts them. Idempotent.
   */
  close(): Promise<void>;
}

/** How long a running answer may go on when the server closes. */
const CLOSE_MS_MAX = 3_000;
/** How soon a connection is closed after its last answer when the server closes. */
const SWEEP_MS = 20;

/**
 * Starts to listen. BACKCAST_API_OPEN if other hosts could ask and no token is needed;
 * BACKCAST_TLS_UNUSABLE; BACKCAST_PORT_IN_USE if somebody else does; BACKCAST_CONFIG_INVALID if the
 * address is none of this host's or not allowed.
 */
export async function startReplayServer(options: ReplayServerOptions): Promise<ReplayServer> {
  const { host, port } = options;
  assertClosed(options);
  const certificate =
    options.tls === undefined ? undefined : new Certificate(options.tls, options.logger);
  const app = await createReplayApi({ ...options, certificate: certificate?.text });
  certificate?.onChange((text) => {
    (app.server as unknown as Server).setSecureContext({ ...text, minVersion: TLS_VERSION_MIN });
  });
  try {
    await app.listen({ host, port, listenTextResolver: (address) => `replay API at ${address}` });
  } catch (error) {
    certificate?.[Symbol.dispose]();
    await app.close();
    throw listenError(error, host, port);
  }
  const scheme = certificate === undefined ? 'http' : 'https';
  const url = urlOf(scheme, host, app.server.address() as AddressInfo);
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => (closing ??= closeWithin(CLOSE_MS_MAX));
  const closeWithin = async (closeMsMax: number): Promise<void> => {
    // A connection whose answer ends now would be kept for the next request, which is not to come.
    const sweep = setInterval(() => app.server.closeIdleConnections(), SWEEP_MS);
    const cut = setTimeout(() => app.server.closeAllConnections(), closeMsMax);
    await app.close();
    certificate?.[Symbol.dispose]();
    clearInterval(sweep);
    clearTimeout(cut);
    options.logger.info({ url }, 'replay API closed');
  };
  return { url, close, [Symbol.asyncDispose]: close };
}

/** Whoever needs no token must be on this host. */
function assertClosed({ host, access, tls, logger }: ReplayServerOptions): void {
  const isOpen = access?.isOpen !== false;
  const isReachable = !LOOPBACK.test(host);
  if (isReachable && tls === undefined && !isOpen)
    logger.warn({ host }, 'tokens travel in the clear');
  if (isReachable && isOpen)
    throw new BackcastError(
      'BACKCAST_API_OPEN',
      `There is no token, so whoever reaches ${host} could read everything. Make one with ` +
        '`backcast token create NAME --scope "read:*"`, or listen on 127.0.0.1.',
    );
  if (isOpen)
    logger.info('no token has been made: whoever is on this host may ask, and nobody else');
}

const LOOPBACK = /^(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1)$/;

function urlOf(scheme: string, host: string, address: AddressInfo): string {
  const shown = host.includes(':') ? `[${host}]` : host;
  return `${scheme}://${shown}:${address.port}`;
}

function listenError(error: unknown, host: string, port: number): BackcastError {
  const known = toError(error);
  const code = 'code' in known ? known.code : undefined;
  if (code === 'EADDRINUSE') {
    return new BackcastError(
      'BACKCAST_PORT_IN_USE',
      `Port ${port} of ${host} is in use by another process. Stop that one or choose another port.`,
      { cause: error },
    );
  }
  return new BackcastError(
    'BACKCAST_CONFIG_INVALID',
    `Cannot listen on ${host} port ${port}: ${known.message}. Choose an address of this host.`,
    { cause: error },
  );
}
