// The archiver on a channel that requires authentication: it records members only, follows the file
// of keys, and says what it cannot record.

import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ChannelAddress } from '#base/mod.ts';
import { type ArchiverLog } from '#ingest/mod.ts';
import { openStaticRegistry } from '#registry/mod.ts';
import { type Scene, setScene } from '#test/support/archiving.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { keySource, NEW_KEY, OLD_KEY } from '#test/support/sealed-packets.ts';
import { until } from '#test/support/until.ts';

interface LogLine {
  readonly message: string;
  readonly fields: Record<string, unknown>;
}

function keptLines(): ArchiverLog & { readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const keep = (fields: Record<string, unknown>, message: string): void => {
    lines.push({ message, fields });
  };
  return { lines, info: keep, warn: keep };
}

function sealedChannel(scene: Scene) {
  const address: ChannelAddress = { ...scene.address, authentication: 'required' };
  return { address, registry: openStaticRegistry(new Map([[scene.channel, address]])) };
}

function idsIn(lines: readonly LogLine[]): unknown[] {
  const changes = lines.filter(({ message }) => message === 'authentication keys changed');
  return changes.map(({ fields }) => fields['ids']);
}

test('an archiver follows its file of keys through a change and archives all', async () => {
  await using scene = await setScene();
  await using folder = await createTestFolder();
  const { address, registry } = sealedChannel(scene);
  const keysFile = join(folder.path, 'keys');
  const put = (text: string): void => {
    writeFileSync(`${keysFile}.new`, text, { mode: 0o600 });
    renameSync(`${keysFile}.new`, keysFile);
  };
  put(OLD_KEY);
  const log = keptLines();
  const faults = 'receive-loss=0.05,send-loss=0.05,seed=7';
  await using archiver = await scene.startArchiver({
    registry,
    log,
    authentication: { keysFile },
    faults,
  });
  const keys = keySource(OLD_KEY);
  const publisher = await scene.openPublisher({ address, keys, faults });
  const steps = [
    { text: `${OLD_KEY}\n${NEW_KEY}`, ids: [1, 2] },
    { text: `${NEW_KEY}\n${OLD_KEY}`, ids: [2, 1] },
    { text: NEW_KEY, ids: [2] },
  ];
  for (const [index, { text }] of steps.entries()) {
    for (let n = 0; n < 1_000; n += 1) await publisher.publish(Buffer.alloc(300, n));
    put(text);
    await until('the archiver has the new keys', () => idsIn(log.lines).length > index);
    await publisher.publish(Buffer.alloc(300, 'signed as before the step'));
    keys.keys = keySource(text).keys;
  }
  for (let n = 0; n < 1_000; n += 1) await publisher.publish(Buffer.alloc(300, n));
  await publisher.close();
  await scene.accounted(4_003);
  const verdict = await scene.audited();
  assert.deepEqual([verdict.storedCount, verdict.lostCount], [4_003, 0]);
  assert.deepEqual(
    idsIn(log.lines),
    steps.map(({ ids }) => ids),
  );
  await archiver.stop();
  const counters = archiver.counters[scene.channel]?.receiver;
  assert.ok(counters !== undefined && counters.repairsReceived > 10);
  assert.equal(counters.unauthenticatedUnknownKey + counters.unauthenticatedWrong, 0);
});

test('strangers leave no session in the archive, and are told of in one line', async () => {
  await using scene = await setScene();
  const { address, registry } = sealedChannel(scene);
  const log = keptLines();
  const authentication = { keys: OLD_KEY };
  await using archiver = await scene.startArchiver({ registry, log, authentication });
  for (const stranger of [{ address: scene.address }, { address, keys: keySource(NEW_KEY) }]) {
    const publisher = await scene.openPublisher({ ...stranger, lingerMs: 50 });
    for (let n = 0; n < 100; n += 1) await publisher.publish(Buffer.alloc(1_000, 'believe me'));
    await publisher.close();
  }
  const member = await scene.openPublisher({ address, keys: keySource(OLD_KEY), source: 'member' });
  await member.publish(Buffer.from('a member'));
  await member.close();
  await scene.accounted(1);
  const sessions = await scene.database.selectFrom('sessions').select('source').execute();
  assert.deepEqual(sessions, [{ source: 'member' }]);
  await archiver.stop();
  const warnings = log.lines.filter(({ message }) => message.includes('without a valid tag'));
  assert.equal(warnings.length, 1);
  const { channel, missing, unknownKey } = warnings[0].fields;
  assert.equal(channel, scene.channel);
  assert.ok(Number(missing) + Number(unknownKey) > 0);
});

test('a channel whose keys are missing is told, and the others are recorded', async () => {
  await using scene = await setScene();
  const { address } = sealedChannel(scene);
  const log = keptLines();
  const other = { ...scene.address, dport: 7_501 };
  const registry = openStaticRegistry(
    new Map([
      ['orders', other],
      ['secrets', address],
    ]),
  );
  await using archiver = await scene.startArchiver({ registry, log, channels: ['*'] });
  await assert.rejects(archiver.recording('secrets'), { code: 'BACKCAST_KEYS_MISSING' });
  const told = log.lines.find(({ message }) => message === 'channel not recorded');
  assert.equal(told?.fields['channel'], 'secrets');
  assert.match(String(told?.fields['reason']), /requires authentication/);
});

test('an archiver does not start with keys that cannot be used', async () => {
  await using scene = await setScene();
  await assert.rejects(scene.startArchiver({ authentication: { keys: 'open sesame' } }), {
    code: 'BACKCAST_KEYS_INVALID',
  });
});
