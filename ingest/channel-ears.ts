// Where a channel is heard: at its address, and after it has moved also at the one before, until
// the sessions there are over. No session is followed at two places: a copy of one that somebody
// sends to another group is dropped, since it would be told twice.

import type { ChannelAddress, SessionId } from '#base/mod.ts';
import type { Acknowledgement, ReceiverEvent, ResumePoint } from '#multicast/core/mod.ts';
import { ChannelEar, type EarCounters } from './channel-ear.ts';
import type { ChannelRecorderOptions } from './recorder-options.ts';

/** What the ears need from their owner. */
export interface EarsOptions {
  readonly recording: ChannelRecorderOptions;
  /** Whether publishers are told what is archived. */
  readonly acknowledges: boolean;
  /** What is known of a session; see ReceiverOptions. */
  readonly recall: (session: SessionId) => ResumePoint | 'finished' | undefined;
  readonly recallForeign: (tsi: string) => ResumePoint | undefined;
  readonly hasRoom: () => boolean;
  readonly onEvent: (event: ReceiverEvent, nowMs: number) => void;
  readonly onTold: () => void;
  readonly nowMs: () => number;
}

/** Of an address that a channel has left: since when it was. */
interface Former {
  readonly ear: ChannelEar;
  readonly leftAtMs: number;
}

/** Addresses at which one channel is heard at a time. */
const EARS_MAX = 4;
/**
 * How long an address is listened to after the channel has left it, in times of silence after which
 * a source counts as gone: a foreign one takes ten.
 */
const FORMER_EXPIRIES = 11;

/** All places of one channel. Disposing leaves them. */
export class ChannelEars implements AsyncDisposable {
  readonly #options: EarsOptions;
  readonly #former: Former[] = [];
  #current: ChannelEar;
  #captures = 0;
  #closed: EarCounters | undefined;

  /** `listen` opens it. Errors: BACKCAST_KEYS_MISSING. */
  constructor(options: EarsOptions) {
    this.#options = options;
    this.#current = this.#newEar(options.recording.address);
  }

  /** Where the channel is now. */
  get address(): ChannelAddress {
    return this.#current.address;
  }

  /** Sessions being followed. */
  get sessionCount(): number {
    return this.#ears().reduce((sum, ear) => sum + ear.sessionCount, 0);
  }

  /** Numbers over all places, past ones too. */
  get counters(): EarCounters {
    const open = this.#ears().map((ear) => ear.counters);
    const all = this.#closed === undefined ? open : [...open, this.#closed];
    return all.reduce((one, other) => sumOf(one, other));
  }

  /** Opens the sockets at the first address. Errors: those of ChannelEar.listen. */
  async listen(): Promise<void> {
    await this.#current.listen();
  }

  /**
   * From now on the channel is at `address`; what is left where it was is heard to its end. Errors:
   * those of ChannelEar.listen, and BACKCAST_KEYS_MISSING; then all is as before.
   */
  async move(address: ChannelAddress): Promise<void> {
    if (isSamePlace(this.address, address)) return;
    const { nowMs } = this.#options;
    const back = this.#former.find(({ ear }) => isSamePlace(ear.address, address));
    const next = back?.ear ?? this.#newEar(address);
    if (back === undefined) await next.listen();
    else this.#former.splice(this.#former.indexOf(back), 1);
    this.#former.push({ ear: this.#current, leftAtMs: nowMs() });
    this.#current = next;
    if (this.#former.length >= EARS_MAX) await this.#leave(this.#former[0]);
  }

  /** Takes over a session that is open; see Receiver. */
  restore(resume: ResumePoint): void {
    this.#current.restore(resume);
  }

  /** This much of a session is archived. */
  acknowledge(session: SessionId, archived: Acknowledgement): void {
    for (const ear of this.#ears()) ear.acknowledge(session, archived);
  }

  /** Somebody else archives from now on. */
  ceaseToAcknowledge(): void {
    for (const ear of this.#ears()) ear.ceaseToAcknowledge();
  }

  /** Lets time pass: leaves places where nobody is left. */
  handleTimeout(nowMs: number): void {
    const lingerMs = FORMER_EXPIRIES * this.#options.recording.sourceExpiryMs;
    const over = this.#former.filter(({ ear, leftAtMs }) => {
      return ear.sessionCount === 0 && nowMs - leftAtMs >= lingerMs;
    });
    for (const former of over) void this.#leave(former);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#ears().map((ear) => ear[Symbol.asyncDispose]()));
  }

  #ears(): ChannelEar[] {
    return [this.#current, ...this.#former.map(({ ear }) => ear)];
  }

  #newEar(address: ChannelAddress): ChannelEar {
    const { recording, recall } = this.#options;
    this.#captures += 1;
    const number = this.#captures === 1 ? '' : `.${this.#captures}`;
    const capture = recording.capture && `${recording.capture}.${recording.channel}${number}.pcap`;
    const ear: ChannelEar = new ChannelEar({
      ...this.#options,
      address,
      capture,
      recall: (session) => (this.#isElsewhere(session, ear) ? 'finished' : recall(session)),
    });
    return ear;
  }

  #isElsewhere(session: SessionId, here: ChannelEar): boolean {
    return this.#ears().some((ear) => ear !== here && ear.knows(session));
  }

  async #leave(former: Former): Promise<void> {
    this.#former.splice(this.#former.indexOf(former), 1);
    await former.ear[Symbol.asyncDispose]();
    const { counters } = former.ear;
    this.#closed = this.#closed === undefined ? counters : sumOf(this.#closed, counters);
  }
}

/** Whether two addresses are heard by the same socket, and believed alike. */
export function isSamePlace(one: ChannelAddress, other: ChannelAddress): boolean {
  return (
    one.group === other.group &&
    one.port === other.port &&
    one.dport === other.dport &&
    (one.authentication ?? 'off') === (other.authentication ?? 'off') &&
    (one.sources ?? []).join() === (other.sources ?? []).join()
  );
}

function sumOf(one: EarCounters, other: EarCounters): EarCounters {
  const buckets = one.repairLatency.bucketCounts;
  return {
    receiver: summed(one.receiver, other.receiver),
    transport: summed(one.transport, other.transport),
    repairLatency: {
      bucketCounts: buckets.map((count, index) => {
        return count + (other.repairLatency.bucketCounts[index] ?? 0);
      }),
      sumMs: one.repairLatency.sumMs + other.repairLatency.sumMs,
    },
    overrunDatagrams: one.overrunDatagrams + other.overrunDatagrams,
  };
}

function summed<Numbers extends { readonly [Key in keyof Numbers]: number }>(
  one: Numbers,
  other: Numbers,
): Numbers {
  const keys = Object.keys(one) as (keyof Numbers)[];
  return Object.fromEntries(keys.map((key) => [key, one[key] + other[key]])) as Numbers;
}
