// The Redis registry while Redis is away, empty, poisoned or slow: a server of this file's own, as
// it is killed, paused and flushed.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { Redis } from 'ioredis';
import {
  type ChannelMember,
  openRedisRegistry,
  RegistryMembers,
  type InvalidEntry,
  type RedisRegistryOptions,
  type Registry,
} from '#registry/mod.ts';
import type { SessionId } from '#base/mod.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { startRedis, type OwnRedis } from '#test/support/redis.ts';
import { until } from '#test/support/until.ts';

const KEY = 'backcast:channels';
const SESSION = {
  channel: 'orders',
  session: '0123456789abcdef' as SessionId,
  source: 'gateway-7',
  host: 'host-1',
  address: '10.0.0.1',
  startedAtUs: 1_000,
};

let redis: OwnRedis;
before(async () => {
  redis = await startRedis();
});
after(() => redis[Symbol.asyncDispose]());
beforeEach(() => asOperator((operator) => operator.flushall()));

function open(options: Partial<RedisRegistryOptions> = {}): Promise<Registry> {
  return openRedisRegistry({ url: redis.url, settleMs: 0, ...options });
}

/** Runs commands on the server behind the back of the registry. */
async function asOperator<Answer>(command: (redis: Redis) => Promise<Answer>): Promise<Answer> {
  const operator = new Redis(redis.url.slice('unix://'.length));
  try {
    return await command(operator);
  } finally {
    operator.disconnect();
  }
}

test('while Redis is away, what has been answered is answered', async () => {
  const changes: boolean[] = [];
  await using registry = await open({
    onReachability: ({ isReachable }) => changes.push(isReachable),
  });
  const address = await registry.resolve('orders');
  await registry.announce(SESSION);
  await redis.kill();
  assert.deepEqual(await registry.resolve('orders'), address);
  assert.deepEqual(await registry.lookup('orders'), address);
  assert.deepEqual(await registry.list(), new Map([['orders', address]]));
  await assert.rejects(registry.resolve('new'), {
    code: 'BACKCAST_REDIS_UNREACHABLE',
    message: /Redis at .*redis\.sock cannot be used: .*; start it or correct REDIS_URL/,
  });
  assert.equal((await registry.reconcile()).renewedSessionCount, 0);
  await redis.restart();
  await until('everything is back', async () => {
    return (await registry.reconcile()).renewedSessionCount === 1;
  });
  await using other = await open();
  assert.deepEqual(await other.lookup('orders'), address);
  assert.deepEqual(await other.sessions('orders'), [SESSION]);
  assert.deepEqual(changes, [true, false, true]);
});

test('a session announced while Redis is away is announced when it is back', async () => {
  await using registry = await open();
  await registry.resolve('orders');
  await redis.kill();
  await registry.announce(SESSION);
  await registry.announce({ ...SESSION, session: '1111111111111111' as SessionId });
  await registry.withdraw('orders', '1111111111111111' as SessionId);
  await assert.rejects(registry.sessions('orders'), { code: 'BACKCAST_REDIS_UNREACHABLE' });
  await redis.restart();
  await until('it is announced', async () => {
    return (await registry.reconcile()).renewedSessionCount === 1;
  });
  assert.deepEqual(await registry.sessions('orders'), [SESSION]);
});

test('a restart while Redis is away knows its channels from the cache file', async () => {
  await using folder = await createTestFolder();
  const cachePath = join(folder.path, 'cache.json');
  const first = await open({ cachePath });
  const address = await first.resolve('orders');
  await first[Symbol.asyncDispose]();
  await redis.kill();
  await using second = await open({ cachePath });
  assert.deepEqual(await second.resolve('orders'), address);
  assert.deepEqual([...(await second.list()).keys()], ['orders']);
  await redis.restart();
});

test('without Redis and without memory there is one clear error in bounded time', async () => {
  await using folder = await createTestFolder();
  await using registry = await open({ url: `unix://${folder.path}/none.sock` });
  const startedAtMs = performance.now();
  const away = { code: 'BACKCAST_REDIS_UNREACHABLE', message: /ENOENT/ };
  await assert.rejects(registry.resolve('a'), away);
  await assert.rejects(registry.list(), away);
  await assert.rejects(registry.sessions('a'), away);
  assert.ok(performance.now() - startedAtMs < 5_000);
});

test('a Redis that does not answer counts as away in bounded time', async () => {
  await using registry = await open();
  const address = await registry.resolve('orders');
  process.kill(redis.pid, 'SIGSTOP');
  try {
    const startedAtMs = performance.now();
    assert.deepEqual(await registry.resolve('orders'), address);
    assert.ok(performance.now() - startedAtMs < 100);
    assert.deepEqual(await registry.lookup('orders'), address);
    assert.ok(performance.now() - startedAtMs < 5_000);
  } finally {
    process.kill(redis.pid, 'SIGCONT');
  }
});

