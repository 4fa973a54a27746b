// The stories of the simulation on real sockets: multicast on the loopback address, in real time,
// with the product's loss injector before every socket. What must come of them is the same.

import { test } from 'node:test';
import type { ChannelAddress } from '#base/mod.ts';
import { playScenario, SCENARIOS } from '#sim/mod.ts';
import { reserveGroup } from '#test/support/multicast.ts';
import { socketStage } from '#test/support/socket-stage.ts';

for (const scenario of SCENARIOS) {
  test(scenario.name, { timeout: 30_000 }, async () => {
    await using reserved = await reserveGroup();
    await using resources = new AsyncDisposableStack();
    const { group, port } = reserved;
    const address: ChannelAddress = { group, port, dport: 7_500, framing: 'native' };
    await playScenario(scenario, socketStage(scenario, address, resources));
  });
}
