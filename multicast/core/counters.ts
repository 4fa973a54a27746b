// What the machines count, each counter with its unit and its sentence. Plain numbers, read at any
// time, never reset. Expected trouble (a malformed packet, a duplicate) shows up here and nowhere
// else.

/** Unit and meaning of one counter. */
export interface CounterDescription {
  readonly unit:
    | 'packets'
    | 'messages'
    | 'bytes'
    | 'requests'
    | 'sessions'
    | 'ms'
    | 'cuts'
    | 'times';
  readonly sentence: string;
}

function counter(unit: CounterDescription['unit'], sentence: string): CounterDescription {
  return { unit, sentence };
}

/** Packets that were not believed, at either end. */
const REJECTIONS = {
  unauthenticatedMissing: counter(
    'packets',
    'Packets dropped because they carry no tag and the channel requires one.',
  ),
  unauthenticatedUnknownKey: counter(
    'packets',
    'Packets dropped because their tag names a key that is not known here.',
  ),
  unauthenticatedWrong: counter('packets', 'Packets dropped because their tag is wrong.'),
} as const;

/** The counters of a publisher. */
export const PUBLISHER_COUNTERS = {
  messagesAccepted: counter('messages', 'Messages taken into the stream.'),
  blocked: counter('messages', 'Messages turned away because half the window waited to be sent.'),
  heldByRateMs: counter('ms', 'Time for which data waited for the configured rate.'),
  heldByPaceMs: counter('ms', 'Time for which data waited while the pace was reduced.'),
  paceCuts: counter('cuts', 'Reductions of the pace because receivers asked for too much again.'),
  packetsSent: counter('packets', 'Data packets sent for the first time.'),
  repairsSent: counter('packets', 'Data packets sent again because somebody asked.'),
  repairsExpired: counter(
    'packets',
    'Repairs given up because the packet left the window while it waited.',
  ),
  spmsSent: counter('packets', 'Source path messages sent: heartbeats, answers and FIN marks.'),
  ncfsSent: counter('packets', 'Confirmations of NAKs sent.'),
  bytesSent: counter('bytes', 'UDP payload handed to the socket, of every kind.'),
  naksReceived: counter('packets', 'NAK packets meant for this publisher.'),
  naksExpired: counter('requests', 'Packet numbers asked for that had already left the window.'),
  naksUnsent: counter('requests', 'Packet numbers asked for that were never sent.'),
  naksRefused: counter('requests', 'Packet numbers asked for while too many repairs waited.'),
  ncfsWithheld: counter('requests', 'Packet numbers not confirmed because too many waited.'),
  acksReceived: counter('packets', 'Acknowledgements of the archive taken.'),
  acksRefused: counter(
    'packets',
    'Acknowledgements of another session, of what was never sent, or of another implementation.',
  ),
  acksStale: counter('packets', 'Acknowledgements that a newer one had overtaken.'),
  archiveWentBack: counter(
    'times',
    'The archive had less than it had acknowledged before: its database went back.',
  ),
  blockedByArchive: counter(
    'messages',
    'Messages turned away because too much was not archived yet.',
  ),
  malformed: counter('packets', 'Datagrams that are not a PGM packet.'),
  notOurs: counter('packets', 'PGM packets meant for somebody else.'),
  ...REJECTIONS,
} as const satisfies Record<string, CounterDescription>;

