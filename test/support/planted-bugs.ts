// Bugs to plant: small mutations of the real machines, each of the kind that a tired person writes.
// `find` stands exactly once in its file.

/** One mutation and the promise it breaks. */
export interface PlantedBug {
  readonly story: string;
  readonly path: string;
  readonly find: string;
  readonly replace: string;
}

const SESSION = 'multicast/core/session-receiver.ts';
const DELIVERY = 'multicast/core/ordered-delivery.ts';
const ACCOUNT = 'multicast/core/sequence-account.ts';
const NAKS = 'multicast/core/nak-scheduler.ts';
const RECEIVER = 'multicast/core/receiver.ts';
const PUBLISHER = 'multicast/core/publisher.ts';
const PEER = 'multicast/core/peer.ts';
const HEARTBEAT = 'multicast/core/heartbeat.ts';
const BATCHER = 'ingest/batcher.ts';
const LEDGER = 'ingest/session-ledger.ts';

function bug(story: string, path: string, find: string, replace: string): PlantedBug {
  return { story, path, find, replace };
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
    'reassembly.filledBytes += bytes.length;',
    'reassembly.filledBytes += bytes.length - 1;',
  ),
  bug(
    'requests without an answer are never repeated',
    NAKS,
    "if (range.state === 'back_off' || range.deadlineMs > nowMs) continue;\n      range.state",
    "if (range.state !== 'wait_data' || range.deadlineMs > nowMs) continue;\n      range.state",
  ),
  bug(
    'a confirmed request waits for its repair for ever',
    NAKS,
    "range.state = 'wait_data';",
    "range.state = 'wait_data'; range.confirmations = 1e6; range.expiresAtMs = 1e12;",
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
    'range.expiresAtMs <= nowMs;',
    'range.expiresAtMs <= nowMs + 59_900;',
  ),
  bug(
    'a session that ended opens again with the next late packet',
    RECEIVER,
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
    'this.#open = newBatch(number + 1, firstPosition + this.#open.messageCount);',
    'this.#open = newBatch(number + 1, firstPosition);',
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
    'this.#open.losses.push({',
    'if (lastSequence > firstSequence) this.#open.losses.push({',
  ),
  bug(
    'the resume point of a session stays where it was',
    LEDGER,
    'progress.resumeSqn = nextSqn;',
    '',
  ),
];
