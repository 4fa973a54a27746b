import assert from 'node:assert/strict';
import test from 'node:test';
import type { SequenceRange } from '#base/mod.ts';
import type { ArchiveStatement } from '#multicast/core/mod.ts';
import type { Publisher } from '#multicast/core/mod.ts';
import { type SessionFields, writeAck } from '#multicast/wire/mod.ts';
import { AT_US, kinds, newPublisher, run, sentPublisher } from '#test/support/driven-publisher.ts';
import { packetOf, SESSION, TRANSPORT } from '#test/support/packets.ts';
import { hear, NEXT_SESSION } from '#test/support/session-packets.ts';

function ack(
  said: Partial<ArchiveStatement> & { readonly through: number },
  session: SessionFields = SESSION,
): Uint8Array {
  const { through, exactFrom = 1, lost = [] } = said;
  const about = { ...session, sequence: through };
  const fields = { ...TRANSPORT, sqn: 0, session: about, archived: { exactFrom, lost } };
  return packetOf((into) => writeAck(into, fields));
}

/** What is believed of each message of a publisher that has sent nine, a letter each. */
function believed(publisher: Publisher): string {
  const states = Array.from({ length: 9 }, (_, index) => publisher.archiveStateOf(index + 1));
  return states.map((state) => state[0]).join('');
}

test('an acknowledgement says what is archived and what is lost', () => {
  const publisher = sentPublisher(9);
  assert.equal(believed(publisher), 'ppppppppp');
  hear(publisher, 1_000, ack({ through: 6, lost: [{ first: 2, last: 3 }] }));
  assert.deepEqual([believed(publisher), publisher.archivedThrough], ['allaaappp', 6]);
  assert.deepEqual(kinds(publisher), ['archived']);
});

test('what an acknowledgement is not exact for keeps what earlier ones said', () => {
  const publisher = sentPublisher(9);
  hear(publisher, 1_000, ack({ through: 3, lost: [{ first: 1, last: 1 }] }));
  hear(publisher, 1_010, ack({ through: 8, exactFrom: 6, lost: [{ first: 7, last: 7 }] }));
  assert.equal(believed(publisher), 'laauualap');
  hear(publisher, 1_020, ack({ through: 8, exactFrom: 5, lost: [{ first: 7, last: 7 }] }));
  assert.equal(believed(publisher), 'laauaalap');
});

test('one that was overtaken changes nothing', () => {
  const publisher = sentPublisher(9);
  hear(publisher, 1_000, ack({ through: 8, lost: [{ first: 8, last: 8 }] }));
  kinds(publisher);
  hear(publisher, 5_000, ack({ through: 5 }));
  assert.equal(believed(publisher), 'aaaaaaalp');
  assert.deepEqual(kinds(publisher), []);
  const { acksReceived, acksStale, archiveWentBack } = publisher.counters;
  assert.deepEqual([acksReceived, acksStale, archiveWentBack], [2, 1, 0]);
});

test('an archive that has had nothing but less for a second has gone back', () => {
  const publisher = sentPublisher(9);
  hear(publisher, 1_000, ack({ through: 8 }));
  hear(publisher, 9_000, ack({ through: 5 }));
  hear(publisher, 9_500, ack({ through: 8 }));
  hear(publisher, 10_400, ack({ through: 5 }));
  hear(publisher, 11_399, ack({ through: 5 }));
  assert.deepEqual(kinds(publisher), ['archived']);
  assert.equal(believed(publisher), 'aaaaaaaap');
  hear(publisher, 11_400, ack({ through: 5 }));
  assert.equal(believed(publisher), 'aaaaapppp');
  assert.deepEqual(kinds(publisher), ['archive_went_back']);
  hear(publisher, 11_401, ack({ through: 9, lost: [{ first: 6, last: 6 }] }));
  assert.equal(believed(publisher), 'aaaaalaaa');
  assert.equal(publisher.counters.archiveWentBack, 1);
});

test('what healed since is archived', () => {
  const publisher = sentPublisher(9);
  hear(publisher, 1_000, ack({ through: 5, lost: [{ first: 2, last: 3 }] }));
  hear(publisher, 1_100, ack({ through: 5 }));
  assert.equal(believed(publisher), 'aaaaapppp');
});

/** Every other of 30 messages. */
function halfFrom(first: number): SequenceRange[] {
  return Array.from({ length: 15 }, (_, n) => ({ first: first + 2 * n, last: first + 2 * n }));
}

test('of more losses than are kept, the oldest are no longer known', () => {
  const publisher = sentPublisher(1_100, { windowPackets: 2_048 });
  for (let n = 0; n < 30; n += 1) {
    const lost = halfFrom(30 * n + 1);
    hear(publisher, 1_000 + n, ack({ through: 30 * n + 30, exactFrom: 30 * n + 1, lost }));
  }
  assert.deepEqual(
    [1, 2, 387, 388, 389, 390, 899, 900].map((sequence) => publisher.archiveStateOf(sequence)),
    ['unknown', 'unknown', 'unknown', 'archived', 'lost', 'archived', 'lost', 'archived'],
  );
});

test('nothing is believed of another session, of what was not sent, or without the option', () => {
  const publisher = sentPublisher(5);
  publisher.publish(new Uint8Array(10), AT_US, 1_000);
  hear(publisher, 1_000, ack({ through: 3 }, { ...SESSION, ...NEXT_SESSION }), ack({ through: 6 }));
  const bare = ack({ through: 3 }).slice(0, 24).fill(0, 6, 8);
  bare[5] = 0;
  hear(publisher, 1_000, bare);
  assert.equal(believed(publisher), 'ppppppppp');
  assert.deepEqual([publisher.counters.acksRefused, publisher.counters.acksReceived], [3, 0]);
  run(publisher, 1_010);
  hear(publisher, 1_010, ack({ through: 6 }));
  assert.equal(publisher.archivedThrough, 6);
});

test('what is out and not archived is bounded, and room comes with the acknowledgement', () => {
  const publisher = newPublisher({ unarchivedBytesMax: 1_000, flushMs: 0 });
  const outcomes = Array.from({ length: 6 }, (_, n) => {
    const outcome = publisher.publish(new Uint8Array(200), AT_US, n);
    run(publisher, n);
    return outcome;
  });
  assert.deepEqual(outcomes.slice(0, 4), ['accepted', 'accepted', 'accepted', 'accepted']);
  assert.equal(outcomes[4], 'would_block');
  assert.equal(publisher.snapshot().unarchivedBytes > 1_000, true);
  assert.deepEqual([publisher.counters.blockedByArchive, publisher.counters.blocked], [2, 0]);
  assert.deepEqual(kinds(publisher), []);
  hear(publisher, 10, ack({ through: 2 }));
  assert.deepEqual(kinds(publisher), ['archived', 'writable']);
  assert.equal(publisher.publish(new Uint8Array(200), AT_US, 11), 'accepted');
});
