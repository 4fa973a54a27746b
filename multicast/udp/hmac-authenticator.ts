// Tags by HMAC-SHA-256 (RFC 2104), cut to 128 bits, under a key of the channel that is derived from
// the shared one, so that a packet of one channel proves nothing on another:
//
//     channel key = HMAC(shared key, "backcast GROUP PORT DPORT")
//     tag         = HMAC(channel key, packet with tag and checksum as zero), first 16 bytes
//
// Hot path, once per packet sent and once per packet received: two one-shot hashes over memory that
// is kept, because a hash object per packet costs several times the hashing. Allocates two short
// strings and two views per packet.

import { createHmac, hash } from 'node:crypto';
import { BackcastError, type ChannelAddress, DATAGRAM_BYTES_MAX, endpointText } from '#base/mod.ts';
import type { Authenticator, Authenticity } from '#multicast/core/mod.ts';
import {
  beginSeal,
  clearUnsealed,
  endSeal,
  type PacketReader,
  TAG_BYTES,
} from '#multicast/wire/mod.ts';
import type { AuthenticationKey } from './authentication-keys.ts';

/** Keys that may change: another array when they have. */
export interface KeySource {
  readonly keys: readonly AuthenticationKey[];
}

const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;
const INNER_PAD = 0x36;
const OUTER_PAD = 0x5c;

/** One key of a channel as HMAC uses it. */
interface ChannelKey {
  readonly id: number;
  /** The block that is hashed before the packet. */
  readonly innerBlock: Uint8Array;
  /** The block that is hashed before the inner digest, and room for that. */
  readonly outer: Uint8Array;
}

/** The inner block and any datagram; one for all channels of a thread: nothing waits meanwhile. */
const inner = new Uint8Array(BLOCK_BYTES + DATAGRAM_BYTES_MAX);

/**
 * What seals and checks the packets of the channel at `address`; undefined where authentication is
 * off. Follows `source` when its keys change. Throws BACKCAST_KEYS_MISSING where keys are required
 * and there is no source, BACKCAST_CONFIG_INVALID where the framing is one whose senders have none.
 */
export function authenticatorOf(
  address: ChannelAddress,
  source: KeySource | undefined,
): Authenticator | undefined {
  if (address.authentication !== 'required') return undefined;
  const place = `The channel at ${endpointText(address.group, address.port)}`;
  if (address.framing !== 'native') {
    const message =
      `${place} has framing ${address.framing} and requires authentication, which the programs ` +
      'that speak this framing do not know. Use framing native, or turn authentication off.';
    throw new BackcastError('BACKCAST_CONFIG_INVALID', message);
  }
  if (source === undefined) {
    const message =
      `${place} requires authentication. Give the keys of its members: in a file ` +
      '(authentication.keysFile) or in BACKCAST_AUTH_KEYS.';
    throw new BackcastError('BACKCAST_KEYS_MISSING', message);
  }
  return new HmacAuthenticator(address, source);
}

class HmacAuthenticator implements Authenticator {
  readonly #context: string;
  readonly #source: KeySource;
  #derivedFrom: readonly AuthenticationKey[] = [];
  #keys: readonly ChannelKey[] = [];

  constructor(address: ChannelAddress, source: KeySource) {
    this.#context = `backcast ${address.group} ${address.port} ${address.dport}`;
    this.#source = source;
  }

  seal(packet: Uint8Array): void {
    const [key] = this.#currentKeys();
    const tagAt = beginSeal(packet, key.id);
    inner.set(packet, BLOCK_BYTES);
    const tag = digest(key, packet.length);
    for (let i = 0; i < TAG_BYTES; i += 1) packet[tagAt + i] = tag.charCodeAt(i);
    endSeal(packet);
  }

  check(packet: Uint8Array, reader: PacketReader): Authenticity {
    if (!reader.hasAuthentication) return 'missing';
    const key = keyOf(this.#currentKeys(), reader.keyId);
    if (key === undefined) return 'unknown_key';
    if (!reader.hasChecksum) return 'wrong';
    const { tagAt } = reader;
    inner.set(packet, BLOCK_BYTES);
    clearUnsealed(inner.subarray(BLOCK_BYTES), tagAt);
    const tag = digest(key, packet.length);
    // To the end whatever differs: the time it takes must not tell how much of a guess is right.
    let difference = 0;
    for (let i = 0; i < TAG_BYTES; i += 1) difference |= packet[tagAt + i] ^ tag.charCodeAt(i);
    return difference === 0 ? 'genuine' : 'wrong';
  }

  #currentKeys(): readonly ChannelKey[] {
    const { keys } = this.#source;
    if (keys !== this.#derivedFrom) {
      this.#keys = keys.map((key) => deriveKey(key, this.#context));
      this.#derivedFrom = keys;
    }
    return this.#keys;
  }
}

function deriveKey({ id, secret }: AuthenticationKey, context: string): ChannelKey {
  const channelKey = createHmac('sha256', secret).update(context).digest();
  const innerBlock = new Uint8Array(BLOCK_BYTES).fill(INNER_PAD);
  const outer = new Uint8Array(BLOCK_BYTES + DIGEST_BYTES).fill(OUTER_PAD);
  for (const [index, byte] of channelKey.entries()) {
    innerBlock[index] = INNER_PAD ^ byte;
    outer[index] = OUTER_PAD ^ byte;
  }
  return { id, innerBlock, outer };
}

function keyOf(keys: readonly ChannelKey[], id: number): ChannelKey | undefined {
  for (const key of keys) if (key.id === id) return key;
  return undefined;
}

/** HMAC of the `packetBytes` in `inner`; a character per byte. */
function digest(key: ChannelKey, packetBytes: number): string {
  inner.set(key.innerBlock);
  const innerDigest = hash('sha256', inner.subarray(0, BLOCK_BYTES + packetBytes), 'binary');
  for (let i = 0; i < DIGEST_BYTES; i += 1) key.outer[BLOCK_BYTES + i] = innerDigest.charCodeAt(i);
  return hash('sha256', key.outer, 'binary');
}
