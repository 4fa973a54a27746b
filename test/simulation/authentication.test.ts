// A signed channel among forgers: what forged traffic costs, and that the real one goes on, also
// while its keys change.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomBelow, sessionToWords } from '#base/mod.ts';
import type { Authenticator } from '#multicast/core/mod.ts';
import { checkEvents, type SimulatedPublisher, SIMULATED_CHANNEL, World } from '#sim/mod.ts';
import { ipv4ToWord, writeNak, writeSpm } from '#multicast/wire/mod.ts';
import { packetOf, writeData } from '#test/support/packets.ts';
import { keySource, newAuthenticator, NEW_KEY, OLD_KEY } from '#test/support/sealed-packets.ts';
import { blockOf } from '#test/support/session-packets.ts';
import { CALM, type Ledger, publishBursts, publishEach } from '#test/support/simulated-traffic.ts';

const ADDRESS = { ...SIMULATED_CHANNEL, authentication: 'required' } as const;
const TRANSPORT = { gsiHigh: 1, gsiLow: 2, tsiSport: 3, dataDport: ADDRESS.dport };
const NOISY = { loss: 0.1, duplicate: 0.1, delayMsMin: 0.1, delayMsMax: 5 };

function memberOf(keys = keySource(OLD_KEY)): {
  readonly address: typeof ADDRESS;
  readonly authenticator: Authenticator;
} {
  return { address: ADDRESS, authenticator: newAuthenticator(keys, ADDRESS) };
}

/** Packets that somebody without the key makes, of every kind and with everything else right. */
class Forger {
  readonly #world: World;
  readonly #publisher: SimulatedPublisher;
  readonly #authenticators: readonly (Authenticator | undefined)[] = [
    undefined,
    newAuthenticator(NEW_KEY, ADDRESS),
    newAuthenticator(OLD_KEY.replace('0123', '3210'), ADDRESS),
  ];

  constructor(world: World, publisher: SimulatedPublisher) {
    this.#world = world;
    this.#publisher = publisher;
  }

  /** One packet; half of them are of the publisher's own session, the rest of strangers. */
  forge(): Uint8Array {
    const { random } = this.#world;
    const authenticator = this.#authenticators[randomBelow(random, 3)];
    const isOwn = random() < 0.5;
    const hasAuthentication = authenticator !== undefined;
    const gsiLow = isOwn ? TRANSPORT.gsiLow : randomBelow(random, 0x1_0000_0000);
    const transport = { ...TRANSPORT, gsiLow, hasAuthentication };
    const { high, low } = sessionToWords(this.#publisher.session);
    const session = {
      sessionHigh: isOwn ? high : randomBelow(random, 0x7fff_ffff),
      sessionLow: isOwn ? low : 1 + randomBelow(random, 0xffff_fffe),
      sequence: 1 + randomBelow(random, 1_000),
    };
    const packet = packetOf((into) => this.#write(into, { ...transport, ...session }));
    authenticator?.seal(packet);
    return packet;
  }

  #write(
    into: Uint8Array,
    fields: typeof TRANSPORT & Record<'sequence' | 'sessionHigh' | 'sessionLow', number>,
  ): number {
    const { random } = this.#world;
    const sqn = randomBelow(random, 2_000);
    const nlas = { nla: 0, groupNla: ipv4ToWord(ADDRESS.group) };
    switch (randomBelow(random, 4)) {
      case 0:
        return writeSpm(into, {
          ...fields,
          sqn,
          trail: sqn,
          lead: sqn + 50,
          nla: 0,
          session: fields,
        });
      case 1:
        return writeNak(into, { ...fields, ...nlas, sqns: [sqn, sqn + 1], count: 2 });
      default:
        return writeData(into, { ...fields, sqn, trail: 0 }, blockOf([new Uint8Array(1)]));
    }
  }
}

