// A publisher that is driven by hand: for tests that decide when time passes and what is heard.

import assert from 'node:assert/strict';
import { isSessionId } from '#base/mod.ts';
import { Publisher, type PublisherOptions } from '#multicast/core/mod.ts';
import type { PacketReader } from '#multicast/wire/mod.ts';
import { readPacket, TRANSPORT } from './packets.ts';
import { CHANNEL, SESSION_ID } from './session-packets.ts';

/** Wall clock of all messages. */
export const AT_US = 1_795_345_858_887_986;
/** Linger of the publisher. */
export const LINGER_MS = 1_000;

/** A publisher with a window of 16 small packets and a rate that holds nothing back. */
export function newPublisher(options: Partial<PublisherOptions> = {}): Publisher {
  assert.ok(isSessionId(SESSION_ID));
  return new Publisher(
    {
      address: CHANNEL,
      session: SESSION_ID,
      source: 'gateway-7',
      transport: TRANSPORT,
      nla: '192.168.1.7',
      nakPort: 40_001,
      packetBytesMax: 300,
      messageBytesMax: 1_000,
      windowPackets: 16,
      windowBytes: 1_000_000,
      rateBytesPerSec: 1_000_000_000,
      flushMs: 1,
      lingerMs: LINGER_MS,
      ...options,
    },
    0,
  );
}

/** A packet as short text: `odata 5`, `rdata 5`, `spm 0-5`, `ncf 5 6`. */
function textOf(reader: PacketReader): string {
  if (reader.kind === 'spm')
    return `spm ${reader.trail}-${reader.lead}${reader.isFin ? ' fin' : ''}`;
  const sqns = reader.kind === 'ncf' ? reader.sqnList.subarray(0, reader.sqnCount) : [reader.sqn];
  return `${reader.kind} ${[...sqns].join(' ')}`;
}

/** All that may leave now. */
export function drain(publisher: Publisher): string[] {
  const texts: string[] = [];
  for (let next = publisher.pollTransmit(); next !== undefined; next = publisher.pollTransmit()) {
    assert.deepEqual([next.address, next.port], [CHANNEL.group, CHANNEL.port]);
    texts.push(textOf(readPacket(next.bytes)));
  }
  return texts;
}

/** Runs the deadlines up to `untilMs`; what left, without the SPMs unless they are asked for. */
export function run(publisher: Publisher, untilMs: number, withSpms = false): string[] {
  const texts = drain(publisher);
  for (let steps = 0; publisher.nextDeadlineMs <= untilMs; steps += 1) {
    assert.ok(steps < 10_000, 'a deadline moves when it is handled');
    publisher.handleTimeout(publisher.nextDeadlineMs);
    texts.push(...drain(publisher));
  }
  return withSpms ? texts : texts.filter((text) => !text.startsWith('spm'));
}

/** A publisher that has sent `count` packets of one message each, one every `everyMs`. */
export function sentPublisher(
  count: number,
  options: Partial<PublisherOptions> = {},
  everyMs = 1,
): Publisher {
  const publisher = newPublisher({ flushMs: 0, ...options });
  for (let n = 0; n < count; n += 1) {
    assert.equal(publisher.publish(new Uint8Array(200), AT_US, n * everyMs), 'accepted');
    run(publisher, n * everyMs);
  }
  run(publisher, 1_000);
  return publisher;
}

/** The events since the last call. */
export function kinds(publisher: Publisher): string[] {
  const seen: string[] = [];
  for (let next = publisher.pollEvent(); next !== undefined; next = publisher.pollEvent()) {
    seen.push(next.kind);
  }
  return seen;
}
