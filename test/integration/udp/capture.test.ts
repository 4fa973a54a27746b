// Captures of a real session on loopback, read by a program that is not ours. Loss is scripted, so
// that every kind of packet occurs: single NAKs, lists, confirmations, repairs, requests for SPMs.

import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import {
  type Authentication,
  BackcastError,
  type ChannelAddress,
  randomSessionId,
  seededRandom,
} from '#base/mod.ts';
import { type MessagesDelivered, Publisher, Receiver } from '#multicast/core/mod.ts';
import {
  authenticatorOf,
  CaptureFile,
  type DatagramSocket,
  Driver,
  type FaultSpec,
  injectFaults,
  monotonicMs,
  NO_FAULTS,
  openGroupSocket,
  openSendSocket,
  wallClockUs,
} from '#multicast/udp/mod.ts';
import { PacketReader } from '#multicast/wire/mod.ts';
import { createTestFolder } from '#test/support/folder.ts';
import { LOOPBACK, reserveGroup } from '#test/support/multicast.ts';
import { keySource, OLD_KEY } from '#test/support/sealed-packets.ts';
import { until } from '#test/support/until.ts';
import { dissect, type DissectedPacket } from '#test/support/tshark.ts';

const FIELDS = [
  'frame.time_epoch',
  'ip.src',
  'ip.dst',
  'udp.srcport',
  'udp.dstport',
  'udp.length',
  'pgm.hdr.type',
  'pgm.hdr.tsdulen',
  'pgm.opts.tlen',
  'pgm.nak.sqn',
  'pgm.opts.nak.list',
  'pgm.opts.fragment.total_length',
  'ip.checksum.status',
  'udp.checksum.status',
  'pgm.hdr.cksum.status',
  '_ws.malformed',
  '_ws.expert.severity',
  '_ws.expert.message',
];
/** Packet types of RFC 3208, as tshark prints them. */
const TYPES = {
  spm: '0x00',
  odata: '0x04',
  rdata: '0x05',
  nak: '0x08',
  ncf: '0x0a',
  ack: '0x0d',
} as const;
/** An option without a value, such as the one that says that the session ends. */
const EMPTY_OPTION_BYTES = 4;
/** Without and with authentication. */
const SPMR_BYTES = [16, 44];
const SMALL_MESSAGES = 20;
const BIG_BYTES = 3_000;
/** Packets that the big message takes. */
const BIG_PACKETS = 6;
/** Lost the first time: some at once, and later one alone. */
const LATE_SQN = SMALL_MESSAGES + BIG_PACKETS;
const LOST_SQNS = new Set([3, 10, 11, 12, LATE_SQN]);
const LATE_MESSAGES = 2;

const interfaceAddress = LOOPBACK;
const sending = { interfaceAddress, ttl: 1, sendBufferBytes: 1_048_576 };

function ofType(packets: readonly DissectedPacket[], type: string): DissectedPacket[] {
  return packets.filter((packet) => packet['pgm.hdr.type'] === type);
}

function isSpmrSized(packet: DissectedPacket): boolean {
  return SPMR_BYTES.includes(Number(packet['udp.length']) - 8);
}

/** Drops some packets the first time they come, and SPMs until one was asked for. */
function scriptedLoss(): NonNullable<FaultSpec['drop']> {
  const reader = new PacketReader();
  const toLose = new Set(LOST_SQNS);
  let hasAsked = false;
  return (bytes) => {
    if (reader.read(bytes) !== undefined) return false;
    if (reader.kind === 'spmr') hasAsked = true;
    if (reader.kind === 'spm') return !hasAsked;
    return reader.kind === 'odata' && toLose.delete(reader.sqn);
  };
}

interface Session {
  readonly address: ChannelAddress;
  readonly publisherSocket: DatagramSocket;
  readonly receiverSockets: readonly [group: DatagramSocket, own: DatagramSocket];
}