test('after FLUSHALL, one reconciliation brings channels and sessions back', async () => {
  await using registry = await open();
  const orders = await registry.resolve('orders');
  const trades = await registry.resolve('trades');
  await registry.announce(SESSION);
  await asOperator((operator) => operator.flushall());
  const { restoredChannels, conflicts } = await registry.reconcile();
  assert.deepEqual(restoredChannels.toSorted(), ['orders', 'trades']);
  assert.deepEqual(conflicts, []);
  await using other = await open();
  assert.deepEqual(
    await other.list(),
    new Map([
      ['orders', orders],
      ['trades', trades],
    ]),
  );
  assert.deepEqual(await other.sessions('orders'), [SESSION]);
  assert.deepEqual((await registry.reconcile()).restoredChannels, []);
});

test('asking which channels there are brings back those that Redis has lost', async () => {
  await using registry = await open();
  const address = await registry.resolve('orders');
  await asOperator((operator) => operator.flushall());
  assert.deepEqual(await registry.list(), new Map([['orders', address]]));
  await using other = await open();
  assert.deepEqual(await other.lookup('orders'), address);
  assert.deepEqual((await registry.reconcile()).restoredChannels, ['orders']);
  assert.deepEqual((await registry.reconcile()).restoredChannels, []);
});

test('an empty Redis gives no address away before others could say what is theirs', async () => {
  await using registry = await open();
  const ports: [number, number] = [20_007, 20_007];
  const pool = { groups: ['239.192.0.7'], ports, dport: 7_500 };
  await using first = await open({ pool });
  await first.resolve('orders');
  await asOperator((operator) => operator.flushall());
  await using second = await open({ pool, settleMs: 300 });
  const refused = assert.rejects(second.resolve('trades'), { code: 'BACKCAST_POOL_EXHAUSTED' });
  await first.reconcile();
  await refused;
  assert.deepEqual([...(await registry.list()).keys()], ['orders']);
});

test('after FLUSHALL, a process that remembers nothing is given the same address', async () => {
  await using before = await open();
  const address = await before.resolve('orders');
  await asOperator((operator) => operator.flushall());
  await using fresh = await open();
  assert.deepEqual(await fresh.resolve('orders'), address);
});

test('an address in use that Redis gave away stays, and the conflict is told', async () => {
  await using registry = await open();
  const address = await registry.resolve('orders');
  const text = `${address.group} ${address.port} 7500 native`;
  await asOperator((operator) => operator.multi().flushall().hset(KEY, 'thief', text).exec());
  const { restoredChannels, conflicts } = await registry.reconcile();
  assert.deepEqual(restoredChannels, []);
  assert.deepEqual(
    conflicts.map(({ channel }) => channel),
    ['orders'],
  );
  assert.match(conflicts[0].problem, /was given to channel "thief"/);
  assert.deepEqual(await registry.resolve('orders'), address);
});

test('an address in use that Redis has changed stays, and the conflict is told', async () => {
  await using registry = await open();
  const address = await registry.resolve('orders');
  await asOperator((operator) => operator.hset(KEY, 'orders', '239.192.9.9 20009 7500 native'));
  const { conflicts } = await registry.reconcile();
  assert.match(conflicts[0].problem, /now has it at "239\.192\.9\.9 20009 7500 native"/);
  assert.deepEqual(await registry.resolve('orders'), address);
  assert.equal((await registry.lookup('orders'))?.group, '239.192.9.9');
});

test('a poisoned entry is skipped and told, and the others are answered', async () => {
  const invalid: InvalidEntry[] = [];
  await using registry = await open({ onInvalid: (entry) => invalid.push(entry) });
  const good = await registry.resolve('good');
  await asOperator((operator) =>
    operator.hset(KEY, {
      unicast: '10.0.0.1 20000 7500 native',
      words: 'rm -rf /',
      huge: 'x'.repeat(1_000_000),
      empty: '',
      'not a name': '239.192.0.77 20077 7500 native',
    }),
  );
  assert.deepEqual(await registry.list(), new Map([['good', good]]));
  assert.deepEqual(invalid.map(({ channel }) => channel).toSorted(), [
    'empty',
    'huge',
    'not a name',
    'unicast',
    'words',
  ]);
  await assert.rejects(registry.resolve('huge'), { code: 'BACKCAST_REGISTRY_INVALID' });
  await registry.resolve('another');
});

test('a poisoned answer does not replace the one that was good', async () => {
  const invalid: InvalidEntry[] = [];
  await using registry = await open({ onInvalid: (entry) => invalid.push(entry) });
  const address = await registry.resolve('orders');
  await asOperator((operator) => operator.hset(KEY, 'orders', '127.0.0.1 1 1 native'));
  assert.deepEqual(await registry.lookup('orders'), address);
  assert.deepEqual(await registry.list(), new Map([['orders', address]]));
  assert.match(invalid[0].problem, /127\.0\.0\.1/);
});

