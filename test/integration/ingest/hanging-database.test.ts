// A database that hangs, and one that takes two seconds for each COMMIT, for a minute each under
// traffic: neither is away, and an archiver must not make it worse by trying harder.

import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import { type ArchiverProcess, startArchiverProcess } from '#test/support/watched-archiver.ts';
import { type Scene, setScene } from '#test/support/archiving.ts';
import { type Gate, startDatabaseGate } from '#test/support/gate.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { type FragileServer, startFragileServer } from '#test/support/fragile-server.ts';
import { judge, publishedBy } from '#test/support/judgement.ts';
import { startTraffic } from '#test/support/steady-traffic.ts';
import { inFull } from '#test/support/thoroughness.ts';

const TROUBLE_MS = inFull(60_000, 8_000);
const MESSAGES_PER_SEC = 6_000;
const PAYLOAD_BYTES = 150;
const MEBIBYTE = 1_048_576;
/** More messages come in than one batch of these every two seconds takes. */
const BATCH_MESSAGES_MAX = 8_192;
const COMMIT_MS = 2_000;
/** A batch ends with a packet: so many messages less than its most may be in it. */
const PACKET_MESSAGES_MAX = 64;

/** A pool lets connections go that nothing has needed for half a minute, and opens them again. */
const RECONNECTIONS_MAX = 2 + TROUBLE_MS / 10_000;

interface Stage {
  readonly scene: Scene;
  readonly server: FragileServer;
  readonly gate: Gate;
  readonly archiver: ArchiverProcess;
}

/** Archives steady traffic, lets `trouble` happen, and judges what comes of it. */
async function archiveThrough(trouble: (stage: Stage) => Promise<void>): Promise<void> {
  await using server = await startFragileServer();
  await using scene = await setScene({ databaseUrl: server.url });
  await using gate = await startDatabaseGate(server.url);
  await using folder = await createTestFolder();
  await using publisher = await scene.openPublisher({ lingerMs: 300 });
  await using archiver = await startArchiverProcess({
    homeDir: folder.path,
    databaseUrl: gate.url,
    config: {
      channels: [{ name: scene.channel, ...scene.address }],
      archiver: { name: 'archiver', shards: 1, batchMessagesMax: BATCH_MESSAGES_MAX },
    },
  });
  assert.ok(await archiver.records(scene.channel), archiver.said.join('\n'));
  const load = { messagesPerSec: MESSAGES_PER_SEC, payloadBytes: PAYLOAD_BYTES };
  await using traffic = startTraffic([publisher], load);
  await scene.accounted(MESSAGES_PER_SEC);
  await trouble({ scene, server, gate, archiver });
  await traffic.stop();
  await scene.accounted(traffic.publishedCount);
  assert.ok((await archiver.residentBytesMost()) < 512 * MEBIBYTE);
  assert.equal(await archiver.stop(), 0, archiver.said.join('\n'));
  await judge(scene, [publishedBy(publisher)]);
}

/** Messages of each transaction so far, in order. */
async function batchesOf(scene: Scene): Promise<number[]> {
  const { rows } = await sql<{ messages: number }>`
    SELECT sum(message_count)::bigint AS messages
    FROM segments GROUP BY archived_at ORDER BY archived_at`.execute(scene.database);
  return rows.map(({ messages }) => messages);
}

suite('a database in trouble', { concurrency: 2 }, () => {
  test('a database that takes 2 s for each COMMIT is given fuller batches, one at a time', () =>
    archiveThrough(async ({ scene, gate, archiver }) => {
      const { connectionCount } = gate.state;
      const before = (await batchesOf(scene)).length;
      gate.state.delayed = 'COMMIT';
      gate.state.delayMs = COMMIT_MS;
      await delay(TROUBLE_MS / 4);
      const soonBytes = await archiver.residentBytes();
      await delay((TROUBLE_MS * 3) / 4);
      const lateBytes = await archiver.residentBytes();
      const slow = (await batchesOf(scene)).slice(before);
      gate.state.delayMs = 0;
      assert.ok(slow.length >= TROUBLE_MS / COMMIT_MS / 2, `${slow.length} commits`);
      for (const messages of slow.slice(2))
        assert.ok(messages > BATCH_MESSAGES_MAX - PACKET_MESSAGES_MAX, slow.join(', '));
      assert.equal(gate.state.heldCountMost, 1);
      const reconnections = gate.state.connectionCount - connectionCount;
      assert.ok(reconnections <= RECONNECTIONS_MAX, `${reconnections} connections`);
      assert.ok(lateBytes - soonBytes < 64 * MEBIBYTE, `${lateBytes - soonBytes} bytes more`);
    }));

  test('a database that hangs is not besieged, and what it was doing is not done twice', () =>
    archiveThrough(async ({ server, gate, archiver }) => {
      const { connectionCount } = gate.state;
      await using frozen = await server.freeze();
      await delay(TROUBLE_MS / 4);
      const soonBytes = await archiver.residentBytes();
      await delay((TROUBLE_MS * 3) / 4);
      const lateBytes = await archiver.residentBytes();
      const attempts = gate.state.connectionCount - connectionCount;
      await frozen[Symbol.asyncDispose]();
      assert.ok(attempts <= TROUBLE_MS / 3_000, `${attempts} connections`);
      assert.ok(lateBytes - soonBytes < 64 * MEBIBYTE, `${lateBytes - soonBytes} bytes more`);
    }));
});
