// A signed channel on real sockets: members hear each other while their keys change, strangers do
// not, and nobody takes part without keys.

import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ChannelAddress } from '#base/mod.ts';
import { ChannelPublisher, ChannelSubscriber } from '#client/mod.ts';
import { KeyRing, type KeySource } from '#multicast/udp/mod.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { LOOPBACK, openSocketCount, reserveGroup } from '#test/support/multicast.ts';
import { keySource, NEW_KEY, OLD_KEY } from '#test/support/sealed-packets.ts';
import { until } from '#test/support/until.ts';

const SHARED = { interfaceAddress: LOOPBACK, messageBytesMax: 10_000 };
const PUBLISHER = {
  ...SHARED,
  packetBytesMax: 1_472,
  windowPackets: 65_536,
  windowBytes: 96 * 1_048_576,
  rateBytesPerSec: 5_000_000,
  flushMs: 1,
  lingerMs: 500,
};
const SUBSCRIBER = {
  ...SHARED,
  receiveBufferBytes: 8 * 1_048_576,
  repairTimeoutMs: 20_000,
  sourceExpiryMs: 30_000,
};

function sealed({
  group,
  port,
}: {
  readonly group: string;
  readonly port: number;
}): ChannelAddress {
  return { group, port, dport: 7_500, framing: 'native', authentication: 'required' };
}

/** A file of keys as an operator changes it: put in place at once. */
interface KeyFile {
  readonly ring: KeyRing;
  replace(text: string): Promise<void>;
}

function openKeyFile(resources: DisposableStack, path: string): KeyFile {
  let changeCount = 0;
  const put = (text: string): void => {
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    renameSync(`${path}.new`, path);
  };
  put(OLD_KEY);
  const ring = KeyRing.open({ keysFile: path }, { onChange: () => (changeCount += 1) });
  assert.ok(ring !== undefined);
  resources.use(ring);
  return {
    ring,
    replace: async (text) => {
      const before = changeCount;
      put(text);
      await until('the ring has read its file twice', () => {
        ring.refresh();
        return changeCount > before;
      });
    },
  };
}

test('keys change in three steps under lossy traffic, and no message is lost', async () => {
  await using folder = await createTestFolder();
  await using reserved = await reserveGroup();
  using rings = new DisposableStack();
  const address = sealed(reserved);
  const files = ['publisher', 'subscriber'].map((name) =>
    openKeyFile(rings, join(folder.path, name)),
  );
  const [{ ring: publisherKeys }, { ring: subscriberKeys }] = files;
  const faults = 'receive-loss=0.05,send-loss=0.05,seed=7';
  await using subscriber = await ChannelSubscriber.open({
    ...SUBSCRIBER,
    address,
    keys: subscriberKeys,
    faults,
  });
  const publisher = await ChannelPublisher.open({
    ...PUBLISHER,
    address,
    keys: publisherKeys,
    faults,
  });
  const steps = [`${OLD_KEY}\n${NEW_KEY}`, `${NEW_KEY}\n${OLD_KEY}`, NEW_KEY];
  let count = 0;
  const publishMany = async (): Promise<void> => {
    for (let n = 0; n < 1_000; n += 1) {
      count += 1;
      await publisher.publish(Buffer.from(String(count).padEnd(400)));
    }
  };
  const publishing = (async () => {
    for (const text of steps) {
      for (const file of files.toReversed()) {
        await publishMany();
        await file.replace(text);
      }
    }
    await publishMany();
    await publisher.close();
  })();
  const payloads: number[] = [];
  for await (const live of subscriber) {
    assert.notEqual(live.kind, 'lost');
    if (live.kind === 'message') payloads.push(Number(Buffer.from(live.payload).toString()));
    if (live.kind === 'session' && live.state !== 'open') break;
  }
  await publishing;
  assert.deepEqual(
    payloads,
    Array.from({ length: count }, (_, index) => index + 1),
  );
  const { unauthenticatedUnknownKey, unauthenticatedMissing, unauthenticatedWrong } =
    subscriber.counters;
  assert.deepEqual(
    [unauthenticatedMissing, unauthenticatedUnknownKey, unauthenticatedWrong],
    [0, 0, 0],
  );
  assert.ok(subscriber.counters.repairsReceived > 10 && publisher.counters.naksReceived > 10);
});

test('a stranger is counted and not heard, and hears nobody', async () => {
  await using reserved = await reserveGroup();
  const address = sealed(reserved);
  const open = { ...address, authentication: 'off' } as const;
  const keys = keySource(OLD_KEY);
  const strangers: readonly [ChannelAddress, KeySource][] = [
    [open, keys],
    [address, keySource(NEW_KEY)],
    [address, keySource(OLD_KEY.replace('0123', '3210'))],
  ];
  await using subscriber = await ChannelSubscriber.open({ ...SUBSCRIBER, address, keys });
  for (const [theirs, theirKeys] of strangers) {
    const stranger = await ChannelPublisher.open({
      ...PUBLISHER,
      address: theirs,
      keys: theirKeys,
      lingerMs: 50,
    });
    await stranger.publish(Buffer.from('believe me'));
    await stranger.close();
  }
  await until('every kind of stranger was heard of', () => {
    const { counters } = subscriber;
    const { unauthenticatedMissing, unauthenticatedUnknownKey, unauthenticatedWrong } = counters;
    return Math.min(unauthenticatedMissing, unauthenticatedUnknownKey, unauthenticatedWrong) > 2;
  });
  const { sessionsOpened, naksSent, spmrsSent } = subscriber.counters;
  assert.deepEqual([sessionsOpened, naksSent, spmrsSent], [0, 0, 0]);
  await using publisher = await ChannelPublisher.open({ ...PUBLISHER, address, keys });
  await publisher.publish(Buffer.from('a member'));
  for await (const live of subscriber) {
    if (live.kind !== 'message') continue;
    assert.equal(Buffer.from(live.payload).toString(), 'a member');
    break;
  }
});

test('without keys nobody takes part, and no socket is left behind', async () => {
  await using reserved = await reserveGroup();
  const address = sealed(reserved);
  const before = openSocketCount();
  const missing = { code: 'BACKCAST_KEYS_MISSING' };
  await assert.rejects(ChannelPublisher.open({ ...PUBLISHER, address }), missing);
  await assert.rejects(ChannelSubscriber.open({ ...SUBSCRIBER, address }), missing);
  assert.equal(openSocketCount(), before);
});
