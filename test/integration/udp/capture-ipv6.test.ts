// What tshark makes of packets between IPv6 addresses: of every kind that carries an address, and
// of one that does not. Nothing is sent: the capture is given what a socket would have given it.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import test from 'node:test';
import { CaptureFile } from '#multicast/udp/mod.ts';
import { toNetworkAddress, writeNak, writeNcf, writeSpm } from '#multicast/wire/mod.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { DOCUMENTED_PACKETS, packetOf, SESSION, TRANSPORT } from '#test/support/packets.ts';
import { dissect } from '#test/support/tshark.ts';

const GROUP = 'ff12::1:7';
const PUBLISHER = 'fe80::7';
const PORT = 20_007;
const FIELDS = [
  'ipv6.src',
  'ipv6.dst',
  'udp.length',
  'udp.checksum.status',
  'pgm.hdr.type',
  'pgm.spm.path.ipv6',
  'pgm.nak.src.ipv6',
  'pgm.nak.grp.ipv6',
  'pgm.nak.sqn',
  'pgm.opts.nak.list',
  '_ws.malformed',
  '_ws.expert.message',
];

const NAK = {
  ...TRANSPORT,
  nla: toNetworkAddress(PUBLISHER),
  groupNla: toNetworkAddress(GROUP),
  sqns: [3, 4, 9],
  count: 3,
};
const SPM = {
  ...TRANSPORT,
  sqn: 9,
  trail: 2,
  lead: 5,
  nla: NAK.nla,
  session: SESSION,
  publisher: { nakPort: 40_001, sourceName: 'gateway-7' },
  isFin: true,
};

test('tshark reads packets between IPv6 addresses without a complaint', async () => {
  await using folder = await createTestFolder();
  const path = join(folder.path, 'ipv6.pcap');
  const capture = await CaptureFile.open(path);
  const odata = DOCUMENTED_PACKETS['odata']?.() ?? new Uint8Array(0);
  for (const packet of [
    odata,
    packetOf((into) => writeSpm(into, SPM)),
    packetOf((into) => writeNak(into, NAK)),
    packetOf((into) => writeNcf(into, { ...NAK, count: 1 })),
  ])
    capture.add({ address: PUBLISHER, port: 40_001 }, { address: GROUP, port: PORT }, packet);
  await capture[Symbol.asyncDispose]();
  assert.equal(capture.counters.omittedDatagrams, 0);

  const packets = await dissect(path, [PORT], FIELDS);
  const plain = Object.fromEntries(FIELDS.map((name) => [name, '']));
  const sound = {
    ...plain,
    'ipv6.src': PUBLISHER,
    'ipv6.dst': GROUP,
    'udp.checksum.status': '1',
  };
  const addresses = { 'pgm.nak.src.ipv6': PUBLISHER, 'pgm.nak.grp.ipv6': GROUP };
  const list = packets[2]?.['pgm.opts.nak.list'] ?? '';
  const lengths = packets.map((packet) => packet['udp.length']);
  assert.equal(lengths[0], String(odata.length + 8));
  const expected = [
    { 'pgm.hdr.type': '0x04' },
    { 'pgm.hdr.type': '0x00', 'pgm.spm.path.ipv6': PUBLISHER },
    {
      'pgm.hdr.type': '0x08',
      ...addresses,
      'pgm.nak.sqn': '0x00000003',
      'pgm.opts.nak.list': list,
    },
    { 'pgm.hdr.type': '0x0a', ...addresses, 'pgm.nak.sqn': '0x00000003' },
  ].map((fields, index) => ({ ...sound, 'udp.length': lengths[index], ...fields }));
  assert.deepEqual(packets, expected);
  assert.match(list, /4.*9/);
});