test('100,000 forged packets open no session, cause no packet and leave nothing behind', () => {
  const world = new World(1, CALM);
  const receiver = world.addReceiver(memberOf());
  const publisher = world.addPublisher({ ...memberOf(), transport: TRANSPORT });
  const ledger: Ledger = new Map();
  publishEach(world, publisher, ledger, { count: 100 });
  world.run(world.nowMs + 10_000);
  const before = world.network.counters.sent;
  const { spmsSent } = publisher.machine.counters;
  const told = receiver.events.length;
  const forger = new Forger(world, publisher);
  const forged = Array.from({ length: 1_000 }, () => forger.forge());
  for (let n = 0; n < 100_000; n += 1)
    for (const { node } of [receiver, publisher]) world.inject(node, forged[n % forged.length]);
  world.run(world.nowMs + 10_000);
  const { counters, sessionCount, rememberedCount } = receiver.machine;
  const heartbeats = publisher.machine.counters.spmsSent - spmsSent;
  assert.equal(world.network.counters.sent - before, heartbeats);
  assert.deepEqual([sessionCount, rememberedCount, receiver.events.length], [1, 0, told]);
  assert.deepEqual([counters.naksSent, counters.spmrsSent, counters.packetsMissed], [0, 0, 0]);
  const { unauthenticatedMissing, unauthenticatedUnknownKey, unauthenticatedWrong } = counters;
  const rejected = [unauthenticatedMissing, unauthenticatedUnknownKey, unauthenticatedWrong];
  assert.equal(
    rejected.reduce((sum, count) => sum + count),
    100_000,
  );
  assert.ok(Math.min(...rejected) > 20_000, rejected.join(', '));
  assert.deepEqual([publisher.machine.counters.naksReceived, counters.malformed], [0, 0]);
});

test('forgers and a lossy network together cost no message', () => {
  const world = new World(2, NOISY);
  const receivers = [world.addReceiver(memberOf()), world.addReceiver(memberOf())];
  const publisher = world.addPublisher({ ...memberOf(), transport: TRANSPORT });
  const ledger: Ledger = new Map();
  const forger = new Forger(world, publisher);
  const harass = (): void => {
    for (const { node } of [...receivers, publisher]) world.inject(node, forger.forge());
    if (world.nowMs < 3_000) world.schedule(world.nowMs + 0.5, harass);
  };
  world.schedule(0, harass);
  publishBursts(world, [publisher], ledger, { count: 3_000, bytesMax: 900, pauseMsMax: 40 });
  world.network.faults = CALM;
  world.run(world.nowMs + 10_000);
  for (const { events, machine } of receivers) {
    assert.equal(checkEvents(events, ledger).get(publisher.session)?.delivered, 3_000);
    assert.equal(machine.counters.sessionsOpened, 1);
    assert.ok(machine.counters.unauthenticatedWrong > 1_000);
  }
});

test('keys change in three steps, each at another time at each member, without a loss', () => {
  const world = new World(3, NOISY);
  const members = Array.from({ length: 4 }, () => keySource(OLD_KEY));
  const receivers = members.slice(0, 2).map((keys) => world.addReceiver(memberOf(keys)));
  const publishers = members.slice(2).map((keys) => world.addPublisher(memberOf(keys)));
  const ledger: Ledger = new Map();
  const steps = [`${OLD_KEY},${NEW_KEY}`, `${NEW_KEY},${OLD_KEY}`, NEW_KEY];
  for (const [step, text] of steps.entries())
    for (const [member, keys] of members.entries())
      world.schedule(500 + step * 1_000 + member * 100, () => {
        keys.keys = keySource(text).keys;
      });
  publishBursts(world, publishers, ledger, { count: 6_000, bytesMax: 500, pauseMsMax: 60 });
  assert.ok(world.nowMs > 3_500, `the traffic goes on until the last step, not ${world.nowMs} ms`);
  world.network.faults = CALM;
  world.run(world.nowMs + 10_000);
  for (const { events, machine } of receivers) {
    const accounts = checkEvents(events, ledger);
    for (const { session } of publishers)
      assert.equal(accounts.get(session)?.delivered, ledger.get(session)?.length);
    const { messagesLost, unauthenticatedWrong, unauthenticatedUnknownKey } = machine.counters;
    assert.deepEqual([messagesLost, unauthenticatedWrong, unauthenticatedUnknownKey], [0, 0, 0]);
  }
});
