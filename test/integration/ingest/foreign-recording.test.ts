// The archiver and sources of other implementations, over real multicast: what they send is stored
// whole although packets are lost, stopping and starting goes on in the same session, and a
// publisher of ours may share the channel.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { zmqMessage, zmqParts } from '#multicast/wire/mod.ts';
import type { ChannelAddress, Framing } from '#base/mod.ts';
import { keptLog, type Scene, setScene } from '#test/support/archiving.ts';
import { type ForeignSource, openForeignSource } from '#test/support/foreign-source.ts';
import { reserveGroup } from '#test/support/multicast.ts';
import { until } from '#test/support/until.ts';

const TSI = '00070000004d.7777';

/** Messages `first` to `last`, of lengths that straddle packets now and then. */
async function publishNumbered(
  source: ForeignSource,
  range: { readonly first: number; readonly last: number },
  toMessage: (text: Buffer) => Uint8Array,
): Promise<void> {
  for (let number = range.first; number <= range.last; number += 1) {
    const text = Buffer.alloc(10 + ((number * 37) % (number % 50 === 0 ? 9_000 : 400)), '.');
    text.write(String(number));
    await source.publish(toMessage(text));
  }
}

interface StoredRow {
  readonly session: string;
  readonly sequence: number;
  readonly payload: Buffer;
}

async function storedRows({ database }: Scene): Promise<StoredRow[]> {
  const { rows } = await sql<StoredRow>`
    SELECT session, sequence, payload FROM messages ORDER BY position`.execute(database);
  return rows;
}

function headIs(scene: Scene, count: number): Promise<boolean> {
  return until(
    `${count} messages are archived`,
    async () => {
      const { rows } = await sql<{ head: number }>`SELECT head FROM leases`.execute(scene.database);
      return rows[0]?.head === count;
    },
    30_000,
  );
}

function numberOf(text: Uint8Array): number {
  return Number.parseInt(Buffer.from(text).toString('latin1'), 10);
}

const FRAMINGS = [
  { framing: 'raw', toMessage: (text: Buffer) => text, toText: (payload: Uint8Array) => payload },
  {
    framing: 'zmq',
    toMessage: (text: Buffer) => zmqMessage([text.subarray(0, 4), text]),
    toText: (payload: Uint8Array) => zmqParts(payload)[1] ?? payload,
  },
] as const;

for (const { framing, toMessage, toText } of FRAMINGS) {
  test(`a foreign source in ${framing} is archived whole, through loss and a restart`, async () => {
    await using scene = await setScene({ framing });
    const options = { faults: 'receive-loss=0.05,seed=5' };
    await using first = await scene.startArchiver(options);
    await using source = await openForeignSource(scene.address);
    await publishNumbered(source, { first: 1, last: 600 }, toMessage);
    await headIs(scene, 600);
    await first.stop();
    await publishNumbered(source, { first: 601, last: 900 }, toMessage);
    await using _second = await scene.startArchiver(options);
    await publishNumbered(source, { first: 901, last: 1_200 }, toMessage);
    await headIs(scene, 1_200);
    assert.ok(source.repairsSent > 0);
    const rows = await storedRows(scene);
    assert.deepEqual(
      rows.map(({ payload }) => numberOf(toText(payload))),
      Array.from({ length: 1_200 }, (__, index) => index + 1),
    );
    assert.ok(rows.every(({ session }) => session === rows[0]?.session));
    assert.ok(
      rows.every(({ sequence }, at) => at === 0 || sequence > (rows[at - 1]?.sequence ?? 0)),
    );
    await source[Symbol.asyncDispose]();
    const over = await until('the session is closed', async () => {
      const session = await scene.database
        .selectFrom('sessions')
        .select(['state', 'is_foreign', 'tsi'])
        .executeTakeFirst();
      return session?.state === 'closed' && session;
    });
    assert.deepEqual([over.is_foreign, over.tsi], [true, TSI]);
    const verdict = await scene.audited();
    const { sessionCount, dueCount, storedCount, lostCount } = verdict;
    assert.deepEqual([sessionCount, dueCount, storedCount, lostCount], [1, 1_200, 1_200, 0]);
  });
}

test('a publisher of ours beside a foreign source counts from 1', async () => {
  await using scene = await setScene({ framing: 'zmq' });
  await using _archiver = await scene.startArchiver();
  await using source = await openForeignSource(scene.address);
  const ours = { interfaceAddress: '127.0.0.3', lingerMs: 100 };
  await using publisher = await scene.openPublisher(ours);
  for (let number = 1; number <= 20; number += 1) {
    await source.publish(zmqMessage([Buffer.from(String(number))]));
    await publisher.publish(Buffer.from(String(number)));
  }
  await headIs(scene, 40);
  const own = (await storedRows(scene)).filter(({ session }) => session === publisher.session);
  assert.deepEqual(
    own.map(({ sequence, payload }) => [sequence, numberOf(zmqParts(payload)[0] ?? payload)]),
    Array.from({ length: 20 }, (_, index) => [index + 1, index + 1]),
  );
  const verdict = await scene.audited();
  assert.deepEqual([verdict.sessionCount, verdict.dueCount], [2, 40]);
});

test('a channel whose framing was changed is not recorded, and the others are', async () => {
  await using scene = await setScene();
  await using group = await reserveGroup();
  const { group: address, port } = group;
  const feed = { group: address, port, dport: 7_500, framing: 'native' } as const;
  const knowing = (framing: Framing) => {
    const channels = new Map<string, ChannelAddress>([
      ['feed', { ...feed, framing }],
      [scene.channel, scene.address],
    ]);
    return { channels: ['*'], registry: { list: () => Promise.resolve(channels) } };
  };
  await using before = await scene.startArchiver(knowing('native'));
  await before.recording('feed');
  await using publisher = await scene.openPublisher({ address: feed, lingerMs: 0 });
  await publisher.publish(Buffer.from('x'));
  await until('it is archived', async () => {
    const { rows } = await sql`SELECT FROM messages`.execute(scene.database);
    return rows.length === 1;
  });
  await before.stop();
  const log = keptLog();
  await using _after = await scene.startArchiver({ ...knowing('raw'), log });
  await until('it is said', () => log.messages.includes('channel not recorded'));
});
