// What GET /v1/channels/{channel}/export takes.

import { Type, type Static } from 'typebox';
import { closed, instant, oneOf, position, SESSION_TEXT } from './contract-parts.ts';
import { EXPORT_FORMATS, type ExportFormat } from './export/mod.ts';

/** Parameters of an export. */
export const ExportQuery = Type.Object(
  {
    format: Type.Unsafe<ExportFormat>({
      ...oneOf(EXPORT_FORMATS, 'The format of the file.'),
      examples: ['ndjson'],
    }),
    after: Type.Optional(position('Only positions behind this one.', 0)),
    before: Type.Optional(position('Only positions before this one.')),
    seenThrough: Type.Optional(
      position(
        'A position that was read before: if the archive ends before it, it went back to an ' +
          'earlier moment, and the answer is a refusal (410).',
        0,
      ),
    ),
    from: Type.Optional(instant('Only messages published at this instant or later.')),
    to: Type.Optional(instant('Only messages published before this instant.')),
    session: Type.Optional(Type.String(SESSION_TEXT)),
  },
  { ...closed, description: 'Which messages, and in which format.' },
);

export type ExportQuery = Static<typeof ExportQuery>;
