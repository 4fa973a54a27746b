import assert from 'node:assert/strict';
import test from 'node:test';
import { toNetworkAddress, writeSpm } from '#multicast/wire/mod.ts';
import { packetOf, SESSION, TRANSPORT } from '#test/support/packets.ts';
import {
  CHANNEL,
  dataPacket,
  hear,
  newReceiver,
  sent,
  spmPacket,
  told,
  waitUntil,
} from '#test/support/session-packets.ts';

const first = dataPacket({ sqn: 0, sequence: 1 });
const third = dataPacket({ sqn: 2, sequence: 3 });

function bareSpm(nla: string): Uint8Array {
  const fields = { ...TRANSPORT, sqn: 0, trail: 0, lead: 0, nla: toNetworkAddress(nla) };
  return packetOf((into) => writeSpm(into, { ...fields, session: { ...SESSION, sequence: 2 } }));
}

test('a NAK goes to the address and port that the SPM names, and as a copy to the group', () => {
  const receiver = newReceiver();
  hear(receiver, 0, first, spmPacket({ lead: 0, sequence: 2 }), third);
  assert.deepEqual(waitUntil(receiver, 20), [
    'nak 1 to 192.168.1.7:40001',
    'nak 1 to 239.255.0.1:7500',
  ]);
  assert.deepEqual([receiver.counters.naksSent, receiver.counters.nakSqnsSent], [1, 1]);
});

test("a NAK goes to the group's port where the SPM names none", () => {
  const receiver = newReceiver();
  hear(receiver, 0, first, bareSpm('192.168.1.9'), third);
  assert.equal(waitUntil(receiver, 20)[0], 'nak 1 to 192.168.1.9:7500');
});

test('a NAK goes to where the SPM came from if it names no address', () => {
  const receiver = newReceiver();
  hear(receiver, 0, first, bareSpm('0.0.0.0'), third);
  assert.equal(waitUntil(receiver, 20)[0], 'nak 1 to 192.168.1.7:7500');
});

test('a NAK goes to where the SPM came from if it names an address of the other family', () => {
  const receiver = newReceiver();
  hear(receiver, 0, first, bareSpm('fd00::7'), third);
  assert.equal(waitUntil(receiver, 20)[0], 'nak 1 to 192.168.1.7:7500');
});

test('on an IPv6 group a NAK goes to the IPv6 address that the SPM names, and to the group', () => {
  const receiver = newReceiver({ address: { ...CHANNEL, group: 'ff15::1:7' } });
  hear(receiver, 0, first, bareSpm('fd00::7'), third);
  assert.deepEqual(waitUntil(receiver, 20), ['nak 1 to fd00::7:7500', 'nak 1 to ff15::1:7:7500']);
});

test('a channel of named sources gets no copy of a NAK: its receivers would not hear it', () => {
  const receiver = newReceiver({ address: { ...CHANNEL, sources: ['192.168.1.7'] } });
  hear(receiver, 0, first, spmPacket({ lead: 0, sequence: 2 }), third);
  assert.deepEqual(waitUntil(receiver, 20), ['nak 1 to 192.168.1.7:40001']);
});

test('without an SPM one is asked for, again and again until it comes', () => {
  const receiver = newReceiver();
  hear(receiver, 0, first);
  const asked = waitUntil(receiver, 2_000);
  assert.ok(asked.length >= 3 && asked.length <= 5, asked.join(', '));
  assert.deepEqual(new Set(asked), new Set(['spmr to 192.168.1.7:40001']));
  hear(receiver, 2_000, spmPacket({ lead: 0, sequence: 2 }));
  assert.deepEqual(waitUntil(receiver, 20_000), []);
});

test('a publisher that shows no SPM is asked for one ever more seldom', () => {
  const receiver = newReceiver({ sourceExpiryMs: 30_000 });
  hear(receiver, 0, first);
  const asked = waitUntil(receiver, 30_000);
  assert.ok(asked.length >= 12 && asked.length <= 18, `asked ${asked.length} times`);
});

test('an SPM that comes soon makes asking for one unnecessary', () => {
  const receiver = newReceiver();
  hear(receiver, 0, first, spmPacket({ lead: 0, sequence: 2 }));
  assert.deepEqual(waitUntil(receiver, 10_000), []);
  assert.equal(receiver.counters.spmrsSent, 0);
});

test('the name of the publisher is told once', () => {
  const receiver = newReceiver();
  hear(
    receiver,
    0,
    spmPacket({ lead: 0, sequence: 2 }),
    spmPacket({ sqn: 1, lead: 0, sequence: 2 }),
  );
  assert.deepEqual(told(receiver), ['opened', 'source gateway-7']);
});

test('a name that is not UTF-8 is told as far as it is text', () => {
  const receiver = newReceiver();
  hear(receiver, 0, spmPacket({ lead: 0, sequence: 2, source: 'gate\ud800way' }));
  assert.deepEqual(told(receiver), ['opened', 'source gate\ufffdway']);
});

test('a session expires when nothing was heard for long, counted from the last packet', () => {
  const receiver = newReceiver({ sourceExpiryMs: 5_000 });
  hear(receiver, 0, spmPacket({ lead: -1 >>> 0, sequence: 1 }));
  hear(receiver, 3_000, first);
  waitUntil(receiver, 7_999);
  assert.equal(told(receiver).includes('closed expired'), false);
  waitUntil(receiver, 8_000);
  assert.deepEqual(told(receiver), ['closed expired']);
  assert.equal(receiver.sessionCount, 0);
});

test('after a FIN a silent publisher is given up within ten seconds', () => {
  const receiver = newReceiver();
  hear(receiver, 0, first, spmPacket({ lead: 1, sequence: 3, isFin: true }));
  waitUntil(receiver, 10_000);
  assert.deepEqual(told(receiver).slice(-2), ['lost 2-2 source_gone', 'closed expired']);
});

test('when the source is gone only what is known to exist is lost', () => {
  const receiver = newReceiver({ sourceExpiryMs: 5_000 });
  hear(receiver, 0, first, spmPacket({ lead: 0, sequence: 2 }), third);
  waitUntil(receiver, 5_000);
  assert.deepEqual(told(receiver).slice(3), [
    'lost 2-2 source_gone',
    'messages 3-3',
    'closed expired',
  ]);
  assert.deepEqual(sent(receiver), []);
});