/** Small messages, a packet each, a big one, and two more; over when the receiver saw the end. */
async function runSession(session: Session): Promise<Receiver> {
  const { address, publisherSocket, receiverSockets } = session;
  const random = seededRandom(3);
  const receiver = new Receiver({
    address,
    join: 'window',
    random,
    messageBytesMax: 10_000,
    repairTimeoutMs: 10_000,
    sourceExpiryMs: 10_000,
    acknowledges: true,
    authenticator: authenticatorOf(address, keySource(OLD_KEY)),
  });
  const publisher = newPublisher(address, publisherSocket);
  const over = Promise.withResolvers<void>();
  const onReceived = (): void => {
    for (let event = receiver.pollEvent(); event !== undefined; event = receiver.pollEvent()) {
      if (event.kind === 'closed') over.resolve();
      if (event.kind === 'messages') acknowledge(receiver, event);
    }
    const { messagesDelivered } = receiver.counters;
    if (
      messagesDelivered === SMALL_MESSAGES + 1 &&
      publisher.nextSequence === messagesDelivered + 1
    )
      for (let late = 0; late < LATE_MESSAGES; late += 1) publish(100);
    if (messagesDelivered === SMALL_MESSAGES + 1 + LATE_MESSAGES) publisher.close(monotonicMs());
    publishing.schedule();
    receiving.schedule();
  };
  const drained = (): void => {
    while (publisher.pollEvent() !== undefined) continue;
  };
  using publishing = new Driver({
    machine: publisher,
    receiveFrom: [publisherSocket],
    sendThrough: publisherSocket,
    onEvents: drained,
  });
  using receiving = new Driver({
    machine: receiver,
    receiveFrom: receiverSockets,
    sendThrough: receiverSockets[1],
    onEvents: onReceived,
  });
  receiving.schedule();
  const publish = (messageBytes: number): void => {
    publisher.publish(Buffer.alloc(messageBytes, 'm'), wallClockUs(), monotonicMs());
    publishing.turn();
  };
  for (let count = 0; count < SMALL_MESSAGES; count += 1) publish(100 + (count % 2));
  publish(BIG_BYTES);
  await over.promise;
  return receiver;
}

/** As if it were archived, but for the first message. */
function acknowledge(receiver: Receiver, event: MessagesDelivered): void {
  const { session, lastSequence: through, nextSqn } = event;
  const lost = [{ first: 1, last: 1 }];
  receiver.acknowledge(session, { through, nextSqn, exactFrom: 1, lost }, monotonicMs());
}

function newPublisher(address: ChannelAddress, socket: DatagramSocket): Publisher {
  const { localAddress: nla, localPort: nakPort } = socket;
  return new Publisher(
    {
      address,
      session: randomSessionId(seededRandom(4)),
      source: 'captured',
      transport: { gsiHigh: 1, gsiLow: 2, tsiSport: 3, dataDport: address.dport },
      nla,
      nakPort,
      packetBytesMax: 600,
      messageBytesMax: 10_000,
      windowPackets: 1_024,
      windowBytes: 1_048_576,
      rateBytesPerSec: 10_000_000,
      flushMs: 0,
      lingerMs: 200,
      authenticator: authenticatorOf(address, keySource(OLD_KEY)),
    },
    monotonicMs(),
  );
}

for (const authentication of ['off', 'required'] as const)
  test(`tshark reads every kind of packet, both ways, authentication ${authentication}`, {
    timeout: 60_000,
  }, async () => {
    await captureAndDissect(authentication);
  });

