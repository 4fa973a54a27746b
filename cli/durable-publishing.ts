// What `publish --until archived` adds to publishing: who waits for which message, how long that
// took, and what became of those that were not archived. A bounded number is waited for at a time.

import { BackcastError, type ErrorCode } from '#base/mod.ts';
import type { ChannelPublisher } from '#client/mod.ts';
import { monotonicMs } from '#multicast/udp/mod.ts';

/** Messages that may be waited for at once; the next is published when one of them is settled. */
const WAITS_MAX = 4_096;
/** Waiting times kept: of more messages, those of the last. */
const TIMES_MAX = 65_536;

const ADVICE =
  '\nNobody has acknowledged anything. Is an archiver running that acknowledges this channel ' +
  '(archiver.acknowledge, BACKCAST_ACKNOWLEDGE or archive --acknowledge)?';

/** A publisher of which every message is waited for. */
export class DurablePublishing {
  readonly #publisher: ChannelPublisher;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal;
  readonly #waits = new Set<Promise<void>>();
  readonly #problems = new Map<ErrorCode, number>();
  readonly #timesMs: number[] = [];
  #archivedCount = 0;

  constructor(publisher: ChannelPublisher, timeoutMs: number, signal: AbortSignal) {
    this.#publisher = publisher;
    this.#timeoutMs = timeoutMs;
    this.#signal = signal;
  }

  /** The largest message it takes. */
  get messageBytesMax(): number {
    return this.#publisher.messageBytesMax;
  }

  /** Publishes, and goes on once fewer than WAITS_MAX messages are waited for. Errors: as there. */
  async publish(payload: Uint8Array): Promise<number> {
    const beganAtMs = monotonicMs();
    const limits = { timeoutMs: this.#timeoutMs, signal: this.#signal };
    const sequence = await this.#publisher.publish(payload, limits);
    const wait = this.#settle(sequence, beganAtMs).finally(() => this.#waits.delete(wait));
    this.#waits.add(wait);
    if (this.#waits.size >= WAITS_MAX) await Promise.race(this.#waits);
    return sequence;
  }

  /** Resolves when nothing is waited for any more; true if all that was published is archived. */
  async settled(): Promise<boolean> {
    await Promise.all(this.#waits);
    return this.#problems.size === 0;
  }

  /** A line for people. */
  summary(): string {
    const inOrder = this.#timesMs.toSorted((one, other) => one - other);
    const at = (share: number): string =>
      (inOrder[Math.ceil(inOrder.length * share) - 1] ?? 0).toFixed(1);
    const times = inOrder.length === 0 ? '' : `, after ${at(0.5)} ms (half), ${at(0.99)} ms (p99)`;
    const problems = [...this.#problems].map(([code, count]) => `, ${count} ${code}`);
    const isSilent = this.#archivedCount === 0 && this.#problems.has('BACKCAST_ARCHIVE_TIMEOUT');
    const advice = isSilent ? ADVICE : '';
    return `archived ${this.#archivedCount}${times}${problems.join('')}${advice}`;
  }

  async #settle(sequence: number, beganAtMs: number): Promise<void> {
    const limits = { timeoutMs: this.#timeoutMs, signal: this.#signal };
    try {
      await this.#publisher.archived(sequence, limits);
      this.#archivedCount += 1;
      this.#timesMs[(this.#archivedCount - 1) % TIMES_MAX] = monotonicMs() - beganAtMs;
    } catch (error) {
      const code = error instanceof BackcastError ? error.code : 'BACKCAST_ARCHIVE_UNKNOWN';
      this.#problems.set(code, (this.#problems.get(code) ?? 0) + 1);
    }
  }
}
