// The bytes of a capture file in the classic pcap format with microseconds, and of the IPv4 and UDP
// headers before each datagram (RFC 791, RFC 768). Pure. All of pcap is little-endian here, which
// its magic number tells the reader.
//
//   file   magic 4 · version 2+2 · zone 4 · accuracy 4 · longest 4 · link type 4
//   frame  seconds 4 · microseconds 4 · bytes here 4 · bytes on the wire 4
//          IPv4 20 · UDP 8 · payload

import { assert } from '#base/mod.ts';
import type { Remote } from '#multicast/core/mod.ts';
import { ipv4ToWord, onesSum } from '#multicast/wire/mod.ts';

/** One datagram and when it passed. Addresses are dotted IPv4. */
export interface PcapDatagram {
  readonly from: Remote;
  readonly to: Remote;
  readonly payload: Uint8Array;
  /** Microseconds since 1970. */
  readonly atUs: number;
}

const FILE_HEADER_BYTES = 24;
const FRAME_HEADER_BYTES = 16;
const IP_BYTES = 20;
const UDP_BYTES = 8;
const MAGIC = 0xa1b2c3d4;
/** IP packets without anything before them. */
const LINK_TYPE_RAW = 101;
/** The longest IPv4 packet. */
const SNAP_BYTES = 65_535;
const PROTOCOL_UDP = 17;
/** Made up, since a socket does not tell: any that makes no reader wonder. */
const TIME_TO_LIVE = 64;
const DONT_FRAGMENT = 0x4000;

/** What a datagram of the file takes beside its payload. */
export const FRAME_BYTES: number = FRAME_HEADER_BYTES + IP_BYTES + UDP_BYTES;

/** Writes the start of a file to the start of `into`; returns where it ends. */
export function pcapFileHeader(into: Buffer): number {
  into.writeUInt32LE(MAGIC, 0);
  into.writeUInt16LE(2, 4);
  into.writeUInt16LE(4, 6);
  into.writeUInt32LE(0, 8);
  into.writeUInt32LE(0, 12);
  into.writeUInt32LE(SNAP_BYTES, 16);
  into.writeUInt32LE(LINK_TYPE_RAW, 20);
  return FILE_HEADER_BYTES;
}

/** Writes one datagram at `start`; returns where it ends. */
export function writeFrame(into: Buffer, start: number, datagram: PcapDatagram): number {
  const { from, to, payload, atUs } = datagram;
  const ipBytes = IP_BYTES + UDP_BYTES + payload.length;
  assert(ipBytes <= SNAP_BYTES, 'a datagram fits an IPv4 packet');
  into.writeUInt32LE(Math.floor(atUs / 1_000_000), start);
  into.writeUInt32LE(atUs % 1_000_000, start + 4);
  into.writeUInt32LE(ipBytes, start + 8);
  into.writeUInt32LE(ipBytes, start + 12);
  const ip = start + FRAME_HEADER_BYTES;
  writeIpHeader(into, ip, ipBytes, from, to);
  const udp = ip + IP_BYTES;
  into.writeUInt16BE(from.port, udp);
  into.writeUInt16BE(to.port, udp + 2);
  into.writeUInt16BE(UDP_BYTES + payload.length, udp + 4);
  into.writeUInt16BE(0, udp + 6);
  into.set(payload, udp + UDP_BYTES);
  into.writeUInt16BE(udpChecksum(into, ip, UDP_BYTES + payload.length), udp + 6);
  return ip + ipBytes;
}

function writeIpHeader(into: Buffer, at: number, ipBytes: number, from: Remote, to: Remote): void {
  into.writeUInt16BE(0x4500, at);
  into.writeUInt16BE(ipBytes, at + 2);
  into.writeUInt16BE(0, at + 4);
  into.writeUInt16BE(DONT_FRAGMENT, at + 6);
  into.writeUInt8(TIME_TO_LIVE, at + 8);
  into.writeUInt8(PROTOCOL_UDP, at + 9);
  into.writeUInt16BE(0, at + 10);
  into.writeUInt32BE(ipv4ToWord(from.address), at + 12);
  into.writeUInt32BE(ipv4ToWord(to.address), at + 16);
  into.writeUInt16BE(~onesSum(into.subarray(at, at + IP_BYTES), IP_BYTES) & 0xffff, at + 10);
}

/** Over addresses, protocol, length and the datagram itself; 0 travels as 0xffff. */
function udpChecksum(into: Buffer, ip: number, udpBytes: number): number {
  const addressesOn = into.subarray(ip + 12, ip + IP_BYTES + udpBytes);
  let sum = onesSum(addressesOn, addressesOn.length) + PROTOCOL_UDP + udpBytes;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  const checksum = ~sum & 0xffff;
  return checksum === 0 ? 0xffff : checksum;
}
