// Bugs to plant: small mutations of the real machines, each of the kind that a tired person writes.
// `find` stands exactly once in its file.

/** One mutation and the promise it breaks. */
export interface PlantedBug {
  readonly story: string;
  readonly path: string;
  readonly find: string;
  readonly replace: string;
  /** Who finds it: the swarm, the worlds of foreign sources, or those that acknowledge. */
  readonly finder: 'swarm' | 'framings' | 'durable';
}

const SESSION = 'multicast/core/session-receiver.ts';
const DELIVERY = 'multicast/core/ordered-delivery.ts';
const ACCOUNT = 'multicast/core/sequence-account.ts';
const NAKS = 'multicast/core/nak-scheduler.ts';
const RECEIVER = 'multicast/core/receiver.ts';
const REMEMBERED = 'multicast/core/remembered-sessions.ts';
const PUBLISHER = 'multicast/core/publisher.ts';
const PEER = 'multicast/core/peer.ts';
const HEARTBEAT = 'multicast/core/heartbeat.ts';
const PACE = 'multicast/core/pace.ts';
const STREAM = 'multicast/core/stream-delivery.ts';
const BATCHER = 'ingest/batcher.ts';
const LEDGER = 'ingest/session-ledger.ts';
const ARCHIVED = 'ingest/archived-sessions.ts';
const SIMULATED = 'sim/recorder.ts';

function bug(story: string, path: string, find: string, replace: string): PlantedBug {
  return { story, path, find, replace, finder: 'swarm' };
}

function foreignBug(story: string, path: string, find: string, replace: string): PlantedBug {
  return { story, path, find, replace, finder: 'framings' };
}

function durableBug(story: string, path: string, find: string, replace: string): PlantedBug {
  return { story, path, find, replace, finder: 'durable' };
}

