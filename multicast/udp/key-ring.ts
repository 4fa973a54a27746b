// The keys of this process: read once from the environment, or from a file that is read again every
// second, so that keys are changed without a restart. What cannot be used when it is read
// again is told, and the keys stay what they were.
//
// A file that is being written could be read half-way, and half a key is a key too: new content
// counts when it has been read twice in a row.

import { readFileSync, statSync } from 'node:fs';
import { BackcastError, rootMessage, toError } from '#base/mod.ts';
import { type AuthenticationKey, invalidKeys, parseKeys } from './authentication-keys.ts';

/** Where keys come from: not more than one of the two. */
export interface KeySettings {
  /** File with the keys. */
  readonly keysFile?: string | undefined;
  /** The keys themselves, as the file would hold them. */
  readonly keys?: string | undefined;
}

/** What a key ring tells its owner. Never a key. */
export interface KeyRingListeners {
  /** Other keys hold from now on; the first of these ids signs. */
  readonly onChange?: (ids: readonly number[]) => void;
  /** The file cannot be used as it is now; told once for each new problem. */
  readonly onProblem?: (problem: string) => void;
}

const READ_EVERY_MS = 1_000;
const KEYS_FILE_BYTES_MAX = 65_536;
const OTHERS_MAY_READ_OR_WRITE = 0o006;

/** The keys that hold now. Disposing stops reading the file. */
export class KeyRing implements Disposable {
  readonly #file: string | undefined;
  readonly #listeners: KeyRingListeners;
  readonly #timer: NodeJS.Timeout | undefined;
  #text: string;
  #candidate: string | undefined;
  #problem = '';
  #keys: readonly AuthenticationKey[];

  private constructor(
    file: string | undefined,
    text: string,
    keys: readonly AuthenticationKey[],
    listeners: KeyRingListeners,
  ) {
    this.#file = file;
    this.#text = text;
    this.#keys = keys;
    this.#listeners = listeners;
    if (file === undefined) return;
    this.#timer = setInterval(() => this.refresh(), READ_EVERY_MS);
    this.#timer.unref();
  }

  /**
   * The keys that `settings` name; undefined if they name none. Throws BACKCAST_KEYS_INVALID for
   * keys that cannot be used, and for a file that everybody on this host may read or write.
   */
  static open(settings: KeySettings, listeners: KeyRingListeners = {}): KeyRing | undefined {
    const { keysFile, keys } = settings;
    if (keysFile !== undefined) {
      const text = readKeysFile(keysFile);
      return new KeyRing(keysFile, text, parseKeys(text, keysFile), listeners);
    }
    if (keys === undefined) return undefined;
    return new KeyRing(undefined, keys, parseKeys(keys, 'BACKCAST_AUTH_KEYS'), listeners);
  }

  /** The keys, the one that signs first. Another array after each change, the same until then. */
  get keys(): readonly AuthenticationKey[] {
    return this.#keys;
  }

  /** Reads the file again, as the timer does. */
  refresh(): void {
    const file = this.#file;
    if (file === undefined) return;
    try {
      const text = readKeysFile(file);
      const isRepeated = text === this.#candidate;
      this.#candidate = text;
      if (text === this.#text) this.#problem = '';
      if (text === this.#text || !isRepeated) return;
      this.#keys = parseKeys(text, file);
      this.#text = text;
      this.#problem = '';
      this.#listeners.onChange?.(this.#keys.map(({ id }) => id));
    } catch (error) {
      const { message } = toError(error);
      if (message !== this.#problem) this.#listeners.onProblem?.(message);
      this.#problem = message;
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** The text of the file. Throws BACKCAST_KEYS_INVALID. */
function readKeysFile(file: string): string {
  try {
    const { mode, size } = statSync(file);
    if ((mode & OTHERS_MAY_READ_OR_WRITE) !== 0) {
      const problem = `${file} holds keys, and every user of this host may read or write it`;
      throw new BackcastError('BACKCAST_KEYS_INVALID', `${problem}; run: chmod o-rw ${file}`);
    }
    if (size > KEYS_FILE_BYTES_MAX)
      throw invalidKeys(`${file} has ${size} bytes and cannot be a file of keys`);
    return readFileSync(file, 'utf8');
  } catch (cause) {
    if (cause instanceof BackcastError) throw cause;
    throw invalidKeys(`${file} cannot be read: ${rootMessage(cause)}`, cause);
  }
}
