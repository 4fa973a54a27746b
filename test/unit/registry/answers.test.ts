import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  checkAddress,
  checkAnnouncement,
  checkMember,
  parsePool,
  formatAddress,
  parseAddressText,
  parseDocument,
  serializeDocument,
} from '#registry/mod.ts';

const POOL = parsePool({ groups: ['239.1.0.0/24'], ports: [5000, 5255], dport: 7500 });
const GOOD = { group: '239.1.0.9', port: 5009, dport: 7500, framing: 'native' };
const SESSION = {
  session: '0123456789abcdef',
  source: 'gateway-7',
  host: 'host-1',
  address: '10.0.0.1',
  startedAtUs: 1_795_000_000_000_000,
};

test('an address inside the pool is believed', () => {
  assert.deepEqual(checkAddress(GOOD, POOL), { ok: true, value: GOOD });
});

test('multicast delivery is said by saying nothing', () => {
  assert.deepEqual(checkAddress({ ...GOOD, delivery: 'multicast' }, POOL), {
    ok: true,
    value: GOOD,
  });
  const unicast = { ...GOOD, delivery: 'unicast' };
  assert.deepEqual(checkAddress(unicast, POOL), { ok: true, value: unicast });
});

test('an address without authentication is said by saying nothing', () => {
  assert.deepEqual(checkAddress({ ...GOOD, authentication: 'off' }, POOL), {
    ok: true,
    value: GOOD,
  });
  const signed = { ...GOOD, authentication: 'required' };
  assert.deepEqual(checkAddress(signed, POOL), { ok: true, value: signed });
});

test('properties that are not as usual stand behind the framing, in any order', () => {
  const properties = {
    framing: 'native',
    delivery: 'unicast',
    authentication: 'required',
  } as const;
  const both = { ...GOOD, ...properties };
  const text = formatAddress(both);
  assert.match(text, / native delivery=unicast authentication=required$/);
  assert.deepEqual(parseAddressText(text), both);
  const [group, port, dport] = text.split(' ');
  const turned = `${group} ${port} ${dport} native authentication=required delivery=unicast`;
  assert.deepEqual(parseAddressText(turned), both);
  assert.equal(parseAddressText(`${text} toString=1`), undefined);
});

test('members beside those of an address do not come along', () => {
  assert.deepEqual(checkAddress({ ...GOOD, host: 'evil' }, POOL), { ok: true, value: GOOD });
});

