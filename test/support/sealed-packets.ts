// A channel that requires authentication, its keys, and packets of every kind as its members send
// them.

import type { ChannelAddress } from '#base/mod.ts';
import type { Authenticator } from '#multicast/core/mod.ts';
import { authenticatorOf, type KeySource, parseKeys } from '#multicast/udp/mod.ts';
import {
  toNetworkAddress,
  type TransportSession,
  writeAck,
  writeNak,
  writeNcf,
  writeSpm,
  writeSpmr,
} from '#multicast/wire/mod.ts';
import { GROUP_NLA, packetOf, SESSION, SOURCE_NLA, TRANSPORT } from './packets.ts';
import { CHANNEL, dataPacket } from './session-packets.ts';

/** Keys as a file holds them, each with an id of its own. */
export const OLD_KEY = `1:${'0123456789abcdef'.repeat(4)}`;
export const NEW_KEY = '2:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';

/** CHANNEL, but signed. */
export const SEALED_CHANNEL: ChannelAddress = { ...CHANNEL, authentication: 'required' };

/** TRANSPORT, whose packets have room for the option. */
export const SEALED_TRANSPORT: TransportSession = { ...TRANSPORT, hasAuthentication: true };

/** Keys that a test can change. */
export function keySource(text: string): { keys: KeySource['keys'] } {
  return { keys: parseKeys(text, 'test') };
}

/** What a member of the channel with these keys has. */
export function newAuthenticator(
  keys: KeySource | string = OLD_KEY,
  address: ChannelAddress = SEALED_CHANNEL,
): Authenticator {
  const source = typeof keys === 'string' ? keySource(keys) : keys;
  const authenticator = authenticatorOf(address, source);
  if (authenticator === undefined) throw new Error('the channel requires authentication');
  return authenticator;
}

/** Packets with room for the option, not sealed, of every kind that we send. */
export function unsealedPackets(): Uint8Array[] {
  const transport = SEALED_TRANSPORT;
  const nlas = { nla: SOURCE_NLA, groupNla: GROUP_NLA };
  const one = { ...transport, ...nlas, sqns: [3], count: 1 };
  const list = { ...transport, ...nlas, sqns: [3, 4, 9], count: 3 };
  const publisher = { nakPort: 40_001, sourceName: 'gateway-7' };
  const spm = { ...transport, sqn: 1, trail: 0, lead: 6, nla: SOURCE_NLA };
  const ipv6 = { nla: toNetworkAddress('fd00::7'), groupNla: toNetworkAddress('ff15::1') };
  const ack = { ...transport, sqn: 5, session: SESSION, archived: { exactFrom: 1, lost: [] } };
  const fragment = { firstSqn: 5, startBytes: 0, apduBytes: 200 };
  return [
    dataPacket({ sqn: 0, sequence: 1, transport }),
    dataPacket({ sqn: 4, sequence: 7, trail: 1, isRepair: true, transport }),
    dataPacket({ sqn: 5, sequence: 8, fragment, tsdu: new Uint8Array(100), transport }),
    packetOf((into) => writeSpm(into, { ...spm, session: SESSION, publisher, isFin: true })),
    packetOf((into) => writeSpm(into, spm)),
    packetOf((into) => writeNak(into, one)),
    packetOf((into) => writeNak(into, list)),
    packetOf((into) => writeSpm(into, { ...spm, ...ipv6 })),
    packetOf((into) => writeNak(into, { ...list, ...ipv6 })),
    packetOf((into) => writeNcf(into, one)),
    packetOf((into) => writeNcf(into, list)),
    packetOf((into) => writeSpmr(into, transport)),
    packetOf((into) => writeAck(into, ack)),
  ];
}

/** The same, sealed. */
export function sealedPackets(authenticator: Authenticator = newAuthenticator()): Uint8Array[] {
  return unsealedPackets().map((packet) => sealedBy(authenticator, packet));
}

/** `packet`, which has room for the option, after it was sealed. */
export function sealedBy(authenticator: Authenticator, packet: Uint8Array): Uint8Array {
  authenticator.seal(packet);
  return packet;
}

/** Makes the checksum right again: what a forger does. */
export function mendChecksum(packet: Uint8Array): Uint8Array {
  packet.fill(0, 6, 8);
  let sum = 0;
  for (let at = 0; at < packet.length; at += 2) sum += (packet[at] << 8) | (packet[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  const checksum = sum === 0xffff ? 0xffff : ~sum & 0xffff;
  packet[6] = checksum >>> 8;
  packet[7] = checksum;
  return packet;
}
