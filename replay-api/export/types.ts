// The values of an export: what is asked for, what has been settled about it, and the manifest that
// tells what is in the folder. What is written to disk is JSON of these.

import type { SettledRange } from '#archive/mod.ts';
import type { LossCause, SequenceRange, SessionId } from '#base/mod.ts';
import type { StreamStatus } from '#client/stream/mod.ts';

/** The formats that messages are written in. */
export const EXPORT_FORMATS = ['ndjson', 'csv', 'parquet'] as const;

/** One of the formats. */
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** What to export, in the order of the channel. */
export interface ExportRange {
  readonly channel: string;
  /** Exclusive bounds of positions; undefined for none. */
  readonly after: number | undefined;
  readonly before: number | undefined;
  /** A position that the archive had once, where an answer is gone on with. */
  readonly seenThrough?: number | undefined;
  /** Half-open interval of publish times in microseconds since 1970; undefined for no bound. */
  readonly publishedFromUs: number | undefined;
  readonly publishedToUs: number | undefined;
  /** Only messages of this session; undefined for all. */
  readonly session: SessionId | undefined;
}

/** What is asked for of a folder. An export goes on only where exactly this was asked for. */
export interface ExportPlan extends ExportRange {
  readonly format: ExportFormat;
  /** Messages in a part at most. */
  readonly partMessages: number;
}

/** What the archive said when the export began. */
export type ExportScope = Pick<SettledRange, 'settledAtUs' | 'positions' | 'unsettled'> & {
  /** The head of the channel: nothing beyond is in the export. */
  readonly archivedThrough: number;
};

/** A file of the export as it was written. */
export interface ExportedFile {
  readonly file: string;
  readonly bytes: number;
  /** In hex digits. */
  readonly sha256: string;
}

/** A file with messages. */
export interface ExportedPart extends ExportedFile {
  readonly messages: number;
  readonly firstPosition: number;
  readonly lastPosition: number;
}

/** What an export has of one session. */
export interface ExportedSession {
  readonly session: SessionId;
  readonly source: string | null;
  readonly messages: number;
  /** The sequences of its messages in order, adjacent ones put together: [first, last] each. */
  readonly sequences: readonly (readonly [number, number])[];
}

/** Sums over messages. */
export interface ExportedTotals {
  readonly count: number;
  readonly payloadBytes: number;
  /** All null if there are no messages. */
  readonly firstPosition: number | null;
  readonly lastPosition: number | null;
  readonly publishedFromUs: number | null;
  readonly publishedThroughUs: number | null;
}

/** Losses, or deletions: their file, and how many there are. */
export interface ExportedMissing<Listed> extends ExportedFile {
  readonly count: number;
  /** The first of them, all if there are few. */
  readonly listed: readonly Listed[];
}

/** A loss as it stands in losses.ndjson; there are more members than these. */
export interface ListedMissing {
  readonly session: SessionId;
  readonly first: number;
  readonly last: number;
  readonly cause?: LossCause;
}

/** Whether everything that was asked for is there, as in answers of the API. */
export type ExportStatus = StreamStatus;

/** manifest.json: what the folder holds, with the hash of every file and of itself. */
export interface ExportManifest {
  readonly kind: 'backcast-export';
  readonly version: 1;
  readonly channel: string;
  readonly framing: string;
  readonly format: ExportFormat;
  /** As asked for; null is no bound. */
  readonly bounds: {
    readonly after: number | null;
    readonly before: number | null;
    readonly publishedFrom: string | null;
    readonly publishedTo: string | null;
    readonly session: SessionId | null;
  };
  readonly settledAt: string;
  readonly archivedThrough: number;
  /** Positions that were looked through; null if there was none. */
  readonly positions: SequenceRange | null;
  readonly status: ExportStatus;
  readonly messages: Omit<ExportedTotals, 'publishedFromUs' | 'publishedThroughUs'> & {
    readonly publishedFrom: string | null;
    readonly publishedThrough: string | null;
  };
  readonly sessions: readonly ExportedSession[];
  readonly losses: ExportedMissing<ListedMissing>;
  readonly deletions: ExportedMissing<ListedMissing>;
  readonly partMessages: number;
  readonly parts: readonly ExportedPart[];
  /** SHA-256 of this document with an empty text in this place. */
  readonly sha256: string;
}
