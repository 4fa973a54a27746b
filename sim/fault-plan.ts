// What one seed has in store: which classes of faults are on, each with even chance, and how hard
// they are. Drawing all of them every time would hide bugs that show only where something is
// missing; so each seed is a world of its own.

import { type Random, randomBelow } from '#base/mod.ts';
import type { NetworkFaults } from './network.ts';
import type { StoreFaults } from './recorder.ts';

/** Every class of faults, with the letter that stands for it and the sentence that explains it. */
export const FAULT_CLASSES = {
  loss: { letter: 'L', sentence: 'datagrams lost one by one, up to 30 %' },
  burst: { letter: 'B', sentence: 'nothing arrives anywhere for up to 200 ms' },
  duplicate: { letter: 'D', sentence: 'datagrams that arrive twice, up to 50 %' },
  reorder: { letter: 'R', sentence: 'delays up to 40 ms, so that datagrams overtake' },
  partition: { letter: 'P', sentence: 'one node does not hear another for up to 3 s, one way' },
  pause: { letter: 'Z', sentence: 'a node sleeps for up to 3 s, deaf, and wakes as it was' },
  publisherCrash: { letter: 'C', sentence: 'a publisher dies and starts again as a new session' },
  publisherEnd: { letter: 'E', sentence: 'a publisher ends in order and starts a new session' },
  receiverCrash: { letter: 'K', sentence: 'a receiver dies and goes on from what it told' },
  recorderCrash: { letter: 'A', sentence: 'the recorder dies and goes on from what is committed' },
  commitFailure: { letter: 'F', sentence: 'commits that fail and are repeated, up to 50 %' },
  commitLostAnswer: { letter: 'U', sentence: 'commits that succeed without an answer, up to 30 %' },
  commitSlow: { letter: 'S', sentence: 'commits that take up to 2 s' },
  lateJoin: { letter: 'J', sentence: 'receivers that join in the middle, live or for the window' },
  smallWindow: { letter: 'W', sentence: 'publishers hold 64 packets for repair, not thousands' },
  wrap: { letter: '0', sentence: 'packet numbers that wrap at 2^32 in the first packets' },
} as const;

/** One class of faults. */
export type FaultClass = keyof typeof FAULT_CLASSES;

/** What a seed has drawn. Times in milliseconds, probabilities in [0, 1]. */
export interface FaultPlan {
  readonly on: ReadonlySet<FaultClass>;
  readonly network: NetworkFaults;
  readonly store: StoreFaults;
  readonly publisherCount: number;
  readonly receiverCount: number;
  readonly windowPackets: number;
  readonly windowBytes: number;
  readonly messageBytesMax: number;
  readonly rateBytesPerSec: number;
  readonly repairTimeoutMs: number;
  readonly sourceExpiryMs: number;
  /** Mean distance between two faults of each class that strikes now and then. */
  readonly faultEveryMs: number;
  /** Mean distance between two bursts of messages of one publisher, and the most in one. */
  readonly publishEveryMs: number;
  readonly burstMessagesMax: number;
}

/** The network when nobody disturbs it. */
export const CALM_NETWORK: NetworkFaults = {
  loss: 0,
  duplicate: 0,
  delayMsMin: 0.1,
  delayMsMax: 0.2,
};

/** A store that nobody disturbs. */
export const CALM_STORE: StoreFaults = { failure: 0, lostAnswer: 0, commitMsMax: 5 };

/** Draws the plan of one seed. */
export function drawFaultPlan(random: Random): FaultPlan {
  const classes = Object.keys(FAULT_CLASSES).filter((name) => name in FAULT_CLASSES);
  const on = new Set(classes.filter(() => random() < 0.5) as FaultClass[]);
  const upTo = (name: FaultClass, most: number): number => {
    const drawn = random() * most;
    return on.has(name) ? drawn : 0;
  };
  const isSmall = on.has('smallWindow');
  return {
    on,
    network: {
      loss: upTo('loss', 0.3),
      duplicate: upTo('duplicate', 0.5),
      delayMsMin: 0.1,
      delayMsMax: 0.2 + upTo('reorder', 40),
    },
    store: {
      failure: upTo('commitFailure', 0.5),
      lostAnswer: upTo('commitLostAnswer', 0.3),
      commitMsMax: 5 + upTo('commitSlow', 2_000),
    },
    publisherCount: 1 + randomBelow(random, 3),
    receiverCount: 1 + randomBelow(random, 2),
    windowPackets: isSmall ? 64 : 8_192,
    windowBytes: isSmall ? 100_000 : 16_777_216,
    messageBytesMax: isSmall ? 20_000 : 100_000,
    rateBytesPerSec: random() < 0.25 ? 200_000 : 20_000_000,
    repairTimeoutMs: random() < 0.2 ? 500 : 60_000,
    sourceExpiryMs: random() < 0.3 ? 3_000 : 30_000,
    faultEveryMs: 300 + random() * 2_000,
    publishEveryMs: 10 + random() * 150,
    burstMessagesMax: 1 + randomBelow(random, 30),
  };
}
