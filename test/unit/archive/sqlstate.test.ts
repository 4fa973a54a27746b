import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failureKind, isOfServer, sqlStateOf, toDatabaseError } from '#archive/mod.ts';
import { BackcastError } from '#base/mod.ts';

function serverError(code: string): Error {
  return Object.assign(new Error('said the server'), { code });
}

/** PostgreSQL's appendix A class by class: what all codes of a class are, but for those named. */
const CLASSES: readonly (readonly [string, string, Readonly<Record<string, string>>?])[] = [
  ['03', 'fatal'],
  ['08', 'transient'],
  ['09', 'fatal'],
  ['0A', 'fatal'],
  ['0B', 'fatal'],
  ['0F', 'fatal'],
  ['0L', 'fatal'],
  ['0P', 'fatal'],
  ['0Z', 'fatal'],
  ['10', 'fatal'],
  ['20', 'fatal'],
  ['21', 'fatal'],
  ['22', 'fatal'],
  ['23', 'fatal'],
  ['24', 'fatal'],
  ['25', 'fatal', { '25006': 'transient', '25P03': 'transient', '25P04': 'transient' }],
  ['26', 'fatal'],
  ['27', 'fatal'],
  ['28', 'transient'],
  ['2B', 'fatal'],
  ['2D', 'fatal'],
  ['2F', 'fatal'],
  ['34', 'fatal'],
  ['38', 'fatal'],
  ['39', 'fatal'],
  ['3B', 'fatal'],
  ['3D', 'transient'],
  ['3F', 'schema'],
  ['40', 'transient'],
  ['42', 'fatal', { '42P01': 'schema', '42703': 'schema', '42883': 'schema', '42704': 'schema' }],
  ['42', 'fatal', { '42804': 'schema', '42P10': 'schema', '42501': 'fatal', '42601': 'fatal' }],
  ['44', 'fatal'],
  ['53', 'transient'],
  ['54', 'fatal'],
  ['55', 'transient', { '55P02': 'fatal', '55P04': 'fatal' }],
  ['57', 'transient'],
  ['58', 'transient'],
  ['72', 'transient'],
  ['F0', 'fatal'],
  ['HV', 'fatal'],
  ['P0', 'fatal'],
  ['XX', 'fatal'],
];
/** Of some classes, codes that appear in practice. */
const USUAL: Readonly<Record<string, readonly string[]>> = {
  '08': ['08000', '08001', '08003', '08004', '08006', '08P01'],
  '22': ['22003', '22021', '22P03', '22P04'],
  '23': ['23502', '23503', '23505', '23514'],
  '25': ['25001', '25P01', '25P02'],
  '28': ['28000', '28P01'],
  '40': ['40001', '40002', '40003', '40P01'],
  '53': ['53000', '53100', '53200', '53300', '53400'],
  '55': ['55000', '55006', '55P03'],
  '57': ['57014', '57P01', '57P02', '57P03', '57P04', '57P05'],
  '58': ['58000', '58030', '58P01', '58P02'],
  XX: ['XX000', 'XX001', 'XX002'],
};

test('whether a failure passes is told by its SQLSTATE, class by class', () => {
  for (const [name, kind, others = {}] of CLASSES) {
    for (const [code, other] of Object.entries(others)) {
      assert.equal(failureKind(serverError(code)), other, code);
    }
    for (const code of [`${name}000`, ...(USUAL[name] ?? [])]) {
      assert.equal(failureKind(serverError(code)), kind, code);
    }
  }
});

test('a failure of the server is told from one of the statement', () => {
  const ofServer = [
    '08006',
    '25006',
    '28P01',
    '3D000',
    '53100',
    '53300',
    '57P01',
    '57P03',
    '58030',
  ];
  const ofStatement = ['22P04', '23514', '40001', '40P01', '42501', '42P01', '55P03', '57014'];
  for (const code of ofServer) assert.ok(isOfServer(serverError(code)), code);
  for (const code of ofStatement) {
    assert.ok(!isOfServer(serverError(code)), code);
    assert.ok(!isOfServer(toDatabaseError(serverError(code), 'archiving')), code);
  }
  assert.ok(isOfServer(new Error('Connection terminated unexpectedly')));
  assert.ok(isOfServer(new BackcastError('BACKCAST_DATABASE_UNREACHABLE', 'no answer.')));
});

test('a failure of the connection has no SQLSTATE and passes', () => {
  for (const code of ['ECONNREFUSED', 'EPIPE', 'EPERM', 'ETIMEDOUT', '']) {
    assert.equal(sqlStateOf(serverError(code)), undefined, code);
    assert.equal(failureKind(serverError(code)), 'transient', code);
  }
  assert.equal(failureKind(new Error('Connection terminated unexpectedly')), 'transient');
});

test('an error says what was being done, what the server said and its code', () => {
  const error = toDatabaseError(serverError('22P04'), 'archiving');
  assert.equal(error.code, 'BACKCAST_DATABASE_REFUSED');
  assert.equal(error.message, 'archiving failed: said the server (SQLSTATE 22P04).');
});

test('an error that is explained already stays as it is', () => {
  const known = new BackcastError('BACKCAST_CHANNEL_UNKNOWN', 'there is none.');
  assert.equal(toDatabaseError(known, 'reading'), known);
});
