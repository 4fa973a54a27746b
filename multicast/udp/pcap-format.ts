// The bytes of a capture file in the classic pcap format with microseconds, and of the IP and UDP
// headers before each datagram (RFC 791, RFC 8200, RFC 768). Pure. All of pcap is little-endian
// here, which its magic number tells the reader.
//
//   file   magic 4 · version 2+2 · zone 4 · accuracy 4 · longest 4 · link type 4
//   frame  seconds 4 · microseconds 4 · bytes here 4 · bytes on the wire 4
//          IPv4 20 or IPv6 40 · UDP 8 · payload

import { assert, datagramHeaderBytes, familyOf } from '#base/mod.ts';
import type { Remote } from '#multicast/core/mod.ts';
import { ipv4ToWord, ipv6ToBytes, onesSum } from '#multicast/wire/mod.ts';

/** One datagram and when it passed. Both addresses are IPv4, or both are IPv6 without a zone. */
export interface PcapDatagram {
  readonly from: Remote;
  readonly to: Remote;
  readonly payload: Uint8Array;
  /** Microseconds since 1970. */
  readonly atUs: number;
}

const FILE_HEADER_BYTES = 24;
const FRAME_HEADER_BYTES = 16;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const IPV6_ADDRESS_BYTES = 16;
const UDP_BYTES = 8;
/** Where the two addresses start; they end the header, before the datagram. */
const IPV4_ADDRESSES_AT = 12;
const IPV6_ADDRESSES_AT = 8;
const MAGIC = 0xa1b2c3d4;
/** IP packets without anything before them. */
const LINK_TYPE_RAW = 101;
/** The longest packet: an IPv6 header does not count in its length. */
const SNAP_BYTES = IPV6_BYTES + 65_535;
const PROTOCOL_UDP = 17;
/** Made up, since a socket does not tell: any that makes no reader wonder. */
const TIME_TO_LIVE = 64;
const DONT_FRAGMENT = 0x4000;

/** What a datagram to `address` takes of the file beside its payload. */
export function frameBytesOf(address: string): number {
  return FRAME_HEADER_BYTES + datagramHeaderBytes(address);
}

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
  const isIpv6 = familyOf(to.address) === 'IPv6';
  const headerBytes = isIpv6 ? IPV6_BYTES : IPV4_BYTES;
  const udpBytes = UDP_BYTES + payload.length;
  const ipBytes = headerBytes + udpBytes;
  assert(ipBytes <= SNAP_BYTES, 'a datagram fits an IP packet');
  into.writeUInt32LE(Math.floor(atUs / 1_000_000), start);
  into.writeUInt32LE(atUs % 1_000_000, start + 4);
  into.writeUInt32LE(ipBytes, start + 8);
  into.writeUInt32LE(ipBytes, start + 12);
  const ip = start + FRAME_HEADER_BYTES;
  if (isIpv6) writeIpv6Header(into, ip, udpBytes, from, to);
  else writeIpv4Header(into, ip, ipBytes, from, to);
  const udp = ip + headerBytes;
  into.writeUInt16BE(from.port, udp);
  into.writeUInt16BE(to.port, udp + 2);
  into.writeUInt16BE(udpBytes, udp + 4);
  into.writeUInt16BE(0, udp + 6);
  into.set(payload, udp + UDP_BYTES);
  const addressesAt = ip + (isIpv6 ? IPV6_ADDRESSES_AT : IPV4_ADDRESSES_AT);
  into.writeUInt16BE(udpChecksum(into, addressesAt, udp, udpBytes), udp + 6);
  return ip + ipBytes;
}

function writeIpv6Header(
  into: Buffer,
  at: number,
  udpBytes: number,
  from: Remote,
  to: Remote,
): void {
  into.writeUInt32BE(0x6000_0000, at);
  into.writeUInt16BE(udpBytes, at + 4);
  into.writeUInt8(PROTOCOL_UDP, at + 6);
  into.writeUInt8(TIME_TO_LIVE, at + 7);
  into.set(ipv6ToBytes(from.address), at + IPV6_ADDRESSES_AT);
  into.set(ipv6ToBytes(to.address), at + IPV6_ADDRESSES_AT + IPV6_ADDRESS_BYTES);
}

function writeIpv4Header(
  into: Buffer,
  at: number,
  ipBytes: number,
  from: Remote,
  to: Remote,
): void {
  into.writeUInt16BE(0x4500, at);
  into.writeUInt16BE(ipBytes, at + 2);
  into.writeUInt16BE(0, at + 4);
  into.writeUInt16BE(DONT_FRAGMENT, at + 6);
  into.writeUInt8(TIME_TO_LIVE, at + 8);
  into.writeUInt8(PROTOCOL_UDP, at + 9);
  into.writeUInt16BE(0, at + 10);
  into.writeUInt32BE(ipv4ToWord(from.address), at + IPV4_ADDRESSES_AT);
  into.writeUInt32BE(ipv4ToWord(to.address), at + IPV4_ADDRESSES_AT + 4);
  into.writeUInt16BE(~onesSum(into.subarray(at, at + IPV4_BYTES), IPV4_BYTES) & 0xffff, at + 10);
}

/** Over addresses, protocol, length and the datagram behind them; 0 travels as 0xffff. */
function udpChecksum(into: Buffer, addressesAt: number, udp: number, udpBytes: number): number {
  const addressesOn = into.subarray(addressesAt, udp + udpBytes);
  let sum = onesSum(addressesOn, addressesOn.length) + PROTOCOL_UDP + udpBytes;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  const checksum = ~sum & 0xffff;
  return checksum === 0 ? 0xffff : checksum;
}
