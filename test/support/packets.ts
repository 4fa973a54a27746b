// Packets to test with: one transport session, and the four packets of it whose bytes
// docs/protocol.md shows.

import {
  CONTROL_PACKET_BYTES_MAX,
  type DataHeader,
  dataHeaderBytes,
  finishData,
  ipv4ToWord,
  NativeBlockWriter,
  PacketReader,
  writeAck,
  writeNak,
  writeSpm,
  writeSpmr,
  type TransportSession,
} from '#multicast/wire/mod.ts';

/** A transport session with digits that are easy to find in a hex dump. */
export const TRANSPORT: TransportSession = {
  gsiHigh: 0x0a0b,
  gsiLow: 0x0c0d0e0f,
  tsiSport: 0x1111,
  dataDport: 0x2222,
};

/** The session option of the tests: session 0123456789abcdef, sequence 17. */
export const SESSION = { sessionHigh: 0x01234567, sessionLow: 0x89abcdef, sequence: 17 } as const;

/** 192.168.1.7 and 239.255.0.1 as packets carry them. */
export const SOURCE_NLA: number = ipv4ToWord('192.168.1.7');
export const GROUP_NLA: number = ipv4ToWord('239.255.0.1');

/** The bytes that `write` makes, as a packet of its own. */
export function packetOf(write: (into: Uint8Array) => number): Uint8Array {
  const into = new Uint8Array(65_507).fill(0xee);
  return into.slice(0, write(into));
}

/** Writes an ODATA packet with a copy of `tsdu`. */
export function writeData(into: Uint8Array, header: DataHeader, tsdu: Uint8Array): number {
  const hasFragment = header.fragment !== undefined;
  into.set(tsdu, dataHeaderBytes(hasFragment, header.hasAuthentication));
  return finishData(into, header, tsdu.length);
}

/** `reader` of a packet that is expected to be sound. */
export function readPacket(packet: Uint8Array): PacketReader {
  const reader = new PacketReader();
  const reason = reader.read(packet);
  if (reason !== undefined) throw new Error(`refused: ${reason}`);
  return reader;
}

/** Two messages, "hello" and an empty one published 3 µs earlier, in one block. */
export function helloBlock(): Uint8Array {
  const block = new Uint8Array(64);
  const writer = new NativeBlockWriter();
  writer.start(block, 0);
  writer.append(new TextEncoder().encode('hello'), 1_795_345_858_887_986);
  writer.append(new Uint8Array(0), 1_795_345_858_887_983);
  return block.slice(0, writer.end);
}

/** The packets that docs/protocol.md shows byte by byte, by the name they have there. */
export const DOCUMENTED_PACKETS: Readonly<Record<string, () => Uint8Array>> = {
  odata: () =>
    packetOf((into) =>
      writeData(into, { ...TRANSPORT, ...SESSION, sqn: 5, trail: 2 }, helloBlock()),
    ),
  spm: () =>
    packetOf((into) =>
      writeSpm(into, {
        ...TRANSPORT,
        sqn: 9,
        trail: 2,
        lead: 5,
        nla: SOURCE_NLA,
        session: { ...SESSION, sequence: 19 },
        publisher: { nakPort: 40_001, sourceName: 'gateway-7' },
      }),
    ),
  nak: () =>
    packetOf((into) =>
      writeNak(into.subarray(0, CONTROL_PACKET_BYTES_MAX), {
        ...TRANSPORT,
        nla: SOURCE_NLA,
        groupNla: GROUP_NLA,
        sqns: [3, 4],
        count: 2,
      }),
    ),
  spmr: () => packetOf((into) => writeSpmr(into, TRANSPORT)),
  ack: () =>
    packetOf((into) =>
      writeAck(into, {
        ...TRANSPORT,
        sqn: 5,
        session: { ...SESSION, sequence: 18 },
        archived: { exactFrom: 1, lost: [{ first: 3, last: 4 }] },
      }),
    ),
};
