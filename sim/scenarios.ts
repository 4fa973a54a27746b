// The stories that are played on every stage.

import type { Scenario, ScenarioReceiver } from './scenario.ts';

const FROM_THE_START: ScenarioReceiver = { join: 'window', joinsAfter: 0 };
const USUAL = {
  publishers: 2,
  messages: 400,
  messageBytesMax: 3_000,
  windowPackets: 4_096,
  loss: 0.1,
} as const;

/** All of them. */
export const SCENARIOS: readonly Scenario[] = [
  {
    ...USUAL,
    name: 'three publishers reach three receivers, of whom each loses a tenth',
    publishers: 3,
    receivers: [FROM_THE_START, FROM_THE_START, FROM_THE_START],
  },
  {
    ...USUAL,
    name: 'a third is lost, and everything arrives',
    messages: 200,
    loss: 0.3,
    receivers: [FROM_THE_START],
  },
  {
    ...USUAL,
    name: 'who joins in the middle gets all that is still held, or what comes next',
    receivers: [
      FROM_THE_START,
      { join: 'window', joinsAfter: 150 },
      { join: 'live', joinsAfter: 200 },
      { join: 'live', joinsAfter: 300 },
    ],
  },
  {
    ...USUAL,
    name: 'who joins when much has left the window is told so',
    windowPackets: 32,
    messageBytesMax: 1_000,
    receivers: [
      { ...FROM_THE_START, mayLose: ['repair_expired', 'late_join'] },
      { join: 'window', joinsAfter: 300, mayLose: ['late_join', 'repair_expired'] },
    ],
  },
  {
    ...USUAL,
    name: 'a receiver that dies comes back, misses nothing and gets nothing twice',
    receivers: [
      FROM_THE_START,
      { ...FROM_THE_START, dies: { after: 100, comesBackAfter: 100 } },
      { join: 'window', joinsAfter: 50, dies: { after: 200, comesBackAfter: 50 } },
      { join: 'live', joinsAfter: 50, dies: { after: 150, comesBackAfter: 100 } },
    ],
  },
  {
    ...USUAL,
    name: 'publishers that end and start again are other sessions, all of them whole',
    restart: { after: 200, fate: 'ends' },
    receivers: [FROM_THE_START, { join: 'window', joinsAfter: 250 }],
  },
  {
    ...USUAL,
    name: 'publishers that crash and start again lose at most their last words',
    restart: { after: 200, fate: 'crashes' },
    receivers: [FROM_THE_START],
  },
];
