// Small stories of publishers and receivers as data, and how they are played and judged. A stage
// plays them: the simulated world, or real sockets of this host; the stories and what must come of
// them are the same. Things happen after so many messages, not at times, so that a stage may be as
// fast or slow as it is.

import { assert, type LossCause, type SessionId } from '#base/mod.ts';
import type { ReceiverEvent, ReceiverOptions, ResumePoint } from '#multicast/core/mod.ts';
import { checkEvents, type Published, type SessionVerdict } from './checker.ts';

/** One receiver of a story. It stays to the end unless it dies. */
export interface ScenarioReceiver {
  readonly join: 'window' | 'live';
  /** Messages that each publisher has published when it joins; 0 is from the start. */
  readonly joinsAfter: number;
  /** Dies after so many messages, and comes back with what it told after so many more. */
  readonly dies?: { readonly after: number; readonly comesBackAfter: number };
  /** By which causes it may lose messages; none if left out. */
  readonly mayLose?: readonly LossCause[];
}

/** One story. */
export interface Scenario {
  readonly name: string;
  readonly publishers: number;
  /** Messages that each publisher's place publishes, over all its sessions. */
  readonly messages: number;
  readonly messageBytesMax: number;
  /** Packets that a publisher holds for repair. */
  readonly windowPackets: number;
  /** Share of datagrams that are lost on the way in, everywhere. */
  readonly loss: number;
  readonly receivers: readonly ScenarioReceiver[];
  /** Every publisher is over after so many messages, and starts anew as another session. */
  readonly restart?: { readonly after: number; readonly fate: 'crashes' | 'ends' };
}

/** A publisher on a stage. */
export interface StagePublisher {
  readonly session: SessionId;
  /** Takes the message, or says that it cannot now. */
  readonly publish: (payload: Uint8Array) => boolean;
  /** Ends in order. */
  readonly end: () => void;
  /** Is gone from one moment to the next. */
  readonly crash: () => void;
}

/** A life of a receiver on a stage. */
export interface StageReceiver {
  readonly events: readonly ReceiverEvent[];
  /** Packets that came as repairs. */
  readonly repairs: () => number;
  readonly crash: () => void;
}

/** Where stories are played. */
export interface Stage {
  readonly addPublisher: () => Promise<StagePublisher>;
  readonly addReceiver: (
    options: Pick<ReceiverOptions, 'join' | 'recall'>,
    resume: readonly ResumePoint[],
  ) => Promise<StageReceiver>;
  /** Lets `ms` milliseconds pass. */
  readonly pass: (ms: number) => Promise<void>;
  /** Lets time pass until `isDone` holds; throws if it takes too long. */
  readonly until: (isDone: () => boolean) => Promise<void>;
}

interface Played {
  readonly story: ScenarioReceiver;
  readonly lives: StageReceiver[];
}

const BURST_MESSAGES = 5;
const BURST_EVERY_MS = 4;

/** Plays `scenario` and throws, with the place, if anything else comes of it than must. */
export async function playScenario(scenario: Scenario, stage: Stage): Promise<void> {
  const ledger = new Map<SessionId, Uint8Array[]>();
  const fates = new Map<SessionId, 'crashes' | 'ends'>();
  const receivers: Played[] = scenario.receivers.map((story) => ({ story, lives: [] }));
  let publishers = await startPublishers(scenario, stage, ledger);
  for (let published = 0; published < scenario.messages; ) {
    await moveReceivers(receivers, published, stage);
    if (published === scenario.restart?.after) {
      for (const { session } of publishers) fates.set(session, scenario.restart.fate);
      for (const publisher of publishers) overBy(publisher, scenario.restart.fate);
      publishers = await startPublishers(scenario, stage, ledger);
    }
    for (const publisher of publishers) publishBurst(scenario, publisher, ledger);
    published += BURST_MESSAGES;
    await stage.pass(BURST_EVERY_MS);
  }
  for (const publisher of publishers) overBy(publisher, 'ends');
  await stage.until(() => receivers.every((receiver) => isOver(receiver, ledger)));
  for (const receiver of receivers) judge(receiver, ledger, fates);
}

async function startPublishers(
  { publishers }: Scenario,
  stage: Stage,
  ledger: Map<SessionId, Uint8Array[]>,
): Promise<StagePublisher[]> {
  const started = Array.from({ length: publishers }, () => stage.addPublisher());
  const all = await Promise.all(started);
  for (const { session } of all) ledger.set(session, []);
  return all;
}

function overBy(publisher: StagePublisher, fate: 'crashes' | 'ends'): void {
  if (fate === 'crashes') publisher.crash();
  else publisher.end();
}