/** The counters of a receiver, over all its sessions. */
export const RECEIVER_COUNTERS = {
  packetsReceived: counter('packets', 'Data packets accepted, first sendings and repairs.'),
  repairsReceived: counter('packets', 'Accepted data packets that came as repairs.'),
  messagesDelivered: counter('messages', 'Messages delivered in order.'),
  messagesLost: counter('messages', 'Messages declared lost.'),
  packetsMissed: counter('packets', 'Packet numbers found missing, each counted once.'),
  duplicates: counter(
    'packets',
    'Data packets that were there already, were given up, or lie before the first one wanted.',
  ),
  conflicts: counter(
    'packets',
    'Data packets that came again with other content; what came first was kept.',
  ),
  beyondWindow: counter(
    'packets',
    'Packets dropped because they lie, or claim that others lie, too far ahead of the first hole.',
  ),
  naksSent: counter('packets', 'NAK packets sent; the copy to the group is not counted.'),
  nakSqnsSent: counter('requests', 'Packet numbers asked for in those NAKs.'),
  naksSuppressed: counter('requests', 'Requests held back because somebody else had asked.'),
  naksWithheld: counter('packets', 'NAK packets not sent because too many were sent this second.'),
  spmsReceived: counter('packets', 'Source path messages accepted.'),
  spmrsSent: counter('packets', 'Requests for a source path message sent.'),
  acksSent: counter('packets', 'Acknowledgements sent to publishers of what is archived.'),
  malformed: counter(
    'packets',
    'Datagrams that are not a PGM packet, or one that contradicts itself.',
  ),
  corruptBlocks: counter('packets', 'Packets whose content is not a block of messages.'),
  otherChannel: counter('packets', 'Packets of other channels on the same group and port.'),
  ...REJECTIONS,
  foreign: counter(
    'packets',
    'Data packets and source path messages without a session where there has to be one.',
  ),
  unsupported: counter(
    'packets',
    'Packets of kinds that are not used: parity, polls and congestion reports.',
  ),
  late: counter('packets', 'Packets of sessions that are over.'),
  sessionsRefused: counter(
    'packets',
    'Packets of new sessions while too many are followed, or of a session that has another TSI.',
  ),
  sessionsReplaced: counter(
    'sessions',
    'Sessions hardly heard that were given up for others at the bound on sessions.',
  ),
  sessionsOpened: counter('sessions', 'Sessions heard for the first time.'),
} as const satisfies Record<string, CounterDescription>;

/** The counters of one session at a receiver. */
export const SESSION_COUNTERS = {
  packetsReceived: counter('packets', 'Data packets accepted, first sendings and repairs.'),
  repairsReceived: counter('packets', 'Accepted data packets that came as repairs.'),
  messagesDelivered: counter('messages', 'Messages delivered in order.'),
  messagesLost: counter('messages', 'Messages declared lost.'),
  packetsMissed: counter('packets', 'Packet numbers found missing, each counted once.'),
  duplicates: counter(
    'packets',
    'Data packets that were there already, were given up, or lie before the first one wanted.',
  ),
  naksSent: counter('packets', 'NAK packets sent; the copy to the group is not counted.'),
  nakSqnsSent: counter('requests', 'Packet numbers asked for in those NAKs.'),
} as const satisfies Record<string, CounterDescription>;

/** One number per counter of `Registry`. */
export type Counters<Registry> = { -readonly [Name in keyof Registry]: number };

/** What a publisher has counted. */
export type PublisherCounters = Counters<typeof PUBLISHER_COUNTERS>;
/** What a receiver has counted. */
export type ReceiverCounters = Counters<typeof RECEIVER_COUNTERS>;
/** What a receiver has counted of one session. */
export type SessionCounters = Counters<typeof SESSION_COUNTERS>;

/** All counters of a publisher at zero. */
export function newPublisherCounters(): PublisherCounters {
  return zeroed(PUBLISHER_COUNTERS);
}

/** All counters of a receiver at zero. */
export function newReceiverCounters(): ReceiverCounters {
  return zeroed(RECEIVER_COUNTERS);
}

/** All counters of a session at zero. */
export function newSessionCounters(): SessionCounters {
  return zeroed(SESSION_COUNTERS);
}

function zeroed<Registry extends object>(registry: Registry): Counters<Registry> {
  return Object.fromEntries(Object.keys(registry).map((name) => [name, 0])) as Counters<Registry>;
}