test('more channels than can be are not read, and the last good list stays', async () => {
  await using registry = await open();
  const address = await registry.resolve('orders');
  await asOperator((operator) =>
    operator.eval("for i = 1, 70000 do redis.call('HSET', KEYS[1], 'c' .. i, 'x') end", 1, KEY),
  );
  assert.deepEqual(await registry.list(), new Map([['orders', address]]));
  await registry.announce(SESSION);
  assert.equal((await registry.reconcile()).renewedSessionCount, 1);
  await using fresh = await open();
  await assert.rejects(fresh.list(), { code: 'BACKCAST_REGISTRY_INVALID', message: /70001/ });
  await assert.rejects(fresh.resolve('new'), { code: 'BACKCAST_POOL_EXHAUSTED' });
});

test('keys of another kind are refused by name', async () => {
  await asOperator((operator) => operator.set(KEY, 'text'));
  await using registry = await open();
  await assert.rejects(registry.resolve('orders'), {
    code: 'BACKCAST_REGISTRY_INVALID',
    message: /something else under the keys of the registry .*registry\.prefix/,
  });
});

function member(number: number): ChannelMember {
  const id = number.toString(16).padStart(16, '0');
  const place = { address: `10.0.0.${number}`, port: 7_600 };
  return { channel: 'orders', id, host: 'host', joinedAtUs: number, ...place };
}

test('a list of members hears at once who joins and leaves, also after a restart', async () => {
  await using registry = await open();
  await using others = await open();
  await others.join(member(1));
  const patient = { refreshMs: 1_000_000, leaseMs: 1_000_000 };
  await using members = await RegistryMembers.open(registry, 'orders', patient);
  assert.equal(members.current.length, 1);
  await others.join(member(2));
  await until('the second is known', () => members.current.length === 2);
  await others.leave('orders', member(1).id);
  await until('the first is gone', () => members.current.length === 1);
  await redis.restart();
  await until('Redis is back', async () => (await others.reconcile()).renewedMemberCount === 1);
  await until('news is heard again', async () => {
    await others.join(member(3));
    await others.leave('orders', member(3).id);
    await others.join(member(4));
    return members.current.length === 2;
  });
  assert.deepEqual(
    members.current.map(({ address }) => address),
    ['10.0.0.2', '10.0.0.4'],
  );
});

test('a forged member is skipped and told, and the others are members', async () => {
  const invalid: InvalidEntry[] = [];
  await using registry = await open({ onInvalid: (entry) => invalid.push(entry) });
  await registry.join(member(1));
  const forged = { ...member(2), address: '239.1.2.3' };
  await asOperator(async (operator) => {
    const lease = `${Date.now() + 60_000} ${JSON.stringify(forged)}`;
    await operator.hset('backcast:members:orders', forged.id, lease);
  });
  assert.deepEqual(
    (await registry.members('orders')).map((lease) => lease.member),
    [member(1)],
  );
  assert.match(invalid[0].problem, /address "239\.1\.2\.3" is not the address of one host/);
});

test('a forged announcement is skipped and told', async () => {
  const invalid: InvalidEntry[] = [];
  await using registry = await open({ onInvalid: (entry) => invalid.push(entry) });
  await registry.announce(SESSION);
  await asOperator((operator) =>
    operator.hset('backcast:sessions:orders', {
      forged: '9999999999999 {"session":"no"}',
      garbage: 'garbage',
      notJson: '9999999999999 {',
    }),
  );
  assert.deepEqual(await registry.sessions('orders'), [SESSION]);
  assert.equal(invalid.length, 2);
});

test('installations with different prefixes do not see each other', async () => {
  await using ours = await open({ prefix: 'ours:' });
  await using theirs = await open({ prefix: 'theirs:' });
  const mine = await ours.resolve('orders');
  assert.equal(await theirs.lookup('orders'), undefined);
  assert.notDeepEqual(await theirs.resolve('orders'), mine);
});

test('a wrong password is one clear error that does not tell the password', async () => {
  await asOperator((operator) => operator.config('SET', 'requirepass', 'right'));
  try {
    await using registry = await open({ url: `${redis.url}?password=sesame` });
    await assert.rejects(registry.resolve('orders'), (error: Error) => {
      assert.match(error.message, /WRONGPASS|NOAUTH|invalid/i);
      assert.doesNotMatch(error.message, /sesame/);
      return true;
    });
  } finally {
    const operator = new Redis({ path: redis.url.slice('unix://'.length), password: 'right' });
    await operator.config('SET', 'requirepass', '');
    operator.disconnect();
  }
});

for (const url of ['localhost:6379', 'http://localhost', 'redis://[', ''])
  test(`the URL ${JSON.stringify(url)} is refused before anything is tried`, async () => {
    await assert.rejects(open({ url }), { code: 'BACKCAST_CONFIG_INVALID', message: /REDIS_URL/ });
  });

test('the password of a URL never stands in an error', async () => {
  await using registry = await open({ url: 'redis://user:sesame@127.0.0.1:1/2' });
  await assert.rejects(registry.resolve('orders'), (error: Error) => {
    assert.match(
      error.message,
      /Redis at redis:\/\/127\.0\.0\.1:1\/2 cannot be used: .*ECONNREFUSED/,
    );
    assert.doesNotMatch(`${error.message} ${String(error.cause)}`, /sesame/);
    return true;
  });
});
