// THE loop between a protocol machine and the world: datagrams and time go in, datagrams and events
// come out. It knows no protocol; one driver runs one machine, publisher or receiver alike.
//   datagram ──► handleDatagram ─┐
//   deadline ──► handleTimeout ──┼─► turn: send what is due · tell the owner · arm the timer
//   owner    ──► its own call ───┘
// Datagrams of one turn of the event loop are taken in one by one and drained together.

import type { Machine } from '#multicast/core/mod.ts';
import { monotonicMs } from './clock.ts';
import type { DatagramSocket } from './socket.ts';

/** What a driver connects. The sockets stay their owner's: the driver does not close them. */
export interface DriverOptions {
  readonly machine: Machine;
  /** Sockets whose datagrams go into the machine. */
  readonly receiveFrom: readonly DatagramSocket[];
  readonly sendThrough: DatagramSocket;
  /** Drains the machine's events. If it calls the machine itself, it calls schedule() too. */
  readonly onEvents: () => void;
}

/** As many as libuv reads from a socket per turn: a sender does not outrun its own thread. */
const TRANSMITS_PER_TURN_MAX = 32;
/** Longest wait in one go: far below what setTimeout takes; a spare handleTimeout is harmless. */
const WAIT_MS_MAX = 60_000;

/** Runs one machine until it is disposed. */
export class Driver implements Disposable {
  readonly #options: DriverOptions;
  #immediate: NodeJS.Immediate | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerDueMs = Number.POSITIVE_INFINITY;
  #isTurning = false;
  #isDisposed = false;

  constructor(options: DriverOptions) {
    this.#options = options;
    for (const socket of options.receiveFrom) {
      socket.onDatagram = (bytes, remote) => {
        options.machine.handleDatagram(bytes, remote, monotonicMs());
        this.schedule();
      };
    }
    this.schedule();
  }

  /** Takes one turn at the end of this turn of the event loop, however often it is called. */
  schedule(): void {
    if (!this.#isDisposed) this.#immediate ??= setImmediate(this.#onImmediate);
  }

  /** Takes a turn now. To be called, or schedule(), after each call of the machine by its owner. */
  turn(): void {
    if (this.#isDisposed || this.#isTurning) return this.schedule();
    this.#isTurning = true;
    try {
      const { machine, sendThrough, onEvents } = this.#options;
      const nowMs = monotonicMs();
      if (machine.nextDeadlineMs <= nowMs) machine.handleTimeout(nowMs);
      for (let sent = 0; sent < TRANSMITS_PER_TURN_MAX; sent += 1) {
        const transmit = machine.pollTransmit();
        if (transmit === undefined) break;
        sendThrough.send(transmit.bytes, transmit.address, transmit.port);
        if (sent === TRANSMITS_PER_TURN_MAX - 1) this.schedule();
      }
      onEvents();
      if (!this.#isDisposed) this.#arm(machine.nextDeadlineMs, monotonicMs());
    } finally {
      this.#isTurning = false;
    }
  }

  /** Stops: no timer is left behind, and later datagrams are dropped. */
  [Symbol.dispose](): void {
    this.#isDisposed = true;
    clearImmediate(this.#immediate);
    clearTimeout(this.#timer);
    for (const socket of this.#options.receiveFrom) socket.onDatagram = () => undefined;
  }

  // A timer that is due earlier is left alone: it finds nothing to do and arms the next one.
  #arm(deadlineMs: number, nowMs: number): void {
    if (deadlineMs <= nowMs) this.schedule();
    if (deadlineMs <= nowMs || deadlineMs >= this.#timerDueMs) return;
    clearTimeout(this.#timer);
    const waitMs = Math.min(Math.ceil(deadlineMs - nowMs), WAIT_MS_MAX);
    this.#timerDueMs = nowMs + waitMs;
    this.#timer = setTimeout(this.#onTimer, waitMs);
  }

  readonly #onImmediate = (): void => {
    this.#immediate = undefined;
    this.turn();
  };

  readonly #onTimer = (): void => {
    this.#timerDueMs = Number.POSITIVE_INFINITY;
    this.turn();
  };
}