/** All of them. */
export const PLANTED_BUGS: readonly PlantedBug[] = [
  bug(
    'the first packet of every hole is not asked for',
    SESSION,
    'this.#missing.add(first, last, nowMs);',
    'this.#missing.add(Math.min(first + 1, last), last, nowMs);',
  ),
  bug(
    'an SPM reveals a lost tail one packet short',
    SESSION,
    'this.#detect(this.#lead + 1, lead, nowMs);\n      this.#lead = lead;',
    'this.#detect(this.#lead + 1, lead, nowMs);\n      this.#lead = lead - 1;',
  ),
  bug(
    'an old SPM overrides a newer one',
    SESSION,
    'this.#spmSqn) < 0) return;',
    'this.#spmSqn) > 0) return;',
  ),
  bug('before the start a session believes in packet 0', SESSION, '#lead = -1;', '#lead = 0;'),
  bug(
    'the loss before a message is one sequence short',
    ACCOUNT,
    'this.#lose(expected, sequence - 1, nextSqn);',
    'this.#lose(expected, sequence - 2, nextSqn);',
  ),
  bug(
    'what is told to resume from lies one packet too far',
    DELIVERY,
    '      end,\n      nextSqn,',
    '      end,\n      nextSqn: nextSqn + 1,',
  ),
  bug(
    'a big message is put together from pieces of another',
    DELIVERY,
    'grow(reassembly, bytes);',
    'grow(reassembly, bytes.subarray(1));',
  ),
  bug(
    'requests without an answer are never repeated',
    NAKS,
    "(range) => range.state !== 'back_off' && range.deadlineMs <= nowMs);",
    "(range) => range.state === 'wait_data' && range.deadlineMs <= nowMs);",
  ),
  bug(
    'a confirmed request waits for its repair for ever',
    NAKS,
    "range.state = 'wait_data';",
    "range.state = 'wait_data'; range.deadlineMs = range.hole.expiresAtMs = 1e12; return;",
  ),
  bug(
    'a repair in the middle of a hole forgets the front of it',
    NAKS,
    'this.#missing.splice(index, 0, { ...range, last: sqn - 1 });',
    '',
  ),
  bug(
    'repairs are given up at once',
    NAKS,
    'hole.expiresAtMs <= nowMs;',
    'hole.expiresAtMs <= nowMs + 59_900;',
  ),
  bug(
    'a session that ended opens again with the next late packet',
    REMEMBERED,
    'this.#finished.add(session);',
    '',
  ),
  bug(
    'a restored session with nothing told goes on from packet 0',
    LEDGER,
    'return resumeSqn === NO_SQN ? undefined : resumeSqn;',
    'return resumeSqn;',
  ),
  bug(
    'a recorder does not know again what ended before it began',
    RECEIVER,
    ' ?? this.#options.recall?.(session)',
    '',
  ),
  bug(
    'an SPM makes a receiver tell of a message that was never sent',
    SESSION,
    'const sequence = this.#spmSequence - 1;',
    'const sequence = this.#spmSequence;',
  ),
  bug(
    'a lead is told also where nothing but a part of a message is missing',
    SESSION,
    'sequence >= (this.#delivery.nextSequence ?? 1);',
    'sequence >= 0;',
  ),
  bug(
    'what a publisher is known to have sent falls behind what is stored of it',
    LEDGER,
    'progress.lead = Math.max(progress.lead, last);',
    'progress.lead = last - 1;',
  ),
  bug(
    'a publisher never expires',
    PEER,
    'if (nowMs >= this.#expiresAtMs) this.#isExpired',
    'if (nowMs < 0) this.#isExpired',
  ),
  bug(
    'the SPM names the lead of what waits, not of what was sent',
    PUBLISHER,
    'lead: this.#sentLead,\n      nextSequence: this.#sentNextSequence,',
    'lead: this.#sentLead,\n      nextSequence: this.#nextSequence,',
  ),
  bug(
    'a quiet publisher sends no heartbeat',
    HEARTBEAT,
    'return QUIET_MS[this.#step] ?? HEARTBEAT_MS_MAX;',
    'return Number.POSITIVE_INFINITY;',
  ),
  bug(
    'a block of messages takes up one sequence more than it holds',
    ACCOUNT,
    'this.#nextSequence = lastSequence + 1;',
    'this.#nextSequence = lastSequence + 2;',
  ),
  bug(
    'a batch begins at the position of the one before',
    BATCHER,
    'this.#open = newBatch(number + 1, firstPosition + this.#open.messageCount, mark);',
    'this.#open = newBatch(number + 1, firstPosition, mark);',
  ),
  bug(
    'the watermark runs ahead of what is stored',
    LEDGER,
    'progress.watermark = last;',
    'progress.watermark = last + 1;',
  ),
  bug(
    'a loss is counted and not stored',
    BATCHER,
    'this.#open.losses.add({',
    'if (lastSequence > firstSequence) this.#open.losses.add({',
  ),
  bug(
    'the resume point of a session stays where it was',
    LEDGER,
    'progress.resumeSqn = nextSqn;',
    '',
  ),
  bug(
    'what was there before the first packet counts as given up',
    ACCOUNT,
    "options.resumeSqn === undefined ? 'late_join' : 'repair_expired'",
    "'repair_expired'",
  ),
  bug(
    'what the window left behind counts as lost with its publisher',
    SESSION,
    "this.#lose([...this.#missing.abandonBelow(trail), unseen], 'repair_expired');",
    "this.#lose([...this.#missing.abandonBelow(trail), unseen], 'source_gone');",
  ),
  bug(
    'what was lost with its publisher counts as left behind by the window',
    PEER,
    "this.#receiver.abandon('source_gone');",
    "this.#receiver.abandon('repair_expired');",
  ),
  bug(
    'the oldest packet that the window still holds is given up',
    SESSION,
    "      this.#lose(this.#missing.abandonBelow(trail), 'repair_expired');",
    "      this.#lose(this.#missing.abandonBelow(trail + 1), 'repair_expired');",
  ),
  bug(
    'the SPM names as trail the packet behind it',
    PUBLISHER,
    '      trail: this.#window.trail,\n      lead: this.#sentLead,',
    '      trail: this.#window.trail + 1,\n      lead: this.#sentLead,',
  ),
  bug(
    'repairs are given up in a quarter of their time',
    NAKS,
    'expiresAtMs: nowMs + this.#repairTimeoutMs,',
    'expiresAtMs: nowMs + this.#repairTimeoutMs / 4,',
  ),
  bug(
    'with the first hole whose time is over all are given up',
    NAKS,
    'return this.abandonBelow(fresh?.first ?? Number.POSITIVE_INFINITY);',
    'return this.abandonBelow(fresh === this.#missing[0] ? 0 : Number.POSITIVE_INFINITY);',
  ),
  bug(
    'the cause of one loss is told for the next one too',
    ACCOUNT,
    '    this.#holeCause = undefined;\n    this.#holePackets = 0;\n',
    '',
  ),
  bug(
    'a receiver that resumes asks for a packet that it has told of',
    SESSION,
    'if (resumeSqn !== undefined) this.#next = resumeSqn;',
    'if (resumeSqn !== undefined) this.#next = resumeSqn - 1;',
  ),
  bug(
    'the packet that came first of a hole is asked for again',
    NAKS,
    'else if (range.first === sqn) range.first += 1;',
    'else if (range.first === sqn) return true;',
  ),
  bug(
    'a heartbeat does not count as a sign of life',
    PEER,
    '    const { address, emit } = this.#options;\n    this.#heardAtMs = nowMs;',
    '    const { address, emit } = this.#options;',
  ),
  bug(
    'a publisher is taken for gone a little too soon',
    PEER,
    'return this.#heardAtMs + expiryMs;',
    'return this.#heardAtMs + expiryMs * 0.9;',
  ),
  bug(
    'a restored session is taken for gone too soon',
    RECEIVER,
    'const expiresAtMs = nowMs + expiryMsOf({ isForeign, sourceExpiryMs });',
    'const expiresAtMs = nowMs + expiryMsOf({ isForeign, sourceExpiryMs }) / 2;',
  ),
  bug(
    'a session is over with its last packet still missing',
    SESSION,
    'return this.#isFin && this.#next > this.#lead;',
    'return this.#isFin && this.#next >= this.#lead;',
  ),
  bug(
    'a packet is judged only after it has opened a session',
    RECEIVER,
    '} else if (!isBelieved(this.#options.authenticator, bytes, reader, this.counters)) {',
    '} else if ((reader.hasSession && this.#ownPeer(remote, nowMs), ' +
      '!isBelieved(this.#options.authenticator, bytes, reader, this.counters))) {',
  ),
  bug(
    'a packet without a tag is believed',
    'multicast/core/authentication.ts',
    "if (authenticity === 'genuine') return true;",
    "if (authenticity === 'genuine' || authenticity === 'missing') return true;",
  ),
  bug(
    'a repair carries the tag of the packet that it repeats',
    PUBLISHER,
    'this.#options.authenticator?.seal(bytes);',
    'if (bytes[4] !== 5) this.#options.authenticator?.seal(bytes);',
  ),
  bug(
    'requests carry no tag',
    PEER,
    '    authenticator?.seal(bytes);\n    counters.naksSent += 1;',
    '    counters.naksSent += 1;',
  ),
  bug(
    'a rate that gave way never comes back',
    PACE,
    'else if (!isBacklogged) this.#grow(nowMs - this.#startedAtMs);',
    '',
  ),
  bug(
    'a stream that was cut is taken up again in the middle of a message',
    STREAM,
    'const firstStart = offset === ZMQ_NO_START ? end : at + offset;',
    'const firstStart = offset === ZMQ_NO_START ? at : at + offset;',
  ),
  bug(
    'a message in several packets gets the number of the next',
    DELIVERY,
    'this.#block(firstSqn, sqn + 1, first, reassembly.bytes',
    'this.#block(firstSqn, sqn + 1, first + 1, reassembly.bytes',
  ),
  bug(
    'the SPM behind a raw message does not count it',
    PUBLISHER,
    "    this.#nextSequence += 1;\n    if (this.#options.address.framing === 'raw') this.#flush();",
    "    if (this.#options.address.framing === 'raw') this.#flush();\n    this.#nextSequence += 1;",
  ),
  bug(
    'what began in a hole and goes on behind it is lost by another cause',
    ACCOUNT,
    "this.#plainCause = cause === 'late_join' ? 'repair_expired' : cause;",
    '',
  ),
  foreignBug(
    'a foreign message in several packets does not account for their numbers',
    DELIVERY,
    'lastSequence: this.#isForeign ? nextSqn - 1 : sequence + messageCount - 1,',
    'lastSequence: sequence + messageCount - 1,',
  ),
  foreignBug(
    'places of a packet at which no message starts are not accounted for',
    STREAM,
    'return (places === undefined ? sequence + started : (sqn + 1) * places) - 1;',
    'return (places === undefined || started > 0 ? sequence + started : (sqn + 1) * places) - 1;',
  ),
  foreignBug(
    'a foreign source that is known gets a new session after a restart',
    RECEIVER,
    'const resume = dormant ?? this.#options.recallForeign?.(tsi);',
    'const resume = dormant;',
  ),
  durableBug(
    'what is being committed is acknowledged',
    SIMULATED,
    '    this.#isCommitting = true;\n',
    '    this.#isCommitting = true;\n    this.#acknowledge(batch);\n',
  ),
  durableBug(
    'what a batch declares lost is acknowledged as archived',
    ARCHIVED,
    'if (lost !== undefined) keepLosses(archived, lost.map(rangeOf));',
    '',
  ),
  durableBug(
    'what was lost before a restart is acknowledged as archived',
    ARCHIVED,
    'if (!begun.has(session)) this.#unknown.add(session);',
    '',
  ),
  durableBug(
    'a publisher believes acknowledgements without a tag',
    PUBLISHER,
    'else if (!isBelieved(authenticator, bytes,',
    "else if (reader.kind !== 'ack' && !isBelieved(authenticator, bytes,",
  ),
  durableBug(
    'of what is archived, the last news is never repeated',
    'multicast/core/acknowledger.ts',
    'entry.dueAtMs = nowMs + entry.repeatMs;',
    'entry.dueAtMs = Number.POSITIVE_INFINITY;',
  ),
];