function publishBurst(
  { messageBytesMax }: Scenario,
  { session, publish }: StagePublisher,
  ledger: Map<SessionId, Uint8Array[]>,
): void {
  const payloads = ledger.get(session);
  assert(payloads !== undefined, 'every session has its place in the ledger');
  for (let n = 0; n < BURST_MESSAGES; n += 1) {
    const sequence = payloads.length + 1;
    const payload = new Uint8Array((sequence * 379) % (messageBytesMax + 1));
    for (let at = 0; at < payload.length; at += 1) payload[at] = (sequence + at * 7) & 0xff;
    assert(publish(payload), 'a story is slow enough that publishers do not block');
    payloads.push(payload);
  }
}

/** Receivers join, die and come back when it is their time. */
async function moveReceivers(
  receivers: readonly Played[],
  published: number,
  stage: Stage,
): Promise<void> {
  for (const { story, lives } of receivers) {
    const { join, joinsAfter, dies } = story;
    if (published === joinsAfter) lives.push(await stage.addReceiver({ join }, []));
    if (dies === undefined) continue;
    if (published === dies.after) lives.at(-1)?.crash();
    if (published === dies.after + dies.comesBackAfter) {
      const points = resumePoints(eventsOf(lives));
      const recall: ReceiverOptions['recall'] = (session) => points.get(session);
      const open = [...points.values()].filter((point) => point !== 'finished');
      lives.push(await stage.addReceiver({ join, recall }, open));
    }
  }
}

function eventsOf(lives: readonly StageReceiver[]): ReceiverEvent[] {
  return lives.flatMap(({ events }) => events);
}

/** Where each session stands by what was told of it last. */
function resumePoints(events: readonly ReceiverEvent[]): Map<SessionId, ResumePoint | 'finished'> {
  const points = new Map<SessionId, ResumePoint | 'finished'>();
  for (const event of events) {
    const { session } = event;
    if (event.kind === 'closed' && event.cause === 'fin') points.set(session, 'finished');
    if (event.kind !== 'messages' && event.kind !== 'lost') continue;
    const { firstSequence, nextSqn } = event;
    const isLost = event.kind === 'lost';
    const nextSequence = isLost ? event.lastSequence + 1 : firstSequence + event.messageCount;
    points.set(session, { session, nextSequence, nextSqn });
  }
  return points;
}

/** Whether all sessions that the receiver must hear, or has heard, are closed. */
function isOver({ story, lives }: Played, ledger: Published): boolean {
  const open = new Set(story.join === 'window' ? ledger.keys() : []);
  for (const { kind, session } of eventsOf(lives)) {
    if (kind === 'opened') open.add(session);
    if (kind === 'closed') open.delete(session);
  }
  return lives.length > 0 && open.size === 0;
}

function judge(
  { story, lives }: Played,
  ledger: Published,
  fates: ReadonlyMap<SessionId, 'crashes' | 'ends'>,
): void {
  const events = eventsOf(lives);
  const verdicts = checkEvents(events, ledger);
  const repairs = lives.reduce((sum, life) => sum + life.repairs(), 0);
  assert(story.join === 'live' || repairs > 0, 'what was lost on purpose had to be repaired');
  for (const [session, payloads] of ledger) {
    const verdict = verdicts.get(session);
    if (verdict === undefined && story.join === 'live') continue;
    assert(verdict !== undefined, `nothing was told of ${session}`);
    const isCrashed = fates.get(session) === 'crashes';
    judgeSession({ session, verdict, story, isCrashed, published: payloads.length });
  }
  for (const event of events) {
    if (event.kind !== 'lost') continue;
    const isCrashed = fates.get(event.session) === 'crashes';
    const mayLose = story.mayLose?.includes(event.cause) === true;
    const isExcused = mayLose || (isCrashed && event.cause === 'source_gone');
    assert(isExcused, `${event.firstSequence}-${event.lastSequence} lost by ${event.cause}`);
  }
}

function judgeSession(told: {
  readonly session: SessionId;
  readonly verdict: SessionVerdict;
  readonly story: ScenarioReceiver;
  readonly isCrashed: boolean;
  readonly published: number;
}): void {
  const { session, verdict, story, isCrashed, published } = told;
  const { firstSequence, nextSequence, delivered, lost, closed } = verdict;
  const isFromStart = story.join === 'live' || firstSequence === 1;
  assert(isFromStart, `${session} begins with ${firstSequence}`);
  const end = isCrashed ? 'expired' : 'fin';
  assert(closed === end, `${session} is closed by ${closed}, not ${end}`);
  assert(delivered > 0, `nothing of ${session} was delivered`);
  const isWhole = delivered + lost === nextSequence - firstSequence;
  assert(isWhole, `${session}: ${delivered} delivered and ${lost} lost to ${nextSequence - 1}`);
  // Of what a publisher sent last before it crashed, nobody need have heard.
  const isToEnd = isCrashed ? nextSequence <= published + 1 : nextSequence === published + 1;
  assert(isToEnd, `${session} ends with ${nextSequence - 1} of ${published}`);
}
