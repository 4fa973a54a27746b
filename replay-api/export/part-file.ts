// One file of messages while it grows: how much more fits, and what it came to. Where a part ends
// depends on its messages alone, never on how they came out of the database or on interruptions.

import { cutRun, firstPositionOf, type MessageRun, payloadBytesOf } from '#archive/mod.ts';
import { assert } from '#base/mod.ts';
import type { GrowingFile } from './durable-folder.ts';
import type { FormatWriter } from './format-writer.ts';
import type { ExportedPart } from './types.ts';

/** Payload bytes after which a part ends before it has all its messages. */
export const PART_BYTES_TARGET: number = 256 * 1_048_576;

/** A part that is being written. */
export class PartFile {
  readonly #file: GrowingFile;
  readonly #writer: FormatWriter;
  readonly #messagesMax: number;
  #messages = 0;
  #payloadBytes = 0;
  #firstPosition: number | undefined;
  #lastPosition = 0;

  constructor(file: GrowingFile, writer: FormatWriter, messagesMax: number) {
    this.#file = file;
    this.#writer = writer;
    this.#messagesMax = messagesMax;
  }

  get isFull(): boolean {
    return this.#messages >= this.#messagesMax || this.#payloadBytes >= PART_BYTES_TARGET;
  }

  /** Of `run`, the messages that belong to this part: at least one, as it is not full. */
  fitting(run: MessageRun): MessageRun {
    assert(!this.isFull, 'a part that is full takes no more');
    const { payloadStarts, payloadEnds } = run.segment;
    const countMax = Math.min(run.messageCount, this.#messagesMax - this.#messages);
    let payloadBytes = this.#payloadBytes;
    let count = 0;
    while (count < countMax && payloadBytes < PART_BYTES_TARGET) {
      const index = run.firstIndex + count;
      payloadBytes += payloadEnds[index] - payloadStarts[index];
      count += 1;
    }
    return cutRun(run, count, 'start');
  }

  /** Writes all of `run`. */
  async add(run: MessageRun, source: string | null): Promise<void> {
    for (const chunk of this.#writer.addRun(run, source)) await this.#file.append(chunk);
    const first = firstPositionOf(run);
    this.#firstPosition ??= first;
    this.#lastPosition = first + run.messageCount - 1;
    this.#messages += run.messageCount;
    this.#payloadBytes += payloadBytesOf(run);
  }

  /** Brings it to the disk and gives it its name. */
  async finish(): Promise<ExportedPart> {
    for (const chunk of this.#writer.finish()) await this.#file.append(chunk);
    assert(this.#firstPosition !== undefined, 'a part has messages');
    const [messages, firstPosition, lastPosition] = [
      this.#messages,
      this.#firstPosition,
      this.#lastPosition,
    ];
    return { ...(await this.#file.finish()), messages, firstPosition, lastPosition };
  }

  /** Leaves it unfinished, if it is. */
  async abandon(): Promise<void> {
    await this.#file.abandon();
  }
}
