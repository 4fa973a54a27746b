// Ours and OpenPGM's, both ways, on a network that drops a tenth of the data, of the repairs and of
// the confirmations.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChannelAddress } from '#base/mod.ts';
import { startListening, startPublishing } from '#test/support/commands-on-host.ts';
import { createNetwork, type Drop, type Host } from '#test/support/network.ts';
import { peerMessages } from '#test/support/peer-messages.ts';
import { type Peer, startOpenpgmReceiver, startOpenpgmSender } from '#test/support/peers.ts';

const ADDRESS: ChannelAddress = { group: '239.192.9.1', port: 3_055, dport: 7_500, framing: 'raw' };
const DROPS: readonly Drop[] = [
  { type: 'odata', percent: 10, how: 'by-number' },
  { type: 'rdata', percent: 10, how: 'counted' },
  { type: 'ncf', percent: 10, how: 'counted' },
];
/** Messages of one packet each; the largest fills it for OpenPGM and ours alike. */
const SMALL = [200, 0, 1_420];
const LARGE = [10_000];
/**
 * For receivers of OpenPGM: each tells its sender, which an empty message does not, and empty
 * messages among fragmented ones make OpenPGM's receiver wait for ever, also for OpenPGM's sender.
 */
const TOLD_APART = [200, 32, 1_420];

async function assertDropped(host: Host): Promise<void> {
  const counts = await host.droppedCounts();
  const isEach = counts.every((count) => count > 0);
  assert.ok(isEach, `the network has dropped ${counts.join(', ')} packets`);
}

/** Everything in order, from the first message on. */
async function assertReport(receiver: Peer, received: number): Promise<void> {
  const { resets, firstWrong, firsts, ...report } = await receiver.report();
  assert.deepEqual({ resets, firstWrong }, { resets: 0, firstWrong: '' });
  assert.equal(report.received, received);
  assert.ok(firsts.every((first) => first === 1));
}

function textsOf(messages: readonly Buffer[]): string[] {
  return messages.map((message) => message.toString());
}

test('what OpenPGM sends, subscribe has all of in order', async () => {
  await using network = await createNetwork();
  const { a, b } = network;
  await b.drop([ADDRESS.port], DROPS);
  const listening = await startListening(b, ADDRESS);
  const sender = await startOpenpgmSender(a, ADDRESS, {
    count: 2_000,
    sizes: SMALL,
    pace: 1_000,
  });
  await listening.received(2_000);
  assert.deepEqual(listening.messages(), textsOf(peerMessages(1, 2_000, SMALL)));
  assert.ok(listening.lines.every(({ kind }) => kind !== 'loss'));
  await sender.end();
  await assertDropped(b);
});

test('what publish sends, OpenPGM has all of in order and without a reset', async () => {
  await using network = await createNetwork();
  const { a, b } = network;
  await b.drop([ADDRESS.port], DROPS);
  const receiver = await startOpenpgmReceiver(b, ADDRESS, { count: 2_000, sizes: TOLD_APART });
  const publishing = startPublishing(a, ADDRESS, 1_000);
  await publishing.send(peerMessages(1, 2_000, TOLD_APART));
  await assertReport(receiver, 2_000);
  assert.equal((await publishing.end()).end, 0);
  await assertDropped(b);
});

test('messages that OpenPGM sends in fragments arrive whole', async () => {
  await using network = await createNetwork();
  const { a, b } = network;
  await b.drop([ADDRESS.port], DROPS);
  const listening = await startListening(b, ADDRESS);
  const sender = await startOpenpgmSender(a, ADDRESS, { count: 300, sizes: LARGE, pace: 150 });
  await listening.received(300);
  assert.deepEqual(listening.messages(), textsOf(peerMessages(1, 300, LARGE)));
  assert.ok(listening.lines.every(({ kind }) => kind !== 'loss'));
  await sender.end();
  await assertDropped(b);
});

test('messages that publish sends in fragments arrive whole at OpenPGM', async () => {
  await using network = await createNetwork();
  const { a, b } = network;
  await b.drop([ADDRESS.port], DROPS);
  const receiver = await startOpenpgmReceiver(b, ADDRESS, { count: 300, sizes: LARGE });
  const publishing = startPublishing(a, ADDRESS, 150);
  await publishing.send(peerMessages(1, 300, LARGE));
  await assertReport(receiver, 300);
  assert.equal((await publishing.end()).end, 0);
  await assertDropped(b);
});

test('of two OpenPGM publishers on one host, subscribe has all', async () => {
  await using network = await createNetwork();
  const { a, b } = network;
  await b.drop([ADDRESS.port], DROPS);
  const listening = await startListening(b, ADDRESS);
  const settings = { count: 500, sizes: TOLD_APART, pace: 500 };
  const first = await startOpenpgmSender(a, ADDRESS, { ...settings, seed: 1 });
  const second = await startOpenpgmSender(a, ADDRESS, { ...settings, seed: 2 });
  await listening.received(1_000);
  const sessions = new Set(listening.lines.map(({ session }) => session));
  const bySession = [...sessions].map((session) => listening.messages(session));
  const expected = [1, 2].map((seed) => textsOf(peerMessages(seed, 500, TOLD_APART)));
  assert.deepEqual(bySession.toSorted(byText), expected);
  assert.ok(listening.lines.every(({ kind }) => kind !== 'loss'));
  await Promise.all([first.end(), second.end()]);
  await assertDropped(b);
});

test('of two publishers of ours on one host, OpenPGM has all', async () => {
  await using network = await createNetwork();
  const { a, b } = network;
  await b.drop([ADDRESS.port], DROPS);
  const receiver = await startOpenpgmReceiver(b, ADDRESS, {
    count: 1_000,
    sizes: TOLD_APART,
    seeds: '1,2',
  });
  const publishings = [1, 2].map(() => startPublishing(a, ADDRESS, 500));
  await Promise.all(
    publishings.map((publishing, at) => publishing.send(peerMessages(at + 1, 500, TOLD_APART))),
  );
  await assertReport(receiver, 1_000);
  for (const publishing of publishings) assert.equal((await publishing.end()).end, 0);
  await assertDropped(b);
});

function byText([a = '']: readonly string[], [b = '']: readonly string[]): number {
  return a < b ? -1 : 1;
}

test('OpenPGM that joins late has everything from then on', async () => {
  await using network = await createNetwork();
  const { a, b } = network;
  const publishing = startPublishing(a, ADDRESS, 1_000);
  const early = await startOpenpgmReceiver(b, ADDRESS, { count: 2_500, sizes: TOLD_APART });
  const sending = publishing.send(peerMessages(1, 2_500, TOLD_APART));
  await early.received(500);
  const late = await startOpenpgmReceiver(b, ADDRESS, { last: 2_500, sizes: TOLD_APART, late: 1 });
  await late.received(300);
  await b.drop([ADDRESS.port], DROPS);
  await sending;
  await assertReport(early, 2_500);
  const { received, resets, firstWrong, firsts } = await late.report();
  assert.deepEqual({ resets, firstWrong }, { resets: 0, firstWrong: '' });
  assert.equal(received, 2_500 - (firsts[0] ?? 0) + 1);
  assert.equal((await publishing.end()).end, 0);
  await assertDropped(b);
});
