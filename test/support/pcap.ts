// Reads the UDP datagrams out of a capture file in the classic pcap format (little-endian,
// Ethernet, IPv4 without fragments): just enough for the captures among the fixtures, and loud
// about anything else.

import { readFileSync } from 'node:fs';

/** One captured datagram. Addresses are dotted. */
export interface CapturedDatagram {
  readonly sourceAddress: string;
  readonly sourcePort: number;
  readonly destinationAddress: string;
  readonly destinationPort: number;
  readonly payload: Uint8Array;
}

const PCAP_MAGIC = 0xa1b2c3d4;
const FILE_HEADER_BYTES = 24;
const FRAME_HEADER_BYTES = 16;
const ETHERNET_BYTES = 14;

/** All datagrams of the capture `name` among the fixtures, in the order in which they were seen. */
export function readCapture(name: string): CapturedDatagram[] {
  const url = new URL(`../fixtures/captures/${name}`, import.meta.url);
  const file = readFileSync(url);
  if (file.readUInt32LE(0) !== PCAP_MAGIC) throw new Error(`${name} is not a pcap file`);
  if (file.readUInt32LE(20) !== 1) throw new Error(`${name} was not captured from Ethernet`);
  const datagrams: CapturedDatagram[] = [];
  let at = FILE_HEADER_BYTES;
  while (at < file.length) {
    const frameBytes = file.readUInt32LE(at + 8);
    at += FRAME_HEADER_BYTES;
    datagrams.push(readDatagram(file.subarray(at, at + frameBytes)));
    at += frameBytes;
  }
  return datagrams;
}

function readDatagram(frame: Buffer): CapturedDatagram {
  const ip = frame.subarray(ETHERNET_BYTES);
  if (frame.readUInt16BE(12) !== 0x0800 || ip[9] !== 17) throw new Error('not UDP over IPv4');
  const udp = ip.subarray((ip[0] & 0x0f) * 4);
  return {
    sourceAddress: ip.subarray(12, 16).join('.'),
    sourcePort: udp.readUInt16BE(0),
    destinationAddress: ip.subarray(16, 20).join('.'),
    destinationPort: udp.readUInt16BE(2),
    payload: Uint8Array.from(udp.subarray(8, udp.readUInt16BE(4))),
  };
}