async function captureAndDissect(authentication: Authentication): Promise<void> {
  await using folder = await createTestFolder();
  await using reserved = await reserveGroup();
  const { group, port } = reserved;
  const framing = 'native';
  const address: ChannelAddress = { group, port, dport: 7_500, framing, authentication };
  const paths = [join(folder.path, 'publisher.pcap'), join(folder.path, 'receiver.pcap')];
  const [atPublisher, atReceiver] = await Promise.all(paths.map((path) => CaptureFile.open(path)));
  await using resources = new AsyncDisposableStack();
  const joining = { group, port, interfaceAddress, receiveBufferBytes: 1_048_576 };
  const faults = { ...NO_FAULTS, drop: scriptedLoss() };
  const lossy = async (opened: Promise<DatagramSocket>): Promise<DatagramSocket> =>
    resources.use(injectFaults(atReceiver.watch(await opened), faults));
  const publisherSocket = resources.use(atPublisher.watch(await openSendSocket(sending)));
  const groupSocket = await lossy(openGroupSocket(joining));
  const ownSocket = await lossy(openSendSocket(sending));
  const startedAtS = Date.now() / 1_000;
  const receiver = await runSession({
    address,
    publisherSocket,
    receiverSockets: [groupSocket, ownSocket],
  });
  assert.equal(receiver.counters.messagesDelivered, SMALL_MESSAGES + 1 + LATE_MESSAGES);
  const [publisherPort, ownPort] = [publisherSocket.localPort, ownSocket.localPort];
  await resources.disposeAsync();
  for (const capture of [atPublisher, atReceiver]) await capture[Symbol.asyncDispose]();

  const ports = [port, publisherPort, ownPort];
  const sentByPublisher = await dissect(paths[0], ports, FIELDS);
  const seenByReceiver = await dissect(paths[1], ports, FIELDS);
  assert.equal(sentByPublisher.length, atPublisher.counters.capturedDatagrams);
  assert.equal(seenByReceiver.length, atReceiver.counters.capturedDatagrams);
  assert.equal(atPublisher.counters.omittedDatagrams, 0);
  for (const packets of [sentByPublisher, seenByReceiver]) {
    assertSound(packets, startedAtS);
    for (const [name, type] of Object.entries(TYPES)) assert.ok(ofType(packets, type).length, name);
    assertKinds(packets);
  }
  for (const packet of ofType(sentByPublisher, TYPES.odata)) {
    const ends = [packet['ip.src'], packet['udp.srcport'], packet['ip.dst'], packet['udp.dstport']];
    assert.deepEqual(ends, [LOOPBACK, String(publisherPort), group, String(port)]);
  }
  const heardNaks = ofType(sentByPublisher, TYPES.nak);
  assert.deepEqual(heardNaks[0]?.['udp.dstport'], String(publisherPort));
  assert.deepEqual(heardNaks[0]?.['udp.srcport'], String(ownPort));
}

/**
 * Nothing is malformed, every checksum is right, and the times are those of the run. They need not
 * be in order: the clock follows the date, which may be set back in mid-run.
 */
function assertSound(packets: readonly DissectedPacket[], startedAtS: number): void {
  for (const packet of packets) {
    const text = JSON.stringify(packet);
    assert.equal(packet['_ws.malformed'], '', text);
    assert.equal(packet['_ws.expert.message'], '', text);
    assert.equal(packet['ip.checksum.status'], '1', text);
    assert.equal(packet['udp.checksum.status'], '1', text);
    const isSpmr = isSpmrSized(packet);
    // tshark lists a byte of the checksum itself before its verdict.
    const verdict = packet['pgm.hdr.cksum.status'];
    assert.ok(isSpmr ? verdict === '' : verdict.endsWith(',1'), text);
    const timeS = Number(packet['frame.time_epoch']);
    assert.ok(timeS >= startedAtS - 1 && timeS <= Date.now() / 1_000 + 1, text);
  }
}

/** What the kinds of packet look like beyond their type. Wireshark takes SPMRs for plain UDP. */
function assertKinds(packets: readonly DissectedPacket[]): void {
  const naks = ofType(packets, TYPES.nak);
  const withList = naks.filter((packet) => packet['pgm.opts.nak.list'] !== '');
  assert.ok(withList.length > 0, 'NAKs with a list');
  assert.ok(withList.length < naks.length, 'NAKs without a list');
  const big = ofType(packets, TYPES.odata).filter(
    (packet) => packet['pgm.opts.fragment.total_length'] !== '',
  );
  assert.equal(big.length, BIG_PACKETS, 'fragments');
  const optionBytes = ofType(packets, TYPES.spm).map((packet) => Number(packet['pgm.opts.tlen']));
  const plainBytes = Math.min(...optionBytes);
  const isFinSeen = optionBytes.includes(plainBytes + EMPTY_OPTION_BYTES);
  assert.ok(isFinSeen, 'SPMs that end the session');
  const spmrs = packets.filter(isSpmrSized);
  assert.ok(spmrs.length > 0, 'SPMRs');
}