const WRONG_ADDRESSES: readonly [unknown, RegExp][] = [
  [undefined, /not an address/],
  [null, /not an address/],
  ['239.1.0.9', /not an address/],
  [[GOOD], /not an address/],
  [{ ...GOOD, group: '10.0.0.1' }, /group "10\.0\.0\.1"/],
  [{ ...GOOD, group: '239.1.0.09' }, /group "239\.1\.0\.09"/],
  [{ ...GOOD, group: 'x'.repeat(1_000) }, /^group "x{39}… is not/],
  [{ ...GOOD, group: undefined }, /group missing/],
  [{ ...GOOD, port: 0 }, /port 0/],
  [{ ...GOOD, port: '5009' }, /port "5009"/],
  [{ ...GOOD, dport: 70_000 }, /dport 70000/],
  [{ ...GOOD, framing: 'Native' }, /framing "Native"/],
  [{ ...GOOD, delivery: 'broadcast' }, /delivery "broadcast" is not multicast or unicast/],
  [{ ...GOOD, authentication: 'maybe' }, /authentication "maybe" is not off or required/],
  [{ ...GOOD, framing: 'raw', authentication: 'required' }, /framing raw knows no authentication/],
  [{ ...GOOD, framing: 'zmq', delivery: 'unicast' }, /framing zmq cannot be delivered by unicast/],
  [{ ...GOOD, framing: 'zmq' }, /dport 7500 of a channel of framing zmq is not its port, 5009/],
  [{ ...GOOD, group: '239.1.1.0' }, /239\.1\.1\.0:5009 lies outside the allowed pool/],
  [{ ...GOOD, port: 53 }, /outside the allowed pool/],
  [{ ...GOOD, group: 'ff15::1:7' }, /\[ff15::1:7\]:5009 lies outside the allowed pool/],
  [{ ...GOOD, group: 'FF15::1:7' }, /group "FF15::1:7" is not .* canonical/],
  [{ ...GOOD, sources: '10.0.0.1' }, /sources "10\.0\.0\.1" is not a list/],
  [{ ...GOOD, sources: [7] }, /sources \[7\] is not a list/],
  [{ ...GOOD, sources: ['239.1.0.9'] }, /239\.1\.0\.9 is not the IP address of a host/],
  [{ ...GOOD, sources: ['fd00::1'] }, /no IPv4 address/],
];

for (const [value, problem] of WRONG_ADDRESSES)
  test(`the address ${JSON.stringify(value)?.slice(0, 80)} is refused by name`, () => {
    const checked = checkAddress(value, POOL);
    assert.ok(!checked.ok);
    assert.match(checked.problem, problem);
  });

test('an address of IPv6 and sources of its family are believed', () => {
  const pool = parsePool({ groups: ['ff15::1:0/120'], ports: [5000, 5255], dport: 7500 });
  const address = { ...GOOD, group: 'ff15::1:9', sources: ['fd00::1', 'fd00::2'] };
  assert.deepEqual(checkAddress(address, pool), { ok: true, value: address });
});

test('the text of an address is read back, with its sources', () => {
  for (const sources of [['10.0.0.1'], ['10.0.0.1', '10.0.0.2']]) {
    const address = {
      group: '239.1.0.9',
      port: 5009,
      dport: 7500,
      framing: 'raw',
      sources,
    } as const;
    assert.deepEqual(checkAddress(parseAddressText(formatAddress(address)), POOL).ok, true);
    assert.deepEqual(parseAddressText(formatAddress(address)), address);
  }
  for (const more of ['sources', 'sources=', 'source=10.0.0.1', 'sources=10.0.0.1 x'])
    assert.ok(!checkAddress(parseAddressText(`239.1.0.9 5009 7500 native ${more}`), POOL).ok, more);
});

test('an announcement is believed without what does not belong to it', () => {
  assert.deepEqual(checkAnnouncement({ ...SESSION, channel: 'other', more: 1 }, 'orders'), {
    ok: true,
    value: { ...SESSION, channel: 'orders' },
  });
});

const WRONG_ANNOUNCEMENTS: readonly [unknown, RegExp][] = [
  [7, /not an object/],
  [{ ...SESSION, session: 'ffffffffffffffff' }, /session/],
  [{ ...SESSION, session: '0000000000000000' }, /session/],
  [{ ...SESSION, source: 'ä'.repeat(33) }, /at most 64 bytes/],
  [{ ...SESSION, host: 1 }, /host 1/],
  [{ ...SESSION, address: 'gateway-7' }, /address "gateway-7" is not an IP address/],
  [{ ...SESSION, startedAtUs: 1.5 }, /startedAtUs 1\.5/],
  [{ ...SESSION, startedAtUs: -1 }, /startedAtUs -1/],
];

for (const [value, problem] of WRONG_ANNOUNCEMENTS)
  test(`the announcement ${JSON.stringify(value).slice(0, 80)} is refused by name`, () => {
    const checked = checkAnnouncement(value, 'orders');
    assert.ok(!checked.ok);
    assert.match(checked.problem, problem);
  });

test('only plain digits are a port in the text of an address', () => {
  for (const port of ['5e3', '0x1', '+5', '05', ' 5', '123456', ''])
    assert.ok(!checkAddress(parseAddressText(`239.1.0.9 ${port} 7500 native`), POOL).ok, port);
  assert.ok(!checkAddress(parseAddressText('239.1.0.9 5009 7500 native more'), POOL).ok);
  assert.ok(!checkAddress(parseAddressText('239.1.0.9 5009 7500'), POOL).ok);
});

test('an address in text may say its delivery, and nothing that is not known', () => {
  const text = '239.1.0.9 5009 7500 native delivery=unicast';
  const value = { ...GOOD, delivery: 'unicast' };
  assert.deepEqual(checkAddress(parseAddressText(text), POOL), { ok: true, value });
  for (const property of ['delivery', 'delivery=', 'delivery=unicast=', '__proto__=unicast'])
    assert.ok(
      !checkAddress(parseAddressText(`239.1.0.9 5009 7500 native ${property}`), POOL).ok,
      property,
    );
});

test('a channel may be called __proto__', () => {
  const channels = new Map<string, unknown>([['__proto__', GOOD]]);
  const text = serializeDocument({ channels, sessions: new Map(), members: new Map() });
  assert.deepEqual(parseDocument(text, 'f').channels, channels);
});

test('entries that cannot be used survive a rewrite of the file', () => {
  const text = serializeDocument({
    channels: new Map<string, unknown>([
      ['bad', { note: 'by hand' }],
      ['good', GOOD],
    ]),
    sessions: new Map(),
    members: new Map(),
  });
  assert.equal(serializeDocument(parseDocument(text, 'f')), text);
});

for (const text of ['', '{', '[]', 'null', '{"version":2}'])
  test(`the text ${JSON.stringify(text)} is no registry file and the error names the file`, () => {
    assert.throws(() => parseDocument(text, '/home/registry.json'), {
      code: 'BACKCAST_REGISTRY_INVALID',
      message: /^\/home\/registry\.json cannot be read/,
    });
  });

const MEMBER = {
  id: '0123456789abcdef',
  address: '10.0.0.1',
  port: 40_001,
  host: 'host-1',
  joinedAtUs: 1_795_000_000_000_000,
};

test('a member is believed without what does not belong to it', () => {
  const value = { ...MEMBER, channel: 'orders' };
  assert.deepEqual(checkMember({ ...value, channel: 'other', more: 1 }, 'orders'), {
    ok: true,
    value,
  });
  const ipv6 = { ...value, address: 'fd77::1' };
  assert.deepEqual(checkMember(ipv6, 'orders'), { ok: true, value: ipv6 });
  const left = { ...value, leftAtUs: MEMBER.joinedAtUs };
  assert.deepEqual(checkMember(left, 'orders'), { ok: true, value: left });
});

const WRONG_MEMBERS: readonly [unknown, RegExp][] = [
  [undefined, /not an object/],
  [{ ...MEMBER, id: '0123' }, /member "0123"/],
  [{ ...MEMBER, address: '239.1.0.9' }, /address "239\.1\.0\.9" is not the address of one host/],
  [{ ...MEMBER, address: '255.255.255.255' }, /is not the address of one host/],
  [{ ...MEMBER, address: 'ff15::7' }, /address "ff15::7" is not the address of one host/],
  [{ ...MEMBER, address: 'FD77::1' }, /address "FD77::1" is not the address of one host/],
  [{ ...MEMBER, address: 'fd77:0::1' }, /is not the address of one host/],
  [{ ...MEMBER, address: '::' }, /is not the address of one host/],
  [{ ...MEMBER, address: '0.0.0.0' }, /is not the address of one host/],
  [{ ...MEMBER, address: 'example.org' }, /is not the address of one host/],
  [{ ...MEMBER, port: 0 }, /member port 0/],
  [{ ...MEMBER, port: '53' }, /member port "53"/],
  [{ ...MEMBER, host: 'x'.repeat(300) }, /member host "x{39}…/],
  [{ ...MEMBER, joinedAtUs: -1 }, /joinedAtUs -1/],
  [{ ...MEMBER, leftAtUs: 'now' }, /leftAtUs "now"/],
];

for (const [value, problem] of WRONG_MEMBERS)
  test(`the member ${JSON.stringify(value)?.slice(0, 80)} is refused by name`, () => {
    const checked = checkMember(value, 'orders');
    assert.ok(!checked.ok);
    assert.match(checked.problem, problem);
  });
