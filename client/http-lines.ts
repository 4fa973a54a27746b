// Messages, losses and deletions as the replay API writes them in JSON, back into what a reading
// tells. Consecutive messages of one session become one run. Serves where few messages come at a
// time (a tail); a replay is read from the binary stream.

import {
  isSessionId,
  LOSS_CAUSES,
  type LossCause,
  parseInstant,
  type SessionId,
} from '#base/mod.ts';
import { zmqMessage } from '#multicast/wire/mod.ts';
import type { TailFrame } from './contract.ts';
import { brokenOff } from './http-body.ts';
import type { MemberOf, Unchecked } from './http-request.ts';
import type {
  ReplayedDeletion,
  ReplayedLoss,
  ReplayedRun,
  ReplayedSession,
} from './replay-source.ts';

/** A line that nobody has looked at yet. */
export type Line = Unchecked<TailFrame>;
type LineMember = MemberOf<TailFrame>;

/** What a line can be beside an end. */
export type LineEntry = ReplayedRun | ReplayedLoss | ReplayedDeletion | ReplayedSession;

interface OpenRun {
  readonly head: Omit<
    ReplayedRun,
    'messageCount' | 'throughSequence' | 'publishedAtUs' | 'payloadEnds' | 'payloads'
  >;
  readonly publishedAtUs: number[];
  readonly payloads: Uint8Array[];
}

/** Puts lines together, in their order. */
export class LineEntries {
  #finished: LineEntry[] = [];
  #run: OpenRun | undefined;

  /** Takes a line of kind message, loss, deletion or session; throws at any other. */
  add(line: Line): void {
    if (line.kind === 'message') return this.#addMessage(line);
    this.#endRun();
    this.#finished.push(otherEntry(line));
  }

  /** What has come since the last call. */
  take(): readonly LineEntry[] {
    this.#endRun();
    const entries = this.#finished;
    this.#finished = [];
    return entries;
  }

  #addMessage(line: Line): void {
    const session = sessionIn(line);
    const position = numberIn(line, 'position');
    const sequence = numberIn(line, 'sequence');
    const archivedAtUs = instantIn(line, 'archivedAt');
    let run = this.#run;
    if (run === undefined || !continues(run, { session, position, sequence, archivedAtUs })) {
      this.#endRun();
      const source = typeof line.source === 'string' ? line.source : null;
      const head = { session, source, firstPosition: position, firstSequence: sequence };
      run = { head: { kind: 'messages', ...head, archivedAtUs }, publishedAtUs: [], payloads: [] };
      this.#run = run;
    }
    run.publishedAtUs.push(instantIn(line, 'publishedAt'));
    run.payloads.push(payloadIn(line));
  }

  #endRun(): void {
    if (this.#run === undefined) return;
    const { head, publishedAtUs, payloads } = this.#run;
    this.#run = undefined;
    let end = 0;
    const payloadEnds = payloads.map(({ length }) => (end += length));
    const messageCount = payloads.length;
    this.#finished.push({
      ...head,
      messageCount,
      throughSequence: head.firstSequence + messageCount - 1,
      publishedAtUs,
      payloadEnds,
      payloads: Buffer.concat(payloads, end),
    });
  }
}

function continues(
  { head, payloads }: OpenRun,
  next: {
    readonly session: SessionId;
    readonly position: number;
    readonly sequence: number;
    readonly archivedAtUs: number;
  },
): boolean {
  return (
    head.session === next.session &&
    head.firstPosition + payloads.length === next.position &&
    head.firstSequence + payloads.length === next.sequence &&
    head.archivedAtUs === next.archivedAtUs
  );
}

function otherEntry(line: Line): LineEntry {
  const { kind } = line;
  const session = sessionIn(line);
  if (kind === 'session') {
    const source = typeof line.source === 'string' ? line.source : null;
    return { kind, session, source, state: stateIn(line) };
  }
  const range = { session, first: numberIn(line, 'first'), last: numberIn(line, 'last') };
  if (kind === 'loss') return { kind, ...range, cause: causeIn(line) };
  if (kind === 'deletion') return { kind, ...range };
  throw notOurs(`a line of kind ${String(kind)}`);
}

function sessionIn({ session }: Line): SessionId {
  if (typeof session === 'string' && isSessionId(session)) return session;
  throw notOurs('a line without a session');
}

function numberIn(line: Line, name: LineMember): number {
  const value = line[name];
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw notOurs(`a line without ${name}`);
}

function instantIn(line: Line, name: LineMember): number {
  const us = parseInstant(String(line[name]));
  if (us === undefined) throw notOurs(`a line without ${name}`);
  return us;
}

function stateIn({ state }: Line): ReplayedSession['state'] {
  if (state === 'open' || state === 'closed' || state === 'expired') return state;
  throw notOurs(`a session in state ${String(state)}`);
}

function causeIn({ cause }: Line): LossCause {
  if (typeof cause === 'string' && Object.hasOwn(LOSS_CAUSES, cause)) return cause as LossCause;
  throw notOurs(`a loss of cause ${String(cause)}`);
}

/** The bytes of a message; of one with parts, its frames. */
function payloadIn(line: Line): Uint8Array {
  const { parts } = line;
  if (!Array.isArray(parts)) return bytesIn(line);
  return zmqMessage(parts.map((part) => bytesIn(part as Line)));
}

function bytesIn({ encoding, payload }: Line): Uint8Array {
  if (typeof payload !== 'string') throw notOurs('a message without payload');
  return Buffer.from(payload, encoding === 'base64' ? 'base64' : 'utf8');
}

function notOurs(what: string): Error {
  return brokenOff(`it holds ${what}, which is no answer of Backcast`, undefined);
}
