// The SQL in the source, held to rules that only a distributed PostgreSQL would enforce, at run
// time. A statement that touches many channels is not forbidden; it is listed here, with the shape
// that lets such a server spread it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { projectOf, readProject } from '../tidy/project.ts';
import { brokenRules, channelTables, manyChannelFunctions } from './sql-rules.ts';

const PROJECT = readProject(fileURLToPath(new URL('../../../', import.meta.url)));

/** Each with why a server that is several servers runs it. */
const MANY_CHANNELS: Readonly<Record<string, string>> = {
  'archive/accesses.ts forgetAccesses': 'the minimum and a DELETE of one table by time',
  'archive/accesses.ts listAccesses': 'a join with channels alone',
  'archive/accesses.ts writeAccesses': 'an INSERT of rows that have channel_id',
  'archive/channels.ts selectProgress': 'of one channel, which its callers add',
  'archive/compact.ts findDueDays': 'a join with channels alone',
  'archive/compact.ts findSpaciousDays': 'one table',
  'archive/deletion-statements.ts deleteSegments': 'of one channel, which whereIn adds',
  'archive/deletion-statements.ts findPartEnd': 'of one channel, which whereIn adds',
  'archive/distribute.ts assertNobodyWrites': 'a count of one table',
  'archive/holds.ts listHolds': 'a join with channels alone',
  'archive/leases.ts renewLeases': 'an UPDATE of one table by a list of channels',
  'archive/read-archivers.ts listArchivers': 'a join on channel_id, by a list of channels',
  'archive/read-backlog.ts readBacklog': 'a count of one table; a join with channels alone',
  'archive/read-deletions.ts select': 'of one channel, which its callers add',
  'archive/read-heads.ts readHeads': 'one table, by a list of channels',
  'archive/read-segments.ts fetchSegments': 'of one channel, which whereSegments adds',
  'archive/read.ts withExtents': 'a join on channel_id, driven from leases, grouped by channel',
  'archive/retention-steps.ts assertNobodyElse': 'one table',
  'archive/retention.ts loadChannelDays': 'a join with channels alone',
};

/** Where SQLSTATE 23505 may be told apart: nowhere that COPY brings rows in, which loses it. */
const DUPLICATES_TOLD: Readonly<Record<string, string>> = {
  'archive/holds.ts': 'a hold of that name, by an INSERT of one row',
  'archive/migrate.ts': 'catalogue rows of the server that is connected to',
  'archive/partitions.ts': 'catalogue rows of the server that is connected to',
};

test('every statement keeps to the rules of a distributed PostgreSQL', () => {
  const { findings, looked } = brokenRules(PROJECT);
  assert.ok(looked > 50, `${looked} pieces of SQL were looked at`);
  assert.deepEqual(findings, []);
});

test('statements over many channels are those that are listed', () => {
  assert.ok(channelTables(PROJECT).includes('segment_sessions'));
  const found = manyChannelFunctions(PROJECT);
  assert.ok(found.includes('archive/leases.ts renewLeases'), 'statements are looked at');
  const unlisted = found.filter((name) => MANY_CHANNELS[name] === undefined);
  assert.deepEqual(unlisted, [], 'what each does for every channel must be told here');
});

test('nothing is decided by the SQLSTATE of a duplicate row that was copied', () => {
  const deciding = PROJECT.sources
    .filter(
      ({ path, text }) => /^(archive|ingest|cli|replay-api)\//.test(path) && text.includes('23505'),
    )
    .map(({ path }) => path);
  const unlisted = deciding.filter((path) => DUPLICATES_TOLD[path] === undefined);
  assert.deepEqual(unlisted, []);
});

const BROKEN: Readonly<Record<string, string>> = {
  'INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = now()': 'an upsert sets',
  'INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = abs(excluded.b)':
    'an upsert sets',
  'UPDATE leases SET head = 1 WHERE channel_id = $1 RETURNING now()': 'RETURNING calls',
  'SELECT 1 FROM leases WHERE head > 0 FOR UPDATE': 'rows are locked',
  'ALTER TABLE a DETACH PARTITION b CONCURRENTLY': 'partitions are detached',
  'CREATE TABLE t (a bigint GENERATED ALWAYS AS IDENTITY)': 'only channels draws',
  'CREATE TRIGGER t AFTER INSERT ON leases': 'there are no triggers',
  'UPDATE leases SET head = 1 FROM unnest($1::int[]) AS a WHERE a = channel_id': 'an UPDATE or',
  'UPDATE leases SET expires_at = clock_timestamp() WHERE channel_id = $1': 'nothing that is',
  'UPDATE leases SET head = 1, channel_id = 2 WHERE channel_id = 1': 'channel_id never changes',
};

for (const [sql, says] of Object.entries(BROKEN)) {
  test(`a rule objects to ${sql}`, () => {
    const text = `export const QUERY = \`\n${sql}\`;\n`;
    const { findings } = brokenRules(projectOf(new Map([['archive/a.ts', text]])));
    assert.equal(findings.length, 1);
    assert.ok(findings[0]?.includes(says), findings[0]);
  });
}

test('a statement over all channels is found in a function that names no channel', () => {
  const texts = new Map([
    ['migrations/a.ts', 'const A = `CREATE TABLE leases (\n`;'],
    ['archive/a.ts', 'export function a() {\n  return `DELETE FROM leases WHERE epoch = 1`;\n}\n'],
    ['archive/b.ts', 'function b() {\n  return `DELETE FROM leases WHERE channel_id = $1`;\n}\n'],
  ]);
  assert.deepEqual(manyChannelFunctions(projectOf(texts)), ['archive/a.ts a']);
});
