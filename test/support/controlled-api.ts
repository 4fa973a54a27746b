// A replay API that knows tokens, over a database of the test's own, asked without a network.

import { openDatabase, createToken, type OpenDatabase } from '#archive/mod.ts';
import { parseScope } from '#base/mod.ts';
import { AccessControl, type AccessOptions, createReplayApi } from '#replay-api/mod.ts';
import { fillChannel, type FilledChannel } from './filled-archive.ts';
import { createTestDatabase } from './postgres.ts';
import { type Answer, silentLogger } from './replay-api.ts';

type App = Awaited<ReturnType<typeof createReplayApi>>;

/** How to ask. */
export interface Asking {
  readonly token?: string | undefined;
  readonly accept?: string;
  readonly method?: 'GET' | 'HEAD' | 'POST';
  readonly payload?: object;
}

/** The API under test. */
export interface ControlledApi extends AsyncDisposable {
  readonly url: string;
  readonly opened: OpenDatabase;
  readonly access: AccessControl;
  readonly app: App;
  readonly ask: (path: string, asking?: Asking) => Promise<Answer>;
  readonly addChannel: (channel: FilledChannel) => Promise<number>;
  /** A new token with these scopes: its text. */
  readonly token: (...scopes: readonly string[]) => Promise<string>;
}

/** An API over an empty database, where no token was made yet. */
export async function openControlledApi(
  options: Partial<AccessOptions> = {},
): Promise<ControlledApi> {
  const created = await createTestDatabase();
  const opened = openDatabase({
    url: created.url,
    poolConnectionsMax: 4,
    applicationName: 'access test',
    statementTimeoutMs: 10_000,
  });
  const access = await AccessControl.open({ database: opened, logger: silentLogger, ...options });
  const app = await createReplayApi({ database: opened, logger: silentLogger, access });
  return {
    url: created.url,
    opened,
    access,
    app,
    ask: (path, asking) => ask(app, path, asking),
    addChannel: (channel) => fillChannel(created.url, channel),
    token: (...scopes) => tokenWith(opened, scopes),
    [Symbol.asyncDispose]: async () => {
      await app.close();
      await access.close();
      await opened.close();
      await created[Symbol.asyncDispose]();
    },
  };
}

/** A new token with these scopes: its text. */
export async function tokenWith(opened: OpenDatabase, texts: readonly string[]): Promise<string> {
  const scopes = texts.map((text) => {
    const scope = parseScope(text);
    if (scope === undefined) throw new Error(`${text} is no scope`);
    return scope;
  });
  const wanted = { name: 'test', scopes, expiresAtUs: undefined };
  return (await createToken(opened.database, wanted)).text;
}

async function ask(
  app: App,
  path: string,
  { token, accept, method = 'GET', payload }: Asking = {},
): Promise<Answer> {
  const headers = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(accept === undefined ? {} : { accept }),
  };
  const response = await app.inject({ method, url: path, headers, ...(payload && { payload }) });
  return {
    status: response.statusCode,
    type: String(response.headers['content-type']),
    headers: response.headers,
    text: response.body,
    bytes: response.rawPayload,
  };
}
