// What SQL must keep to, so that a PostgreSQL whose tables are spread over several servers by
// channel_id runs it as well. Each rule tells what it objects to; the reasons are in
// docs/scaling.md.

import type { Project, SourceFile } from '../tidy/project.ts';
import { type SqlChunk, sqlIn } from './sql-chunks.ts';

const PARTS = /^(archive|migrations|ingest|replay-api|cli)\//;
const CALL = /\b(?!in\b|any\b|values\b|and\b|or\b)[a-z_]+\s*\(/i;
const EXCLUDED =
  /^(\w+) = (excluded\.\1|\w+\.\1 \+ excluded\.\1|(least|greatest)\(\w+\.\1, excluded\.\1\))$/;

const JOINED_WRITE = new RegExp(
  '\\bUPDATE \\w+( \\w+)?\\s+SET\\b[^;]*\\bFROM\\b' +
    '|\\bDELETE FROM \\w+[^;]*\\bUSING\\b|\\bMERGE INTO\\b',
);

interface Rule {
  readonly says: string;
  readonly isBroken: (sql: string) => boolean;
}

const RULES: readonly Rule[] = [
  {
    says: 'an upsert sets columns to excluded values, or the sum, least or greatest of both',
    isBroken: (sql) => upserts(sql).some((assignment) => !EXCLUDED.test(assignment)),
  },
  {
    says: 'RETURNING calls no function',
    isBroken: (sql) => CALL.test(/\bRETURNING\b([^;)]*)/.exec(sql)?.[1] ?? ''),
  },
  {
    says: 'rows are locked of one channel at a time',
    isBroken: (sql) =>
      /\bFOR (NO KEY )?(UPDATE|SHARE)\b/.test(sql) && !/channel_id = (\?|\$\d)/.test(sql),
  },
  {
    says: 'partitions are detached without CONCURRENTLY',
    isBroken: (sql) => /\bDETACH PARTITION\b[^;]*\bCONCURRENTLY\b/.test(sql),
  },
  {
    says: 'only channels draws numbers from a sequence',
    isBroken: (sql) =>
      /\b(nextval|setval)\s*\(|\b(CREATE|ALTER) TABLE\b[^;]*\b(AS IDENTITY|\w*serial)\b/i.test(
        sql,
      ) && !/CREATE TABLE channels \(/.test(sql),
  },
  {
    says: 'there are no triggers and no rules',
    isBroken: (sql) => /\bCREATE (OR REPLACE )?(CONSTRAINT )?(TRIGGER|RULE)\b/.test(sql),
  },
  {
    says: 'an UPDATE or DELETE joins something only in one channel',
    isBroken: (sql) =>
      !/\bchannel_id = (\?|\$\d)|\bWHERE \?/.test(sql) && JOINED_WRITE.test(unparenthesised(sql)),
  },
  {
    says: 'nothing that is written depends on a volatile function',
    isBroken: (sql) =>
      /\b(INSERT INTO|UPDATE|DELETE FROM)\b/.test(sql) &&
      /\b(clock_timestamp|random|gen_random_uuid)\s*\(/.test(sql),
  },
  {
    says: 'channel_id never changes',
    isBroken: (sql) => /\bSET\b[^;]*?[\s,]channel_id = /.test(beforeWhere(sql)),
  },
];

/** What the rules object to, and how many pieces of SQL were looked at. */
export function brokenRules(project: Project): { findings: string[]; looked: number } {
  const chunks = sqlOf(project);
  const findings = chunks.flatMap((chunk) =>
    RULES.filter((rule) => rule.isBroken(chunk.text)).map(
      (rule) => `${chunk.path}:${chunk.line} ${rule.says}`,
    ),
  );
  return { findings, looked: chunks.length };
}

/** The tables that have no channel_id: every node of a cluster has them whole. */
const EVERYWHERE = ['channels', 'tokens'];

/** The tables that have channel_id, as the migrations make them. */
export function channelTables(project: Project): string[] {
  const made = sourcesOf(project)
    .filter(({ path }) => path.startsWith('migrations/'))
    .flatMap(({ text }) => [...text.matchAll(/\bCREATE TABLE (\w+) \(/g)].map(([, name]) => name));
  return made.filter((name) => !EVERYWHERE.includes(name));
}

/**
 * The functions that read or write a channel table and in which no channel_id is set equal to
 * anything, nor given to an INSERT: `path function`, in order, each once.
 */
export function manyChannelFunctions(project: Project): string[] {
  const tables = channelTables(project).join('|');
  const inSql = new RegExp(`\\b(FROM|JOIN|UPDATE|INTO)\\s+(${tables})\\b`);
  const inKysely = new RegExp(`(From|Table|Into|Join|using)\\(\\s*'(${tables})\\b`);
  const found = sourcesOf(project).flatMap((file) => {
    if (file.path.startsWith('migrations/')) return [];
    return outermost(file)
      .filter(({ body }) => inSql.test(body) || inKysely.test(body))
      .filter(({ body }) => !namesChannel(body))
      .map(({ name }) => `${file.path} ${name}`);
  });
  return [...new Set(found)].toSorted();
}

function namesChannel(body: string): boolean {
  const equal = /channel_id\s*=\s*(\$\{|\$\d)|channel_id',\s*'=',/;
  const inserted = /INSERT INTO \w+\s*\([^)]*\bchannel_id\b|\.values\(\{[^}]*channel_id/;
  return equal.test(body) || inserted.test(body);
}

/** The functions and methods of a file that lie in no other one, with their text. */
function outermost(file: SourceFile): { readonly name: string; readonly body: string }[] {
  const lines = file.text.split('\n');
  const named = file.functions.filter(({ name }) => name !== '');
  const contains = (outer: (typeof named)[number], line: number): boolean =>
    outer.line < line && line < outer.line + outer.lineCount;
  return named
    .filter(({ line }) => !named.some((outer) => contains(outer, line)))
    .map(({ name, line, lineCount }) => {
      return { name, body: lines.slice(line - 1, line - 1 + lineCount).join('\n') };
    });
}

function sqlOf(project: Project): SqlChunk[] {
  return sourcesOf(project).flatMap(sqlIn);
}

function sourcesOf({ sources }: Project): readonly SourceFile[] {
  return sources.filter(({ path }) => PARTS.test(path));
}

/** The assignments of every ON CONFLICT DO UPDATE. */
function upserts(sql: string): string[] {
  const clauses = sql.matchAll(/\bDO UPDATE SET\b([^;]*)/g);
  return [...clauses].flatMap(([, assignments = '']) =>
    assignments.split(/,(?![^(]*\))/).map((one) => one.replace(/\s+/g, ' ').trim()),
  );
}

function beforeWhere(sql: string): string {
  return unparenthesised(sql.split('WHERE')[0] ?? '');
}

function unparenthesised(sql: string): string {
  const without = sql.replace(/\([^()]*\)/g, '');
  return without === sql ? sql : unparenthesised(without);
}
