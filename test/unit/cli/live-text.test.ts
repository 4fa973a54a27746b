import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SessionId } from '#base/mod.ts';
import type { LiveMessage } from '#client/mod.ts';
import { liveText } from '#cli/live-text.ts';
import { zmqMessage } from '#multicast/wire/mod.ts';

const SESSION = '00000000000000ff' as SessionId;

function message(payload: Uint8Array, source: string | undefined = 'gateway-7'): LiveMessage {
  const publishedAtUs = 1_795_342_400_123_457;
  return { kind: 'message', session: SESSION, source, sequence: 9, publishedAtUs, payload };
}

test('a message is a line with the names of the replay API', () => {
  const text = liveText('orders', message(Buffer.from('say "hi"\n')));
  assert.deepEqual(JSON.parse(text), {
    kind: 'message',
    channel: 'orders',
    session: SESSION,
    source: 'gateway-7',
    sequence: 9,
    publishedAt: '2026-11-22T10:13:20.123457Z',
    encoding: 'utf8',
    payload: 'say "hi"\n',
  });
  assert.equal(text.includes('\n'), false);
});

test('a source not known yet is null, and its name cannot break the line', () => {
  const unknown: LiveMessage = { ...message(Buffer.from('')), source: undefined };
  assert.equal((JSON.parse(liveText('orders', unknown)) as { source: unknown }).source, null);
  const odd = JSON.parse(liveText('orders', message(Buffer.from(''), 'a"\n{'))) as {
    source: unknown;
  };
  assert.equal(odd.source, 'a"\n{');
});

test('bytes that are not UTF-8 are base64, and only the payload of a packet is shown', () => {
  const packet = Buffer.from([0x41, 0xff, 0xfe, 0x42]);
  const shown = JSON.parse(liveText('orders', message(packet.subarray(1, 3)))) as {
    encoding: string;
    payload: string;
  };
  assert.deepEqual([shown.encoding, shown.payload], ['base64', '//4=']);
});

test('an empty payload is shown as an empty text', () => {
  const text = liveText('orders', message(new Uint8Array(0)));
  assert.match(text, /"encoding":"utf8","payload":""}$/);
});

test('a message of ZeroMQ shows its parts, each as its bytes allow', () => {
  const parts = [Buffer.from('topic'), Buffer.from([0xff]), Buffer.from('')];
  const shown = JSON.parse(liveText('feed', message(zmqMessage(parts)), 'zmq')) as {
    sequence: number;
    parts: unknown;
  };
  assert.equal(shown.sequence, 9);
  assert.deepEqual(shown.parts, [
    { encoding: 'utf8', payload: 'topic' },
    { encoding: 'base64', payload: '/w==' },
    { encoding: 'utf8', payload: '' },
  ]);
});

test('a loss and a change of session say what they are', () => {
  const lost = {
    kind: 'lost',
    session: SESSION,
    firstSequence: 3,
    lastSequence: 7,
    cause: 'repair_expired',
  } as const;
  assert.deepEqual(JSON.parse(liveText('orders', lost)), {
    kind: 'loss',
    channel: 'orders',
    session: SESSION,
    first: 3,
    last: 7,
    cause: 'repair_expired',
  });
  const over = { kind: 'session', session: SESSION, state: 'expired' } as const;
  assert.deepEqual(JSON.parse(liveText('orders', over)), {
    kind: 'session',
    channel: 'orders',
    session: SESSION,
    state: 'expired',
  });
});
