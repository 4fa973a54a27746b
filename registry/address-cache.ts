// What the Redis registry has answered so far: in memory, and in a file if it is given a path, so
// that a restart during an outage still knows its channels. Several processes may share the file:
// each adds what it has learned. Losing the file costs nothing but that, so a file that cannot be
// written is reported and done without.

import { BackcastError, REGISTRY_CHANNELS_MAX, type ChannelAddress } from '#base/mod.ts';
import { readTextFile, updateTextFile } from './locked-file.ts';
import type { AddressPool } from './pool.ts';
import { parseDocument, serializeDocument, usableChannels } from './registry-document.ts';
import type { InvalidEntry } from '#registry/directory/mod.ts';

/** What a cache is told. */
export interface AddressCacheOptions {
  readonly path: string | undefined;
  readonly pool: AddressPool;
  readonly onInvalid: (entry: InvalidEntry) => void;
}

/** Addresses that have been answered and checked. */
export class AddressCache implements AsyncDisposable {
  readonly #path: string | undefined;
  readonly #onInvalid: (entry: InvalidEntry) => void;
  readonly #channels: Map<string, ChannelAddress>;
  #lastSave: Promise<void> = Promise.resolve();

  private constructor(options: AddressCacheOptions, channels: Map<string, ChannelAddress>) {
    this.#path = options.path;
    this.#onInvalid = options.onInvalid;
    this.#channels = channels;
  }

  /** The cache with what stands in its file. A file that cannot be read counts as empty. */
  static async open(options: AddressCacheOptions): Promise<AddressCache> {
    const { path, pool, onInvalid } = options;
    if (path === undefined) return new AddressCache(options, new Map());
    try {
      const document = parseDocument(await readTextFile(path), path);
      return new AddressCache(options, usableChannels(document, pool, onInvalid));
    } catch (error) {
      reportFile(error, onInvalid);
      return new AddressCache(options, new Map());
    }
  }

  get size(): number {
    return this.#channels.size;
  }

  get(channel: string): ChannelAddress | undefined {
    return this.#channels.get(channel);
  }

  /** A copy of everything. */
  all(): Map<string, ChannelAddress> {
    return new Map(this.#channels);
  }

  /** Remembers `channels`; resolves when the file has them too. */
  async put(channels: ReadonlyMap<string, ChannelAddress>): Promise<void> {
    const fresh = new Map<string, ChannelAddress>();
    for (const [channel, address] of channels) {
      if (sameAddress(this.#channels.get(channel), address)) continue;
      if (this.#channels.size >= REGISTRY_CHANNELS_MAX) break;
      this.#channels.set(channel, address);
      fresh.set(channel, address);
    }
    const path = this.#path;
    if (fresh.size === 0 || path === undefined) return;
    this.#lastSave = this.#lastSave.then(() => this.#save(path, fresh));
    await this.#lastSave;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lastSave;
  }

  async #save(path: string, fresh: ReadonlyMap<string, ChannelAddress>): Promise<void> {
    try {
      await updateTextFile(path, (text) => {
        const document = parseDocument(text, path);
        for (const [channel, address] of fresh) document.channels.set(channel, address);
        return { text: serializeDocument(document), result: undefined };
      });
    } catch (error) {
      reportFile(error, this.#onInvalid);
    }
  }
}

function reportFile(error: unknown, onInvalid: (entry: InvalidEntry) => void): void {
  if (!(error instanceof BackcastError)) throw error;
  onInvalid({ channel: '', problem: error.message });
}

function sameAddress(left: ChannelAddress | undefined, right: ChannelAddress): boolean {
  return (
    left !== undefined &&
    left.group === right.group &&
    left.port === right.port &&
    left.dport === right.dport &&
    left.framing === right.framing &&
    left.delivery === right.delivery &&
    left.authentication === right.authentication &&
    left.sources?.join() === right.sources?.join()
  );
}
