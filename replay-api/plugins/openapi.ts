// Describes the API in OpenAPI 3.1, made from the contract, and serves it as a document and as a
// page. The page is served from here with everything it needs: a host that reaches no other network
// shows it too.

import swagger from '@fastify/swagger';
import reference from '@scalar/fastify-api-reference';
import type { FastifyInstance } from 'fastify';

/** Collects the routes that are registered after it. */
export async function installOpenApi(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Backcast replay API',
        version: '1',
        description: DESCRIPTION,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/' }],
      components: {
        securitySchemes: {
          token: {
            type: 'http',
            scheme: 'bearer',
            description: 'A token of `backcast token create`, or a JWT of the configured issuer.',
          },
        },
      },
      security: [{ token: [] }, {}],
      tags: [
        { name: 'history', description: 'Messages, and whether they are all there.' },
        { name: 'catalogue', description: 'What is recorded: channels, sessions, losses.' },
        { name: 'operation', description: 'Whether this server can answer.' },
      ],
    },
    refResolver: {
      buildLocalReference: (schema, _base, _fragment, index) =>
        typeof schema.$id === 'string' ? schema.$id : `schema-${index}`,
    },
  });
}

const DESCRIPTION =
  'History of channels that are broadcast over multicast. Every sequence number of a session ' +
  'is accounted for: a message is stored, or declared lost with a cause, or not settled yet, ' +
  'and each answer says which. Answers are never silently short.';

/** Serves the document and the page. */
export async function serveOpenApi(app: FastifyInstance): Promise<void> {
  const config = { scope: 'public' } as const;
  app.get('/openapi.json', { schema: { hide: true }, config }, (_request, reply) =>
    reply.type('application/json').send(JSON.stringify(app.swagger())),
  );
  await app.register(async (docs) => {
    docs.addHook('onRoute', (route) => {
      route.config = { ...route.config, scope: 'public' };
    });
    docs.addHook('onSend', async (_request, reply) => {
      void reply.header('content-security-policy', CONTENT_SECURITY_POLICY);
    });
    await docs.register(reference, {
      routePrefix: '/docs',
      logLevel: 'silent',
      configuration: {
        url: '/openapi.json',
        pageTitle: 'Backcast replay API',
        withDefaultFonts: false,
        telemetry: false,
        hideClientButton: true,
        showDeveloperTools: 'never',
        agent: { disabled: true },
        mcp: { disabled: true },
      },
    });
  });
}

/** The page may load nothing from anywhere else, whatever its libraries would like to. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self' 'unsafe-inline'",
  "style-src 'self' 'unsafe-inline'",
  "connect-src 'self'",
  "img-src 'self' data:",
  "font-src 'self' data:",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');