const HERE = { address: '127.0.0.1', port: 1 };
const GROUP = { address: '239.1.2.3', port: 65_535 };

test('a file stays within its bound, and what is not in it is counted', async () => {
  await using folder = await createTestFolder();
  const path = join(folder.path, 'small.pcap');
  const bytesMax = 24 + 3 * (16 + 28 + 101);
  const capture = await CaptureFile.open(path, bytesMax);
  for (let count = 0; count < 5; count += 1) capture.add(HERE, GROUP, new Uint8Array(101));
  await capture[Symbol.asyncDispose]();
  assert.equal(statSync(path).size, bytesMax);
  assert.deepEqual(capture.counters, {
    capturedDatagrams: 3,
    omittedDatagrams: 2,
    writeErrors: 0,
  });
  const whole = { 'udp.length': '109', 'udp.checksum.status': '1' };
  const packets = await dissect(path, [], ['udp.length', 'udp.checksum.status']);
  assert.deepEqual(packets, [whole, whole, whole]);
});

test('more than the memory holds reaches the file in order', async () => {
  await using folder = await createTestFolder();
  const path = join(folder.path, 'large.pcap');
  const capture = await CaptureFile.open(path);
  for (let round = 0; round < 40; round += 1) {
    for (let count = 0; count < 10; count += 1)
      capture.add(HERE, { ...GROUP, port: round * 10 + count }, new Uint8Array(8_972));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await capture[Symbol.asyncDispose]();
  const { capturedDatagrams, omittedDatagrams } = capture.counters;
  assert.equal(capturedDatagrams + omittedDatagrams, 400);
  const packets = await dissect(path, [], ['udp.dstport']);
  assert.equal(packets.length, capturedDatagrams);
  const ports = packets.map((packet) => Number(packet['udp.dstport']));
  assert.deepEqual(
    ports,
    ports.toSorted((left, right) => left - right),
  );
});

test('a datagram that no IP packet carries is left out', async () => {
  await using folder = await createTestFolder();
  const capture = await CaptureFile.open(join(folder.path, 'odd.pcap'));
  capture.add({ address: '::1', port: 1 }, GROUP, new Uint8Array(1));
  capture.add(HERE, { address: '127.0.0.1', port: 70_000 }, new Uint8Array(1));
  capture.add(HERE, GROUP, new Uint8Array(65_508));
  capture.add(HERE, GROUP, new Uint8Array(65_507));
  await capture[Symbol.asyncDispose]();
  assert.equal(capture.counters.omittedDatagrams, 3);
  assert.equal(capture.counters.capturedDatagrams, 1);
});

test('a full disk costs the capture, not the caller', async () => {
  const capture = await CaptureFile.open('/dev/full');
  capture.add(HERE, GROUP, new Uint8Array(10));
  await capture[Symbol.asyncDispose]();
  await capture[Symbol.asyncDispose]();
  assert.equal(capture.counters.writeErrors, 1);
  capture.add(HERE, GROUP, new Uint8Array(10));
  assert.equal(capture.counters.omittedDatagrams, 1);
});

test('a file that cannot be made is told at once', async () => {
  await assert.rejects(
    CaptureFile.open('/nowhere/at/all.pcap'),
    (error) => error instanceof BackcastError && error.code === 'BACKCAST_CONFIG_INVALID',
  );
});

test('what was captured is in the file soon, also while the capture goes on', async () => {
  await using folder = await createTestFolder();
  const path = join(folder.path, 'open.pcap');
  await using capture = await CaptureFile.open(path);
  capture.add(HERE, GROUP, Buffer.from('now'));
  await until('the datagram is in the file', () => readFileSync(path).includes('now'));
});
