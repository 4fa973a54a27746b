// Reads exported folders as a stranger would: NDJSON by JSON.parse, CSV by the letter of RFC 4180,
// Parquet by another implementation than the one that wrote it.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { tableFromIPC } from 'apache-arrow';
import { readParquet } from 'parquet-wasm';
import { formatInstant } from '#base/mod.ts';

/** A message as a file of any format has it. */
export interface ReadMessage {
  readonly position: number;
  readonly session: string;
  readonly source: string | null;
  readonly sequence: number;
  readonly publishedAt: string;
  readonly archivedAt: string;
  readonly payload: Buffer;
}

/** Every file of the folder at `path` by name, in order. */
export function filesOf(path: string): Map<string, Buffer> {
  const names = readdirSync(path).toSorted();
  return new Map(names.map((name) => [name, readFileSync(join(path, name))]));
}

/** The messages in all parts of the folder at `path`. */
export function messagesIn(path: string): ReadMessage[] {
  return [...filesOf(path)]
    .filter(([name]) => name.startsWith('messages-'))
    .flatMap(([name, bytes]) => messagesOf(bytes, name.slice(name.indexOf('.') + 1)));
}

/** The messages in a file of the format that is named `suffix`. */
export function messagesOf(bytes: Buffer, suffix: string): ReadMessage[] {
  if (suffix === 'parquet') return fromParquet(bytes);
  const rows = suffix === 'csv' ? csvRows(bytes) : ndjsonRows(bytes);
  return rows.filter(({ kind }) => kind === 'message').map(fromText);
}

/** The lines of a CSV file as objects named by its header; fields are texts. */
export function csvRows(bytes: Buffer): Record<string, unknown>[] {
  const [header = [], ...lines] = csvFields(bytes.toString());
  return lines.map((fields) => Object.fromEntries(fields.map((text, at) => [header[at], text])));
}

function ndjsonRows(bytes: Buffer): Record<string, unknown>[] {
  const lines = bytes.toString().split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

function fromText(row: Readonly<Record<string, unknown>>): ReadMessage {
  const source = row['source'] as string | null;
  return {
    position: Number(row['position']),
    session: String(row['session']),
    source: source === '' ? null : source,
    sequence: Number(row['sequence']),
    publishedAt: String(row['publishedAt']),
    archivedAt: String(row['archivedAt']),
    payload: Buffer.from(String(row['payload']), row['encoding'] as BufferEncoding),
  };
}

function fromParquet(bytes: Buffer): ReadMessage[] {
  const table = tableFromIPC(readParquet(bytes).intoIPCStream());
  const instants = (name: string): readonly bigint[] =>
    (table.getChild(name)?.data ?? []).flatMap(({ values }) => [...(values as BigInt64Array)]);
  const [publishedAt, archivedAt] = [instants('published_at'), instants('archived_at')];
  return Array.from({ length: table.numRows }, (_, index) => {
    const value = (name: string): unknown => table.getChild(name)?.get(index) as unknown;
    return {
      position: Number(value('position')),
      session: String(value('session')),
      source: value('source') as string | null,
      sequence: Number(value('sequence')),
      publishedAt: formatInstant(Number(publishedAt[index])),
      archivedAt: formatInstant(Number(archivedAt[index])),
      payload: Buffer.from(value('payload') as Uint8Array),
    };
  });
}

/** Records of fields, each line ended by CR LF. */
function csvFields(text: string): string[][] {
  const lines: string[][] = [];
  let fields: string[] = [];
  for (let at = 0; at < text.length; ) {
    const field = /"((?:[^"]|"")*)"|([^",\r\n]*)/y;
    field.lastIndex = at;
    const [whole = '', quoted, plain = ''] = field.exec(text) ?? [];
    fields.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    at += whole.length;
    if (text[at] === ',') {
      at += 1;
    } else {
      if (text.slice(at, at + 2) !== '\r\n') throw new Error(`no CSV at ${at}`);
      at += 2;
      lines.push(fields);
      fields = [];
    }
  }
  return lines;
}

/** The files, without what says when the export began. */
export function settledFiles(folder: string): Map<string, string> {
  const files = [...filesOf(folder)].map(([name, bytes]): [string, string] => {
    if (name !== 'manifest.json') return [name, bytes.toString('base64')];
    const {
      settledAt: _,
      sha256: __,
      ...rest
    } = JSON.parse(bytes.toString()) as Record<string, unknown>;
    return [name, JSON.stringify(rest)];
  });
  return new Map(files);
}
