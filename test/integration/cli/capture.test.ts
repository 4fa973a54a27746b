// --capture as a user meets it: the files that publish, subscribe and the archiver leave behind,
// read by tshark.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setScene } from '#test/support/archiving.ts';
import { endOf, runBackcast, startBackcast } from '#test/support/cli.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { reserveGroup } from '#test/support/multicast.ts';
import { dissect } from '#test/support/tshark.ts';

const FIELDS = ['udp.dstport', 'pgm.hdr.type', '_ws.malformed'];
const ODATA = '0x04';

/** How many first sendings to `port` the capture has. */
async function dataPackets(path: string, port: number): Promise<number> {
  const packets = await dissect(path, [port], FIELDS);
  assert.ok(packets.every((packet) => packet['_ws.malformed'] === ''));
  return packets.filter((packet) => packet['pgm.hdr.type'] === ODATA).length;
}

test('publish and subscribe leave a capture of what they said to each other', async () => {
  await using folder = await createTestFolder();
  await using reserved = await reserveGroup();
  const at = ['--group', `${reserved.group}:${reserved.port}`];
  const [heard, said] = ['heard.pcap', 'said.pcap'].map((name) => join(folder.path, name));
  const subscriber = startBackcast([
    'subscribe',
    'tour',
    ...at,
    '--count',
    '2',
    '--capture',
    heard,
  ]);
  await once(subscriber.stderr, 'data');
  const subscribed = endOf(subscriber);
  const published = await runBackcast(['publish', 'tour', ...at, '--capture', said], {
    input: 'one\ntwo\n',
  });
  assert.equal(published.end, 0, published.stderr);
  assert.equal((await subscribed).end, 0);
  assert.ok((await dataPackets(said, reserved.port)) > 0);
  assert.ok((await dataPackets(heard, reserved.port)) > 0);
});

test('a capture that cannot be written ends the command before it publishes', async () => {
  await using reserved = await reserveGroup();
  const at = ['--group', `${reserved.group}:${reserved.port}`];
  const { end, stderr } = await runBackcast([
    'publish',
    'tour',
    ...at,
    '--count',
    '1',
    '--capture',
    '/nowhere/at/all.pcap',
  ]);
  assert.notEqual(end, 0);
  assert.match(stderr, /^backcast: .*\/nowhere\/at\/all\.pcap.*BACKCAST_CONFIG_INVALID/);
});

test('the archiver leaves a capture per channel', async () => {
  await using folder = await createTestFolder();
  await using scene = await setScene({ channel: 'orders.eu' });
  const archiver = await scene.startArchiver({ capture: join(folder.path, 'archive') });
  const publisher = await scene.openPublisher({ lingerMs: 0 });
  await publisher.publish(Buffer.from('one'));
  await scene.accounted(1);
  await publisher.close();
  await archiver.stop();
  assert.deepEqual(await readdir(folder.path), ['archive.orders.eu.pcap']);
  const path = join(folder.path, 'archive.orders.eu.pcap');
  assert.ok((await dataPackets(path, scene.address.port)) > 0);
});
