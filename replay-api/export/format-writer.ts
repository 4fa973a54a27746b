// What every format of an export can do, and which is which. A writer makes the bytes of one file:
// it touches no disk and no network, and the same messages always give the same bytes, however they
// are cut into runs.

import type { Deletion, Loss, MessageRun } from '#archive/mod.ts';
import type { Framing } from '#base/mod.ts';
import { ParquetFileWriter } from './parquet-writer.ts';
import { TextWriter } from './text-writer.ts';
import type { ExportFormat, ExportStatus } from './types.ts';

/** What a streamed file says at its end. Files of a folder do not: their manifest does. */
export interface StreamEnd {
  readonly status: ExportStatus;
  readonly count: number;
  readonly lastPosition: number | null;
  readonly archivedThrough: number;
  readonly losses: number;
  readonly deletions: number;
  /** Goes on with messages behind the export; null if it has only a session of them. */
  readonly cursor: string | null;
  readonly askAgainMs: number | null;
}

/** Writes one file. */
export interface FormatWriter {
  /** Bytes that are ready when `run` is added; the writer may keep some back. */
  addRun(run: MessageRun, source: string | null): Iterable<Uint8Array>;
  /** The same for what is missing; nothing in a format that has only messages. */
  addMissing(missing: Loss | Deletion, source: string | null): Iterable<Uint8Array>;
  /** What was kept back, and the end of the file. Nothing can be added any more. */
  finish(end?: StreamEnd): Iterable<Uint8Array>;
}

/** What a file is about. */
export interface FileSubject {
  readonly channel: string;
  readonly framing: Framing;
  /** Payload bytes after which a format that keeps messages back must give them out. */
  readonly keptBytesTarget: number;
}

/** How a format is called outside. */
export const FORMAT_NAMES: Readonly<
  Record<ExportFormat, { readonly suffix: string; readonly mediaType: string }>
> = {
  ndjson: { suffix: 'ndjson', mediaType: 'application/x-ndjson' },
  csv: { suffix: 'csv', mediaType: 'text/csv; charset=utf-8; header=present' },
  parquet: { suffix: 'parquet', mediaType: 'application/vnd.apache.parquet' },
};

/** A writer of one file. */
export function openFormat(format: ExportFormat, subject: FileSubject): FormatWriter {
  if (format === 'parquet') return new ParquetFileWriter(subject);
  return new TextWriter(format, subject);
}
