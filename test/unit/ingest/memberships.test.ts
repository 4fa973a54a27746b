// The archiver's memberships, with a registry that the test plays: a function that joins or not.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Memberships } from '#ingest/memberships.ts';

const SILENT = { warn: () => undefined };
const AT = { address: '10.0.0.1', port: 7_600 };

test('a channel that cannot be joined is tried again, and no other waits for it', async () => {
  const warnings: string[] = [];
  const log = { warn: (_: unknown, message: string) => warnings.push(message) };
  const left: string[] = [];
  const tries = new Map<string, number>();
  const memberships = new Memberships(async (channel, at) => {
    assert.equal(at, AT);
    const tried = (tries.get(channel) ?? 0) + 1;
    tries.set(channel, tried);
    if (channel === 'full' && tried < 2) throw new Error('it is full');
    return { [Symbol.asyncDispose]: async () => void left.push(channel) };
  }, log);
  memberships.begin('full', AT);
  memberships.begin('easy', AT);
  await memberships.joined('easy');
  assert.equal(tries.get('full'), 1);
  await memberships.joined('full');
  assert.deepEqual(warnings, ['channel cannot be joined yet']);
  await memberships[Symbol.asyncDispose]();
  assert.deepEqual(left.toSorted(), ['easy', 'full']);
});

test('disposing gives up what is still being tried', async () => {
  const memberships = new Memberships(() => Promise.reject(new Error('never')), SILENT);
  memberships.begin('full', AT);
  await memberships[Symbol.asyncDispose]();
  await memberships.joined('full');
});

test('a channel of multicast delivery, or without a way to join, is there at once', async () => {
  await using memberships = new Memberships(undefined, SILENT);
  await memberships.joined('orders');
  memberships.begin('cloud', AT);
  await memberships.joined('cloud');
});
