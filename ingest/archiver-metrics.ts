// What the archiver counts, as metrics by channel.

import type { Durability } from '#archive/mod.ts';
import {
  type MetricDescription,
  type MetricFamily,
  receiverFamilies,
  transportFamilies,
} from '#multicast/metrics/mod.ts';
import type { RecorderCounters } from './recorder-options.ts';

type Numbers = Omit<RecorderCounters, 'receiver' | 'transport' | 'repairLatency'>;
type Description = Pick<MetricDescription, 'name' | 'type' | 'unit' | 'sentence'>;

/** The numbers of a channel beside those of its receiver. */
const DESCRIPTIONS: Readonly<Record<keyof Numbers, Description>> = {
  archivedMessages: {
    name: 'backcast_archiver_archived_messages_total',
    type: 'counter',
    unit: 'messages',
    sentence: 'Messages committed to the archive.',
  },
  commits: {
    name: 'backcast_archiver_commits_transactions_total',
    type: 'counter',
    unit: 'transactions',
    sentence: 'Transactions committed.',
  },
  overrunDatagrams: {
    name: 'backcast_archiver_overrun_datagrams_total',
    type: 'counter',
    unit: 'datagrams',
    sentence: 'Datagrams dropped because too much waited for the database.',
  },
  pendingBytes: {
    name: 'backcast_archiver_pending_bytes',
    type: 'gauge',
    unit: 'bytes',
    sentence: 'Memory held for messages that are not committed yet.',
  },
  archivedPosition: {
    name: 'backcast_archiver_archived_position',
    type: 'gauge',
    unit: 'position',
    sentence: 'The last position of the channel that is committed.',
  },
  receivedPosition: {
    name: 'backcast_archiver_received_position',
    type: 'gauge',
    unit: 'position',
    sentence: 'The position that the last message heard has, or will have when it is committed.',
  },
  spooledPosition: {
    name: 'backcast_archiver_spooled_position',
    type: 'gauge',
    unit: 'position',
    sentence: 'Messages up to this position are on the disk of the spool, or committed.',
  },
  spoolBytes: {
    name: 'backcast_archiver_spool_bytes',
    type: 'gauge',
    unit: 'bytes',
    sentence: 'What the spool takes from the disk.',
  },
  spooling: {
    name: 'backcast_archiver_spooling',
    type: 'gauge',
    unit: 'boolean',
    sentence: '1 while what is heard goes to the spool, else 0.',
  },
  spoolUnusable: {
    name: 'backcast_archiver_spool_unusable',
    type: 'gauge',
    unit: 'boolean',
    sentence: '1 if a spool is wanted and cannot be used, so that only memory is left, else 0.',
  },
  spoolFullMessages: {
    name: 'backcast_archiver_spool_full_messages_total',
    type: 'counter',
    unit: 'messages',
    sentence: 'Messages lost because the spool had no room for them.',
  },
  leading: {
    name: 'backcast_archiver_leader',
    type: 'gauge',
    unit: 'boolean',
    sentence: '1 if this archiver writes the channel, 0 if it stands by.',
  },
  takeovers: {
    name: 'backcast_archiver_takeovers_total',
    type: 'counter',
    unit: 'takeovers',
    sentence: 'Times that this archiver, having stood by, began to write the channel.',
  },
  handovers: {
    name: 'backcast_archiver_handovers_total',
    type: 'counter',
    unit: 'handovers',
    sentence: 'Times that this archiver gave the channel to another that was to write it.',
  },
  rollbacks: {
    name: 'backcast_archiver_rollbacks_total',
    type: 'counter',
    unit: 'rollbacks',
    sentence: 'Times that the archive was found to lack what it had committed.',
  },
  healedMessages: {
    name: 'backcast_archiver_healed_messages_total',
    type: 'counter',
    unit: 'messages',
    sentence: 'Messages declared lost that another archiver had and this one stored after all.',
  },
  unofferedMessages: {
    name: 'backcast_archiver_unoffered_messages_total',
    type: 'counter',
    unit: 'messages',
    sentence: 'Messages declared lost that this archiver has and had no room to offer.',
  },
  followedSessions: {
    name: 'backcast_archiver_followed_sessions',
    type: 'gauge',
    unit: 'sessions',
    sentence: 'Publisher sessions that are being followed.',
  },
  databaseAway: {
    name: 'backcast_archiver_database_away',
    type: 'gauge',
    unit: 'boolean',
    sentence: '1 while the last attempt to commit failed for want of the database, else 0.',
  },
  refused: {
    name: 'backcast_archiver_refused',
    type: 'gauge',
    unit: 'boolean',
    sentence: '1 while the database refuses what there is to be committed, else 0.',
  },
};

const DEGRADED: MetricDescription = {
  name: 'backcast_archiver_degraded',
  type: 'gauge',
  unit: 'boolean',
  labels: [],
  sentence: '1 while settings of the database allow a crash to lose what it has committed, else 0.',
};

const LABELS = ['channel'];

const METRICS: readonly MetricDescription[] = Object.values(DESCRIPTIONS).map((description) => ({
  ...description,
  labels: LABELS,
}));

/** The metrics of an archiver and its receivers, from its counters by channel. */
export function archiverFamilies(
  channels: Readonly<Record<string, RecorderCounters>>,
  durability: Durability['state'],
): MetricFamily[] {
  const numbers = Object.entries(channels);
  const names = Object.keys(DESCRIPTIONS) as (keyof Numbers)[];
  const own = names.map((name, index) => ({
    metric: METRICS[index],
    samples: numbers.map(([channel, counters]) => {
      return { labels: { channel }, value: Number(counters[name]) };
    }),
  }));
  const transports = Object.fromEntries(
    numbers.map(([channel, { transport }]) => [channel, transport] as const),
  );
  const degraded = {
    metric: DEGRADED,
    samples: [{ labels: {}, value: Number(durability === 'degraded') }],
  };
  return [degraded, ...own, ...receiverFamilies(channels), ...transportFamilies(transports)];
}
