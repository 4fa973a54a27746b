// Many joins on real sockets under faults: no hole, nothing twice, nothing out of order, and what
// is called lost is lost; nothing hangs.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DisturbedChannel } from '#test/support/join-runs.ts';
import { reserveGroup } from '#test/support/multicast.ts';
import { inFull } from '#test/support/thoroughness.ts';

const JOINS = inFull(200, 40);
const AT_ONCE = 8;
const MESSAGES_PER_JOIN = 400;

test(`${JOINS} joins on real sockets: each sequence once and in order, or lost`, async (t) => {
  await using reserved = await reserveGroup();
  const { group, port } = reserved;
  const address = { group, port, dport: 7_500, framing: 'native' } as const;
  await using channel = await DisturbedChannel.open(address, 7);
  let left = JOINS;
  const joinOnAndOn = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await channel.join(MESSAGES_PER_JOIN);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, joinOnAndOn));
  const { tally } = channel;
  t.diagnostic(JSON.stringify(tally));
  for (const name of ['replayed', 'repaired', 'lost', 'restarts', 'fallbacks'] as const)
    assert.ok(tally[name] > 0, `${name} never happened`);
});
