// An export as Parquet: one row per message, compressed with zstd, with the columns of the view
// `messages`. Rows are kept back until they are a row group. What is missing has no row here, since
// whoever counts rows counts messages; a streamed file tells of it in its own metadata, and a
// folder in its manifest. A file that was cut off has no footer, and nothing can read it.

import { ByteWriter, ParquetWriter, type SchemaElement } from 'hyparquet-writer';
import { zstdCompressSync } from 'node:zlib';
import { firstPositionOf, type MessageRun } from '#archive/mod.ts';
import { assert } from '#base/mod.ts';
import type { FileSubject, FormatWriter, StreamEnd } from './format-writer.ts';

/** Rows in one group: enough to compress well, few enough to be made in some tens of ms. */
const GROUP_MESSAGES_MAX = 16_384;

const REQUIRED = { repetition_type: 'REQUIRED' } as const;
const TEXT = {
  type: 'BYTE_ARRAY',
  converted_type: 'UTF8',
  logical_type: { type: 'STRING' },
} as const;
const INSTANT = {
  type: 'INT64',
  converted_type: 'TIMESTAMP_MICROS',
  logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
} as const;

const COLUMNS: readonly SchemaElement[] = [
  { name: 'position', type: 'INT64', ...REQUIRED },
  { name: 'session', ...TEXT, ...REQUIRED },
  { name: 'source', ...TEXT, repetition_type: 'OPTIONAL' },
  { name: 'sequence', type: 'INT64', ...REQUIRED },
  { name: 'published_at', ...INSTANT, ...REQUIRED },
  { name: 'archived_at', ...INSTANT, ...REQUIRED },
  { name: 'payload', type: 'BYTE_ARRAY', ...REQUIRED },
];
const SCHEMA: SchemaElement[] = [{ name: 'message', num_children: COLUMNS.length }, ...COLUMNS];

/** The columns of the rows that are kept back. */
interface Group {
  readonly position: bigint[];
  readonly session: string[];
  readonly source: (string | null)[];
  readonly sequence: bigint[];
  readonly publishedAtUs: bigint[];
  readonly archivedAtUs: bigint[];
  readonly payload: Uint8Array[];
}

/** Writes Parquet. Keeps back at most a row group. */
export class ParquetFileWriter implements FormatWriter {
  readonly #bytes = new ByteWriter();
  readonly #file: ParquetWriter;
  #group = emptyGroup();
  readonly #groupBytesTarget: number;
  #groupBytes = 0;

  constructor({ channel, framing, keptBytesTarget }: FileSubject) {
    this.#groupBytesTarget = keptBytesTarget;
    this.#file = new ParquetWriter({
      writer: this.#bytes,
      schema: SCHEMA,
      codec: 'ZSTD',
      compressors: { ZSTD: (input) => zstdCompressSync(input) },
      createdBy: 'backcast',
      kvMetadata: [
        { key: 'backcast.channel', value: channel },
        { key: 'backcast.framing', value: framing },
      ],
    });
  }

  *addRun(run: MessageRun, source: string | null): Iterable<Uint8Array> {
    const { segment, firstIndex, messageCount, firstSequence, session } = run;
    const { bytes, payloadStarts, payloadEnds, publishedAtUs } = segment;
    const firstPosition = firstPositionOf(run);
    const archivedAtUs = BigInt(run.archivedAtUs);
    for (let step = 0; step < messageCount; step += 1) {
      const index = firstIndex + step;
      // A copy: a view would keep the whole segment, of which this may be the only message wanted.
      const payload = Uint8Array.prototype.slice.call(
        bytes,
        payloadStarts[index],
        payloadEnds[index],
      );
      const group = this.#group;
      group.position.push(BigInt(firstPosition + step));
      group.session.push(session);
      group.source.push(source);
      group.sequence.push(BigInt(firstSequence + step));
      group.publishedAtUs.push(BigInt(publishedAtUs[index]));
      group.archivedAtUs.push(archivedAtUs);
      group.payload.push(payload);
      this.#groupBytes += payload.length;
      const isFull = group.payload.length >= GROUP_MESSAGES_MAX;
      if (isFull || this.#groupBytes >= this.#groupBytesTarget) yield this.#closeGroup();
    }
  }

  addMissing(): Iterable<Uint8Array> {
    return [];
  }

  *finish(end?: StreamEnd): Iterable<Uint8Array> {
    if (this.#group.payload.length > 0) yield this.#closeGroup();
    if (end !== undefined) this.#file.kvMetadata?.push(...endMetadata(end));
    void this.#file.finish();
    const rest = this.#takeBytes();
    yield this.#file.num_rows === 0n ? withListOfGroups(rest) : rest;
  }

  #closeGroup(): Uint8Array {
    const { position, session, source, sequence, publishedAtUs, archivedAtUs, payload } =
      this.#group;
    const ascending = 'DELTA_BINARY_PACKED';
    void this.#file.write({
      rowGroupSize: position.length,
      columnData: [
        { name: 'position', data: position, encoding: ascending },
        { name: 'session', data: session, encoding: 'RLE_DICTIONARY' },
        { name: 'source', data: source, encoding: 'RLE_DICTIONARY' },
        { name: 'sequence', data: sequence, encoding: ascending },
        { name: 'published_at', data: publishedAtUs, encoding: ascending },
        { name: 'archived_at', data: archivedAtUs, encoding: ascending },
        { name: 'payload', data: payload, encoding: 'PLAIN', statistics: false },
      ],
    });
    this.#group = emptyGroup();
    this.#groupBytes = 0;
    return this.#takeBytes();
  }

  /** What has been written since; the writer goes on counting where it is in the file. */
  #takeBytes(): Uint8Array {
    const taken = this.#bytes.getBytes().slice();
    this.#bytes.index = 0;
    return taken;
  }
}

function emptyGroup(): Group {
  return {
    position: [],
    session: [],
    source: [],
    sequence: [],
    publishedAtUs: [],
    archivedAtUs: [],
    payload: [],
  };
}

/** In the footer of a file without rows: `num_rows` 0, then `row_groups`, a list of nothing. */
const NO_GROUPS = Buffer.from([0x16, 0x00, 0x19, 0x00]);
/** That it is a list of structures, by Thrift's compact protocol. */
const OF_STRUCTURES = 0x0c;

/**
 * The library takes the type of a list from its elements, so that an empty one has none; strict
 * readers then refuse the file.
 */
function withListOfGroups(footer: Uint8Array): Uint8Array {
  const at = Buffer.from(footer).indexOf(NO_GROUPS);
  assert(at !== -1, 'the footer of a file without rows lists no row groups');
  footer[at + NO_GROUPS.length - 1] = OF_STRUCTURES;
  return footer;
}

function endMetadata(end: StreamEnd): { readonly key: string; readonly value: string }[] {
  return Object.entries(end).map(([name, value]) => ({
    key: `backcast.${name}`,
    value: String(value),
  }));
}
