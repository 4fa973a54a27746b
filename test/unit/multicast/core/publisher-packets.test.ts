import assert from 'node:assert/strict';
import test from 'node:test';
import { ncfPacket, spmPacket } from '#multicast/core/publisher-packets.ts';
import { isSessionId } from '#base/mod.ts';
import { NAK_SQNS_MAX } from '#base/mod.ts';
import { readPacket, SESSION, TRANSPORT } from '#test/support/packets.ts';
import { CHANNEL, SESSION_ID } from '#test/support/session-packets.ts';

assert.ok(isSessionId(SESSION_ID));
const IDENTITY = {
  address: CHANNEL,
  session: SESSION_ID,
  source: 'gateway-7',
  transport: TRANSPORT,
  nla: '192.168.1.7',
  nakPort: 40_001,
};
const STATUS = { spmSqn: 3, trail: 2 ** 32 + 5, lead: 2 ** 32 + 9, nextSequence: 41, isFin: false };

test('an SPM tells the window, the next sequence, the session and where NAKs go', () => {
  const spm = readPacket(spmPacket(IDENTITY, STATUS));
  assert.deepEqual([spm.kind, spm.sqn, spm.trail, spm.lead, spm.sequence], ['spm', 3, 5, 9, 41]);
  assert.deepEqual([spm.nlaText(), spm.nakPort], ['192.168.1.7', 40_001]);
  assert.deepEqual([spm.sourceName(), spm.isFin, spm.hasChecksum], ['gateway-7', false, true]);
  assert.deepEqual([spm.sessionHigh, spm.sessionLow], [SESSION.sessionHigh, SESSION.sessionLow]);
});

test('the packets of an IPv6 group carry IPv6 addresses, without the zone of this host', () => {
  const address = { ...CHANNEL, group: 'ff12::1:7' };
  const identity = { ...IDENTITY, address, nla: 'fe80::7%eth0' };
  assert.equal(readPacket(spmPacket(identity, STATUS)).nlaText(), 'fe80::7');
  const ncf = readPacket(ncfPacket(identity, Uint32Array.of(4, 5), 2));
  assert.deepEqual([ncf.nlaText(), ncf.groupNlaText()], ['fe80::7', 'ff12::1:7']);
});

test('the SPM of an empty window at the start has its lead one behind zero', () => {
  const spm = readPacket(spmPacket(IDENTITY, { ...STATUS, trail: 0, lead: -1, nextSequence: 1 }));
  assert.deepEqual([spm.trail, spm.lead, spm.sequence], [0, 0xffff_ffff, 1]);
});

test('the FIN mark is set when asked for', () => {
  assert.equal(readPacket(spmPacket(IDENTITY, { ...STATUS, isFin: true })).isFin, true);
});

test('an NCF names as many packets as were confirmed, one to a full list', () => {
  const sqns = Uint32Array.from({ length: NAK_SQNS_MAX }, (_, index) => index * 3);
  for (const count of [1, 2, NAK_SQNS_MAX]) {
    const ncf = readPacket(ncfPacket(IDENTITY, sqns, count));
    assert.equal(ncf.kind, 'ncf');
    assert.deepEqual(ncf.sqnList.subarray(0, ncf.sqnCount), sqns.subarray(0, count));
    assert.deepEqual([ncf.nlaText(), ncf.groupNlaText()], ['192.168.1.7', CHANNEL.group]);
  }
});
