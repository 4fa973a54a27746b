import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failureKind, sqlStateOf, toDatabaseError } from '#archive/mod.ts';
import { BackcastError } from '#base/mod.ts';

function serverError(code: string): Error {
  return Object.assign(new Error('said the server'), { code });
}

const KINDS: readonly (readonly [code: string, kind: string])[] = [
  ['08006', 'transient'],
  ['40001', 'transient'],
  ['40P01', 'transient'],
  ['53100', 'transient'],
  ['53300', 'transient'],
  ['55P03', 'transient'],
  ['57014', 'transient'],
  ['57P01', 'transient'],
  ['57P03', 'transient'],
  ['25006', 'transient'],
  ['28P01', 'transient'],
  ['3D000', 'transient'],
  ['42P01', 'schema'],
  ['42703', 'schema'],
  ['42501', 'fatal'],
  ['22P04', 'fatal'],
  ['23505', 'fatal'],
  ['23514', 'fatal'],
  ['XX000', 'fatal'],
];

test('whether a failure passes is told by its SQLSTATE', () => {
  for (const [code, kind] of KINDS) assert.equal(failureKind(serverError(code)), kind, code);
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
