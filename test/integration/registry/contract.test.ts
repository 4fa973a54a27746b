// What every registry promises, held for the file and for Redis by the same tests. "Two processes"
// are two registries on the same store here; file-registry.test.ts has real processes.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  openFileRegistry,
  openRedisRegistry,
  type ChannelMember,
  parsePool,
  slotAddress,
  type InvalidEntry,
  type PoolOptions,
  type Registry,
  type SessionAnnouncement,
} from '#registry/mod.ts';
import type { Authentication, Delivery, SessionId } from '#base/mod.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { startRedisForTests, type TestRedis } from '#test/support/redis.ts';
import { until } from '#test/support/until.ts';

const POOL: PoolOptions = { groups: ['239.77.0.0/28'], ports: [7_000, 7_015], dport: 7_500 };

interface OpenOptions {
  readonly pool?: PoolOptions;
  readonly leaseMs?: number;
  readonly delivery?: Delivery;
  readonly authentication?: Authentication;
  readonly membersMax?: number;
  readonly onInvalid?: (entry: InvalidEntry) => void;
}

/** One store, on which any number of registries can be opened. */
interface Store extends AsyncDisposable {
  open(options?: OpenOptions): Promise<Registry>;
}

async function fileStore(): Promise<Store> {
  const folder = await createTestFolder();
  const path = join(folder.path, 'home', 'registry.json');
  return {
    open: async (options) => openFileRegistry({ path, pool: POOL, ...options }),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

let redis: TestRedis | undefined;
before(async () => {
  redis = await startRedisForTests();
});
after(() => redis?.[Symbol.asyncDispose]());

async function redisStore(): Promise<Store> {
  const url = redis?.url ?? '';
  const prefix = `test:${randomUUID()}:`;
  return {
    open: (options) => openRedisRegistry({ url, prefix, pool: POOL, settleMs: 0, ...options }),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

function announcement(changes: Partial<SessionAnnouncement> = {}): SessionAnnouncement {
  return {
    channel: 'orders',
    session: '0123456789abcdef' as SessionId,
    source: 'gateway-7',
    host: 'host-1',
    address: '10.0.0.1',
    startedAtUs: 1_000,
    ...changes,
  };
}

function member(changes: Partial<ChannelMember> = {}): ChannelMember {
  return {
    channel: 'orders',
    id: '0123456789abcdef',
    address: '10.0.0.1',
    port: 40_001,
    host: 'host-1',
    joinedAtUs: 1_000,
    ...changes,
  };
}

async function membersOf(registry: Registry, channel = 'orders'): Promise<ChannelMember[]> {
  return (await registry.members(channel)).map(({ member }) => member);
}

const STORES = { file: fileStore, redis: redisStore };

for (const [kind, openStore] of Object.entries(STORES))
  describe(`the ${kind} registry`, () => {
    test('keeps the address that it gave once', async () => {
      await using store = await openStore();
      await using first = await store.open();
      await using second = await store.open();
      const address = await first.resolve('orders.eu');
      assert.deepEqual(await first.resolve('orders.eu'), address);
      assert.deepEqual(await second.resolve('orders.eu'), address);
      assert.deepEqual(await second.lookup('orders.eu'), address);
      assert.equal(address.dport, 7_500);
      assert.equal(address.framing, 'native');
    });

    test('never allocates for a lookup or a list', async () => {
      await using store = await openStore();
      await using registry = await store.open();
      assert.equal(await registry.lookup('orders'), undefined);
      assert.equal((await registry.list()).size, 0);
    });

    test('gives the same answer to all who ask at once, and no two channels the same', async () => {
      await using store = await openStore();
      const names = Array.from({ length: 16 }, (_, index) => `channel-${index}`);
      const registries = await Promise.all(Array.from({ length: 5 }, () => store.open()));
      const answers = await Promise.all(
        registries.map(async (registry, shift) => {
          const order = [...names.slice(shift), ...names.slice(0, shift)];
          const pairs = await Promise.all(
            order.map(async (name) => [name, await registry.resolve(name)] as const),
          );
          return new Map(pairs);
        }),
      );
      for (const answer of answers) assert.deepEqual(answer, answers[0]);
      const addresses = [...answers[0].values()];
      assert.equal(new Set(addresses.map(({ group }) => group)).size, 16);
      assert.equal(new Set(addresses.map(({ port }) => port)).size, 16);
      assert.deepEqual(await registries[0].list(), answers[0]);
      await Promise.all(registries.map((registry) => registry[Symbol.asyncDispose]()));
    });

    test('gives IPv6 groups their one text, to the last of a pool of both kinds', async () => {
      await using store = await openStore();
      const groups = ['ff15:0:0:1:2::/126', '239.77.0.0/30', 'ff15::1:fff8/125'];
      const pool = { ...POOL, groups };
      await using registry = await store.open({ pool });
      for (let index = 0; index < 16; index += 1) await registry.resolve(`channel-${index}`);
      const given = [...(await registry.list()).values()].map(({ group }) => group);
      const slots = Array.from({ length: 16 }, (_, slot) =>
        slotAddress(parsePool(pool), slot, 'native'),
      );
      assert.deepEqual(new Set(given), new Set(slots.map(({ group }) => group)));
      await assert.rejects(registry.resolve('one-more'), {
        code: 'BACKCAST_POOL_EXHAUSTED',
      });
    });

    test('says how many slots there are when all are taken, and how to get more', async () => {
      await using store = await openStore();
      const pool = { ...POOL, groups: ['239.77.0.0/31'] };
      await using registry = await store.open({ pool });
      await registry.resolve('a');
      await registry.resolve('b');
      await assert.rejects(registry.resolve('c'), {
        code: 'BACKCAST_POOL_EXHAUSTED',
        message: /channel "c": all 2 slots .*\(2 groups, 16 ports\); widen registry\.pool\.groups/,
      });
      await registry.resolve('a');
      await using wider = await store.open();
      await wider.resolve('c');
      assert.equal((await wider.list()).size, 3);
    });

    test('keeps the framing of a channel and refuses another one', async () => {
      await using store = await openStore();
      await using registry = await store.open();
      const feed = await registry.resolve('feed', { framing: 'zmq' });
      assert.deepEqual([feed.framing, feed.dport], ['zmq', feed.port]);
      assert.equal((await registry.resolve('feed')).framing, 'zmq');
      await using other = await store.open();
      await assert.rejects(other.resolve('feed', { framing: 'native' }), {
        code: 'BACKCAST_REGISTRY_INVALID',
        message: /"feed" is registered with framing zmq, not native/,
      });
    });

    test('keeps the delivery of a channel and refuses another one', async () => {
      await using store = await openStore();
      await using registry = await store.open({ delivery: 'unicast' });
      const address = await registry.resolve('cloud');
      assert.equal(address.delivery, 'unicast');
      await using other = await store.open();
      assert.deepEqual(await other.resolve('cloud'), address);
      assert.deepEqual((await other.list()).get('cloud'), address);
      assert.equal((await other.resolve('cloud', { delivery: 'unicast' })).delivery, 'unicast');
      await assert.rejects(other.resolve('cloud', { delivery: 'multicast' }), {
        code: 'BACKCAST_REGISTRY_INVALID',
        message: /"cloud" is registered with delivery unicast, not multicast/,
      });
      assert.equal((await other.resolve('lan')).delivery, undefined);
      assert.equal((await registry.resolve('lan')).delivery, undefined);
      await assert.rejects(registry.resolve('lan', { delivery: 'unicast' }), {
        code: 'BACKCAST_REGISTRY_INVALID',
        message: /"lan" is registered with delivery multicast, not unicast/,
      });
      assert.equal((await registry.resolve('one', { delivery: 'multicast' })).delivery, undefined);
    });

    test('gives no unicast delivery to a framing that is for multicast programs', async () => {
      await using store = await openStore();
      await using registry = await store.open({ delivery: 'unicast' });
      await assert.rejects(registry.resolve('feed', { framing: 'zmq' }), {
        code: 'BACKCAST_CONFIG_INVALID',
        message: /channel "feed" cannot be made: framing zmq cannot be delivered by unicast/,
      });
      const feed = await registry.resolve('feed', { framing: 'zmq', delivery: 'multicast' });
      assert.equal(feed.framing, 'zmq');
      assert.deepEqual(await registry.resolve('feed', { framing: 'zmq' }), feed);
    });

    test('keeps whether a channel requires authentication and refuses the other', async () => {
      await using store = await openStore();
      await using registry = await store.open({ authentication: 'required', delivery: 'unicast' });
      const address = await registry.resolve('secrets');
      assert.deepEqual([address.authentication, address.delivery], ['required', 'unicast']);
      await using other = await store.open();
      assert.deepEqual(await other.resolve('secrets', { authentication: 'required' }), address);
      assert.deepEqual((await other.list()).get('secrets'), address);
      await assert.rejects(other.resolve('secrets', { authentication: 'off' }), {
        code: 'BACKCAST_REGISTRY_INVALID',
        message: /"secrets" is registered with authentication required, not off; use its/,
      });
      assert.equal((await other.resolve('open')).authentication, undefined);
      await assert.rejects(registry.resolve('open', { authentication: 'required' }), {
        code: 'BACKCAST_REGISTRY_INVALID',
        message: /"open" is registered with authentication off, not required/,
      });
      const asked = await other.resolve('asked', { authentication: 'required' });
      assert.equal(asked.authentication, 'required');
      await assert.rejects(other.resolve('feed', { framing: 'raw', authentication: 'required' }), {
        code: 'BACKCAST_CONFIG_INVALID',
        message: /framing raw knows no authentication/,
      });
    });

    test('refuses a name that cannot name a channel', async () => {
      await using store = await openStore();
      await using registry = await store.open();
      for (const name of ['', 'a b', 'ä', 'a/b', 'a*', 'x'.repeat(129), 'a\n']) {
        await assert.rejects(registry.resolve(name), { code: 'BACKCAST_CHANNEL_NAME' });
        await assert.rejects(registry.lookup(name), { code: 'BACKCAST_CHANNEL_NAME' });
        await assert.rejects(registry.sessions(name), { code: 'BACKCAST_CHANNEL_NAME' });
        await assert.rejects(registry.members(name), { code: 'BACKCAST_CHANNEL_NAME' });
        await assert.rejects(registry.join(member({ channel: name })), {
          code: 'BACKCAST_CHANNEL_NAME',
        });
      }
    });

    test('takes the strangest names that are allowed', async () => {
      await using store = await openStore();
      await using registry = await store.open();
      const names = ['__proto__', 'constructor', '...', '-', 'X'.repeat(128)];
      for (const name of names) await registry.resolve(name);
      await using other = await store.open();
      assert.deepEqual([...(await other.list()).keys()].toSorted(), names.toSorted());
      await registry.announce(announcement({ channel: '__proto__' }));
      assert.equal((await other.sessions('__proto__')).length, 1);
    });

    test('tells everybody which sessions are there, oldest first', async () => {
      await using store = await openStore();
      await using mine = await store.open();
      await using theirs = await store.open();
      const young = announcement({ session: '1111111111111111' as SessionId, startedAtUs: 2_000 });
      await mine.announce(young);
      await theirs.announce(announcement());
      assert.deepEqual(await theirs.sessions('orders'), [announcement(), young]);
      assert.deepEqual(await theirs.sessions('other'), []);
      await mine.withdraw('orders', young.session);
      await mine.withdraw('orders', young.session);
      assert.deepEqual(await theirs.sessions('orders'), [announcement()]);
    });

    test('forgets a session whose lease is not renewed, and only that', async () => {
      await using store = await openStore();
      await using short = await store.open({ leaseMs: 50 });
      await using long = await store.open();
      const lasting = announcement({ session: '1111111111111111' as SessionId });
      await long.announce(lasting);
      await short.announce(announcement());
      await until('the short lease has run out', async () => {
        return (await long.sessions('orders')).length === 1;
      });
      assert.deepEqual(await long.sessions('orders'), [lasting]);
    });

    test('renews by reconciling what this process announced and has not withdrawn', async () => {
      await using store = await openStore();
      await using registry = await store.open({ leaseMs: 50 });
      const gone = announcement({ session: '1111111111111111' as SessionId });
      await registry.announce(announcement());
      await registry.announce(gone);
      await registry.withdraw('orders', gone.session);
      await until('the lease has run out', async () => {
        return (await registry.sessions('orders')).length === 0;
      });
      assert.equal((await registry.reconcile()).renewedSessionCount, 1);
      await using other = await store.open({ leaseMs: 60_000 });
      await other.announce(announcement({ session: '2222222222222222' as SessionId }));
      await until('the renewed lease has been seen', async () => {
        await registry.reconcile();
        return (await other.sessions('orders')).length === 2;
      });
    });

    test('tells everybody who the members are and who has left, oldest first', async () => {
      await using store = await openStore();
      await using mine = await store.open();
      await using theirs = await store.open();
      const young = member({ id: '1111111111111111', port: 40_002, joinedAtUs: 2_000 });
      await mine.join(young);
      await theirs.join(member());
      assert.deepEqual(await membersOf(theirs), [member(), young]);
      assert.deepEqual(await membersOf(mine), [member(), young]);
      assert.deepEqual(await membersOf(mine, 'other'), []);
      await mine.leave('orders', young.id);
      await mine.leave('orders', young.id);
      await mine.leave('orders', member().id);
      const [first, second, ...rest] = await membersOf(theirs);
      assert.deepEqual([first, rest], [member(), []]);
      assert.deepEqual({ ...second, leftAtUs: undefined }, { ...young, leftAtUs: undefined });
      assert.equal(typeof second.leftAtUs, 'number');
    });

    test('forgets a member whose lease is not renewed, and renews by reconciling', async () => {
      await using store = await openStore();
      await using short = await store.open({ leaseMs: 50 });
      await using long = await store.open();
      const lasting = member({ id: '1111111111111111' });
      await long.join(lasting);
      await short.join(member());
      await until('the short lease has run out', async () => {
        return (await membersOf(long)).length === 1;
      });
      assert.deepEqual(await membersOf(long), [lasting]);
      await until('the renewed lease has been seen', async () => {
        assert.equal((await short.reconcile()).renewedMemberCount, 1);
        return (await membersOf(long)).length === 2;
      });
      const [lease] = await long.members('orders');
      assert.ok(lease.remainingMs <= 30_000, `${lease.remainingMs} ms remain`);
    });

    test('has room for so many members and no more, and again when one has left', async () => {
      await using store = await openStore();
      await using registry = await store.open({ membersMax: 2 });
      const third = member({ id: '3333333333333333' });
      await registry.join(member());
      await registry.join(member({ id: '2222222222222222' }));
      await registry.join(member());
      await assert.rejects(registry.join(third), {
        code: 'BACKCAST_CHANNEL_FULL',
        message: /channel "orders" has 2 members, as many as unicast\.membersMax allows/,
      });
      await registry.leave('orders', member().id);
      await registry.join(third);
      assert.equal((await registry.reconcile()).renewedMemberCount, 2);
    });

    test('skips an address outside the pool and says so', async () => {
      await using store = await openStore();
      await using wide = await store.open({ pool: { ...POOL, groups: ['239.78.0.0/28'] } });
      await wide.resolve('elsewhere');
      const invalid: InvalidEntry[] = [];
      await using registry = await store.open({ onInvalid: (entry) => invalid.push(entry) });
      await registry.resolve('here');
      assert.deepEqual([...(await registry.list()).keys()], ['here']);
      assert.deepEqual(
        invalid.map(({ channel }) => channel),
        ['elsewhere'],
      );
      assert.match(invalid[0].problem, /^239\.78\.0\.\d+:70\d\d lies outside the allowed pool/);
      await assert.rejects(registry.resolve('elsewhere'), {
        code: 'BACKCAST_REGISTRY_INVALID',
        message: /channel "elsewhere".*outside the allowed pool/,
      });
    });
  });
