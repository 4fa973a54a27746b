// Makes another implementation's packets out of ours, by leaving out the options that are our own:
// so that one of our publishers can play a foreign source in a simulated world, and no publisher
// has to know how to.

import { onesSum } from '#multicast/wire/mod.ts';

const OPTIONS_PRESENT = 0x01;
const OPTION_END = 0x80;
const OPTION_HEAD_BYTES = 4;
const FIRST_PRIVATE_OPTION = 0x40;
const AUTHENTICATION_OPTION = 0x41;
const TYPE_AT = 4;
const FLAGS_AT = 5;
const CHECKSUM_AT = 6;
const TSDU_LENGTH_AT = 14;

/** Where the options begin, by type: ODATA, RDATA and ACK, SPMR; 36 in all others. */
const CHAIN_STARTS: Readonly<Record<number, number>> = { 4: 24, 5: 24, 13: 24, 12: 16 };

/** `packet` without the options that are Backcast's own; any packet will do. */
export function withoutPrivateOptions(packet: Uint8Array): Uint8Array {
  return withOptions(packet, (type) => type < FIRST_PRIVATE_OPTION);
}

/** `packet` without its tag; any packet will do. */
export function withoutTag(packet: Uint8Array): Uint8Array {
  return withOptions(packet, (type) => type !== AUTHENTICATION_OPTION);
}

function withOptions(packet: Uint8Array, isKept: (type: number) => boolean): Uint8Array {
  if ((packet[FLAGS_AT] & OPTIONS_PRESENT) === 0) return packet;
  const chainStart = CHAIN_STARTS[packet[TYPE_AT] & 0x0f] ?? 36;
  const kept = optionsOf(packet, chainStart).filter((option) => isKept(option[0] & ~OPTION_END));
  const tsduBytes = (packet[TSDU_LENGTH_AT] << 8) | packet[TSDU_LENGTH_AT + 1];
  const tsdu = packet.subarray(packet.length - tsduBytes);
  const stripped = Buffer.concat([packet.subarray(0, chainStart), chainOf(kept), tsdu]);
  if (kept.length === 0) stripped[FLAGS_AT] &= ~OPTIONS_PRESENT;
  stripped.writeUInt16BE(0, CHECKSUM_AT);
  stripped.writeUInt16BE(~onesSum(stripped, stripped.length) & 0xffff || 0xffff, CHECKSUM_AT);
  return new Uint8Array(stripped);
}

function optionsOf(packet: Uint8Array, chainStart: number): Uint8Array[] {
  const options: Uint8Array[] = [];
  let at = chainStart + OPTION_HEAD_BYTES;
  for (let isLast = false; !isLast; ) {
    const option = packet.slice(at, at + packet[at + 1]);
    isLast = (option[0] & OPTION_END) !== 0;
    at += option.length;
    options.push(option);
  }
  return options;
}

function chainOf(options: readonly Uint8Array[]): Uint8Array {
  if (options.length === 0) return new Uint8Array(0);
  const bytes = options.reduce((sum, { length }) => sum + length, OPTION_HEAD_BYTES);
  const chain = Buffer.concat([Uint8Array.of(0, OPTION_HEAD_BYTES, bytes >> 8, bytes), ...options]);
  let at = OPTION_HEAD_BYTES;
  for (const [index, { length }] of options.entries()) {
    chain[at] &= ~OPTION_END;
    if (index === options.length - 1) chain[at] |= OPTION_END;
    at += length;
  }
  return chain;
}
