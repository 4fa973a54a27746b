// The publisher's list of members, on a registry whose answers are written down here.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ChannelMember, type MemberLease, RegistryMembers } from '#registry/mod.ts';
import { until } from '#test/support/until.ts';

/** A registry that answers with `leases`, or not at all if they are undefined. */
interface Answering {
  leases: readonly MemberLease[] | undefined;
  members(): Promise<readonly MemberLease[]>;
}

function answering(leases: readonly MemberLease[]): Answering {
  return {
    leases,
    async members() {
      if (this.leases === undefined) throw new Error('Redis is away');
      return this.leases;
    },
  };
}

function lease(number: number, changes: Partial<ChannelMember & MemberLease> = {}): MemberLease {
  const { remainingMs = 30_000, ...more } = changes;
  const member = {
    channel: 'orders',
    id: number.toString(16).padStart(16, '0'),
    address: `10.0.0.${number}`,
    port: 7_600,
    host: 'host',
    joinedAtUs: number,
    ...more,
  };
  return { member, remainingMs };
}

async function open(
  registry: Answering,
  options: { readonly membersMax?: number; readonly leaseMs?: number } = {},
): Promise<{ readonly members: RegistryMembers; readonly told: string[] }> {
  const told: string[] = [];
  const tell = (sentence: string): unknown => told.push(sentence);
  // Only asked when the test says so.
  const members = await RegistryMembers.open(registry, 'orders', {
    refreshMs: 1_000_000,
    tell,
    ...options,
  });
  return { members, told };
}

function places(members: RegistryMembers): string[] {
  return members.current.map(({ address, port }) => `${address}:${port}`);
}

test('the list follows the registry and says when it has changed', async () => {
  const registry = answering([lease(1)]);
  const { members, told } = await open(registry);
  let changes = 0;
  const watch = members.watch(() => (changes += 1));
  assert.deepEqual(places(members), ['10.0.0.1:7600']);
  await members.refresh();
  assert.equal(changes, 0);
  registry.leases = [lease(1), lease(2)];
  await members.refresh();
  assert.deepEqual(places(members), ['10.0.0.1:7600', '10.0.0.2:7600']);
  registry.leases = [lease(1, { leftAtUs: 5 }), lease(2)];
  await members.refresh();
  assert.deepEqual(places(members), ['10.0.0.2:7600']);
  assert.equal(changes, 2);
  watch[Symbol.dispose]();
  registry.leases = [lease(2), lease(3)];
  await members.refresh();
  assert.equal(changes, 2);
  assert.deepEqual(told, []);
  await members[Symbol.asyncDispose]();
});

test('a member that the registry has lost is kept until its lease would have ended', async () => {
  const registry = answering([lease(1, { remainingMs: 50 }), lease(2)]);
  const { members } = await open(registry);
  registry.leases = [];
  await members.refresh();
  assert.deepEqual(places(members), ['10.0.0.1:7600', '10.0.0.2:7600']);
  await until('the short lease has ended', async () => {
    await members.refresh();
    return members.current.length === 1;
  });
  assert.deepEqual(places(members), ['10.0.0.2:7600']);
  await members[Symbol.asyncDispose]();
});

test('nobody is dropped while the registry is away, nor for a lease afterwards', async () => {
  const registry = answering([lease(1, { remainingMs: 1 }), lease(2, { remainingMs: 1 })]);
  const { members, told } = await open(registry, { leaseMs: 100 });
  registry.leases = undefined;
  const awayMs = performance.now();
  await until('the leases have ended', async () => {
    await members.refresh();
    assert.equal(members.current.length, 2);
    return performance.now() > awayMs + 20;
  });
  assert.deepEqual(told, ['members of channel "orders" stay as they are for now: Redis is away']);
  registry.leases = [];
  await members.refresh();
  assert.equal(members.current.length, 2);
  assert.equal(told[1], 'members of channel "orders" are known again');
  registry.leases = [lease(2)];
  await until('one has not come back', async () => {
    await members.refresh();
    return members.current.length === 1;
  });
  assert.deepEqual(places(members), ['10.0.0.2:7600']);
  await members[Symbol.asyncDispose]();
});

test('a registry that is away at first gives an empty list until it answers', async () => {
  const registry = answering([lease(1)]);
  registry.leases = undefined;
  const { members } = await open(registry);
  assert.deepEqual(places(members), []);
  registry.leases = [lease(1)];
  await members.refresh();
  assert.deepEqual(places(members), ['10.0.0.1:7600']);
  await members[Symbol.asyncDispose]();
});

test('more members than allowed: the longest there are sent to, and it is told once', async () => {
  const registry = answering([lease(3), lease(1), lease(2)]);
  const { members, told } = await open(registry, { membersMax: 2 });
  await members.refresh();
  assert.deepEqual(places(members), ['10.0.0.1:7600', '10.0.0.2:7600']);
  assert.equal(told.length, 1);
  assert.match(told[0], /members of channel "orders" are 3; .*unicast\.membersMax/);
  await members[Symbol.asyncDispose]();
});

test('one place is sent to once, whoever listens there', async () => {
  const again = lease(2, { address: '10.0.0.1' });
  const { members } = await open(answering([lease(1), again]));
  assert.deepEqual(places(members), ['10.0.0.1:7600']);
  await members[Symbol.asyncDispose]();
});
