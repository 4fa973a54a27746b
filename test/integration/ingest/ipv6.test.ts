// The whole path on IPv6: publishers, a live subscriber and the archiver on a group of ff15::/16,
// with loss in every direction; on the loopback interface and on one end of a cable.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackcastError, type ChannelAddress } from '#base/mod.ts';
import { ChannelSubscriber } from '#client/mod.ts';
import { setScene } from '#test/support/archiving.ts';
import { testInNamespace } from '#test/support/namespace.ts';
import { relayThroughFile } from '#test/support/postgres-relay.ts';
import { createTestDatabase } from '#test/support/postgres.ts';

const DATABASE_VARIABLE = 'BACKCAST_TEST_RELAYED_DATABASE';
const MESSAGES = 3_000;
const FAULTS = 'receive-loss=0.05,send-loss=0.05';
const SUBSCRIBER = {
  receiveBufferBytes: 8 * 1_048_576,
  messageBytesMax: 10_000,
  repairTimeoutMs: 20_000,
  sourceExpiryMs: 30_000,
};

/** Publishes on `group` through `interfaceAddress`; archiver and subscriber must hear it all. */
async function passThrough(
  group: string,
  interfaceAddress: string,
  sources?: readonly string[],
): Promise<void> {
  const plain = { group, port: 20_010, dport: 7_500, framing: 'native' } as const;
  const address: ChannelAddress = sources === undefined ? plain : { ...plain, sources };
  const databaseUrl = process.env[DATABASE_VARIABLE] ?? '';
  const channel = `on-${interfaceAddress.replaceAll(/[^\w]/g, '-')}-${group.replaceAll(':', '-')}`;
  await using scene = await setScene({ databaseUrl, channel, address });
  const archiver = await scene.startArchiver({ interfaceAddress, faults: `${FAULTS},seed=1` });
  await using subscriber = await ChannelSubscriber.open({
    ...SUBSCRIBER,
    address,
    interfaceAddress,
    faults: `${FAULTS},seed=2`,
  });
  const publisher = await scene.openPublisher({
    interfaceAddress,
    faults: `${FAULTS},seed=3`,
    packetBytesMax: 512,
    lingerMs: 2_000,
  });
  const sequences: number[] = [];
  const heard = (async () => {
    for await (const live of subscriber) {
      if (live.kind === 'message') sequences.push(live.sequence);
      if (live.kind === 'session' && live.state === 'closed') return;
    }
  })();
  for (let number = 1; number <= MESSAGES; number += 1) {
    await publisher.publish(Buffer.alloc(300, `${number};`));
    if (number % 64 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await publisher.close();
  await scene.accounted(MESSAGES);
  await heard;
  await archiver.stop();
  const verdict = await scene.audited();
  assert.deepEqual([verdict.storedCount, verdict.lostCount], [MESSAGES, 0]);
  const first = sequences[0] ?? 0;
  assert.deepEqual(
    sequences,
    Array.from({ length: MESSAGES - first + 1 }, (_, index) => first + index),
  );
  const counters = archiver.counters[scene.channel]?.receiver;
  assert.ok(counters !== undefined && counters.packetsMissed > 100, 'faults were real');
  assert.ok(counters.naksSent <= 2 * counters.packetsMissed);
}

function define(): void {
  test('all is archived and heard on ::1 under loss', () => passThrough('ff15::1:7', '::1'));
  test('all is archived and heard by the name of an interface', () =>
    passThrough('ff15::1:8', 'wire0'));
  test('all is archived and heard on a group of one link', () =>
    passThrough('ff12::1:9', 'fe80::7%wire0'));
  test('all is archived and heard from a named source', () =>
    passThrough('ff35::8000:7', 'fd77::1', ['fd77::1']));
}

/**
 * Without a network of its own: the machine has what IPv6 needs, or a sentence says what it lacks.
 */
async function otherwise(): Promise<void> {
  const address: ChannelAddress = {
    group: 'ff15::1:7',
    port: 20_010,
    dport: 7_500,
    framing: 'native',
  };
  try {
    const interfaceAddress = '::1';
    await using _ = await ChannelSubscriber.open({ ...SUBSCRIBER, address, interfaceAddress });
  } catch (error) {
    assert.ok(error instanceof BackcastError);
    assert.equal(error.code, 'BACKCAST_INTERFACE_UNUSABLE');
  }
}

testInNamespace({
  file: import.meta.filename,
  define,
  otherwise,
  surroundings: async (resources) => {
    const { url } = resources.use(await createTestDatabase());
    return { [DATABASE_VARIABLE]: await relayThroughFile(resources, url) };
  },
});
