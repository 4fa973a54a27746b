// The settings of who may ask the replay API, and of how it is reached safely. Tokens are not
// settings: they are in the database, where they can be made and revoked while it runs.

import { Type } from 'typebox';
import { DURATION_PATTERN } from '#base/mod.ts';

/** The token that commands present. */
export const API_TOKEN = Type.Optional(
  Type.String({
    pattern: '^[\\w.~+/-]+=*$',
    form: 'a token, which has no blanks',
    description: 'Token that commands show to the replay API.',
    env: 'BACKCAST_TOKEN',
    secret: true,
  }),
);

/** How long it is kept who read what. */
export const API_ACCESS_KEPT = Type.String({
  pattern: `^(forever|${DURATION_PATTERN})$`,
  form: 'a duration such as 36h, 30d, 4w or 2y, nor forever',
  description: 'How long it is kept who read what, as in `90d` or `2y`, or `forever`.',
  default: '1y',
  env: 'BACKCAST_ACCESS_AGE',
});

/** Certificate and key; without them the API speaks plain HTTP. */
export const API_TLS = Type.Object({
  certFile: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'PEM file with the certificate of the replay API and those of its issuers; read again ' +
        'when it changes.',
      env: 'BACKCAST_TLS_CERT_FILE',
    }),
  ),
  keyFile: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'PEM file with the key of that certificate.',
      env: 'BACKCAST_TLS_KEY_FILE',
    }),
  ),
});

/** Whose tokens are accepted beside our own. */
export const API_JWT = Type.Object({
  jwksUrl: Type.Optional(
    Type.String({
      pattern: '^https://|^http://(localhost|127\\.\\d+\\.\\d+\\.\\d+|\\[::1\\])[:/]',
      form: 'an https:// URL, nor an http:// one of this host',
      description: 'Where the public keys (JWKS) are of an issuer whose JWTs are accepted.',
      env: 'BACKCAST_JWKS_URL',
    }),
  ),
  issuer: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'What `iss` of a JWT must be.',
      env: 'BACKCAST_JWT_ISSUER',
    }),
  ),
  audience: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'What `aud` of a JWT must be or contain.',
      env: 'BACKCAST_JWT_AUDIENCE',
    }),
  ),
});
