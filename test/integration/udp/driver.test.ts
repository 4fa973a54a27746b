// The machine here is the smallest that uses every door: it answers each datagram "n" with "n − 1"
// until 0, and says "tick" to itself when a deadline passes.

import assert from 'node:assert/strict';
import test from 'node:test';
import type { Machine, Remote, Transmit } from '#multicast/core/mod.ts';
import { Driver, monotonicMs, openSendSocket, type DatagramSocket } from '#multicast/udp/mod.ts';
import { LOOPBACK } from '#test/support/multicast.ts';

const LIMITS = { timeout: 10_000 };

class Countdown implements Machine {
  readonly events: string[] = [];
  readonly transmits: Transmit[] = [];
  nextDeadlineMs = Number.POSITIVE_INFINITY;
  ticksLeft = 0;
  tickMs = 0;

  handleDatagram(bytes: Uint8Array, remote: Remote, nowMs: number): void {
    assert.ok(nowMs <= monotonicMs());
    const count = Number(Buffer.from(bytes).toString());
    this.events.push(`heard ${count}`);
    if (count > 0) this.send(count - 1, remote);
  }

  handleTimeout(nowMs: number): void {
    assert.ok(nowMs >= this.nextDeadlineMs, 'called no earlier than asked');
    this.events.push('tick');
    this.ticksLeft -= 1;
    this.nextDeadlineMs = this.ticksLeft > 0 ? nowMs + this.tickMs : Number.POSITIVE_INFINITY;
  }

  pollTransmit(): Transmit | undefined {
    return this.transmits.shift();
  }

  send(count: number, { address, port }: Remote): void {
    this.transmits.push({ bytes: Buffer.from(String(count)), address, port });
  }

  tick(count: number, everyMs: number): void {
    this.ticksLeft = count;
    this.tickMs = everyMs;
    this.nextDeadlineMs = monotonicMs() + everyMs;
  }
}

interface Running extends AsyncDisposable {
  readonly machine: Countdown;
  readonly driver: Driver;
  readonly socket: DatagramSocket;
  readonly told: string[];
  /** Resolves when the owner has been told `event`. */
  untilTold(event: string): Promise<void>;
}

async function run(): Promise<Running> {
  const socket = await openSendSocket({
    interfaceAddress: LOOPBACK,
    ttl: 1,
    sendBufferBytes: 65_536,
  });
  const machine = new Countdown();
  const told: string[] = [];
  let wake: (() => void) | undefined;
  const onEvents = (): void => {
    told.push(...machine.events.splice(0));
    wake?.();
  };
  const driver = new Driver({ machine, receiveFrom: [socket], sendThrough: socket, onEvents });
  const untilTold = async (event: string): Promise<void> => {
    while (!told.includes(event)) {
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      await promise;
    }
  };
  const dispose = async (): Promise<void> => {
    driver[Symbol.dispose]();
    await socket[Symbol.asyncDispose]();
  };
  return { machine, driver, socket, told, untilTold, [Symbol.asyncDispose]: dispose };
}

function addressOf(running: Running): Remote {
  return { address: running.socket.localAddress, port: running.socket.localPort };
}

test('datagrams go into the machine and its answers go out', LIMITS, async () => {
  await using one = await run();
  await using two = await run();
  one.machine.send(5, addressOf(two));
  one.driver.turn();
  await Promise.any([one.untilTold('heard 0'), two.untilTold('heard 0')]);
  assert.deepEqual(two.told, ['heard 5', 'heard 3', 'heard 1']);
  assert.deepEqual(one.told, ['heard 4', 'heard 2', 'heard 0']);
});

test('a deadline is kept, and the next one after it', LIMITS, async () => {
  await using one = await run();
  const startMs = monotonicMs();
  one.machine.tick(3, 4);
  one.driver.turn();
  while (one.told.length < 3) await new Promise(setImmediate);
  assert.deepEqual(one.told, ['tick', 'tick', 'tick']);
  assert.ok(monotonicMs() - startMs >= 12);
});

test('a deadline that is due already is kept without a timer', LIMITS, async () => {
  await using one = await run();
  one.machine.tick(50, 0);
  one.driver.turn();
  await new Promise(setImmediate);
  await one.untilTold('tick');
  while (one.machine.ticksLeft > 0) await new Promise(setImmediate);
  await new Promise(setImmediate);
  assert.equal(one.told.length, 50);
});

test('an earlier deadline overtakes the one that was waited for', LIMITS, async () => {
  await using one = await run();
  one.machine.tick(1, 1_000_000);
  one.driver.turn();
  one.machine.tick(1, 1);
  one.driver.turn();
  await one.untilTold('tick');
});

test('what the owner asks of the machine while it is told goes out as well', LIMITS, async () => {
  const socket = await openSendSocket({
    interfaceAddress: LOOPBACK,
    ttl: 1,
    sendBufferBytes: 65_536,
  });
  await using one = await run();
  await using _ = socket;
  const machine = new Countdown();
  let isAsked = false;
  const driver = new Driver({
    machine,
    receiveFrom: [],
    sendThrough: socket,
    onEvents: () => {
      if (isAsked) return;
      isAsked = true;
      machine.send(0, addressOf(one));
      driver.turn();
    },
  });
  driver.turn();
  await one.untilTold('heard 0');
  driver[Symbol.dispose]();
});

test('many datagrams of one turn are drained together', LIMITS, async () => {
  await using one = await run();
  await using two = await run();
  let drains = 0;
  two.machine.pollTransmit = () => {
    drains += 1;
    return undefined;
  };
  for (let i = 0; i < 100; i += 1) one.machine.send(0, addressOf(two));
  one.machine.send(1, addressOf(two));
  one.driver.turn();
  await two.untilTold('heard 1');
  assert.ok(drains < 50, `${drains} turns for 101 datagrams`);
});

test(
  'a long burst leaves in pieces, so that others of the thread get their turn',
  LIMITS,
  async () => {
    await using one = await run();
    await using two = await run();
    for (let i = 0; i < 99; i += 1) one.machine.send(0, addressOf(two));
    one.machine.send(1, addressOf(two));
    one.driver.turn();
    assert.equal(one.machine.transmits.length, 100 - 32);
    await two.untilTold('heard 1');
  },
);

test('after its end a driver neither hears nor waits', LIMITS, async () => {
  await using one = await run();
  await using two = await run();
  two.machine.tick(1, 1);
  two.driver.turn();
  two.driver[Symbol.dispose]();
  one.machine.send(7, addressOf(two));
  one.driver.turn();
  two.driver.turn();
  two.driver.schedule();
  one.machine.send(9, addressOf(one));
  one.driver.turn();
  await one.untilTold('heard 9');
  assert.deepEqual(two.told, []);
});
