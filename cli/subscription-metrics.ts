// What a subscription that recovers counts and where it is, as metrics.

import {
  type CatchUpState,
  SUBSCRIPTION_COUNTERS,
  type SubscriptionCounters,
} from '#client/mod.ts';
import {
  type ByChannel,
  counterFamilies,
  describeCounters,
  type MetricDescription,
  type MetricFamily,
} from '#multicast/metrics/mod.ts';

/** The numbers of one subscription. */
export interface SubscriptionNumbers {
  readonly counters: Readonly<SubscriptionCounters>;
  readonly state: CatchUpState;
  readonly bufferedBytes: number;
}

const COUNTERS = describeCounters('subscription', SUBSCRIPTION_COUNTERS, ['channel']);
const STATES: Readonly<Record<CatchUpState, true>> = {
  starting: true,
  replaying: true,
  mending: true,
  live: true,
  following: true,
  failed: true,
};
const STATE: MetricDescription = {
  name: 'backcast_subscription_state',
  type: 'gauge',
  unit: 'boolean',
  labels: ['channel', 'state'],
  sentence: '1 for the state that the subscription is in, 0 for the others.',
};
const BUFFERED: MetricDescription = {
  name: 'backcast_subscription_buffered_bytes',
  type: 'gauge',
  unit: 'bytes',
  labels: ['channel'],
  sentence: 'What is heard and waits for the reader or the archive.',
};

/** The metrics of subscriptions, by channel. */
export function subscriptionFamilies(channels: ByChannel<SubscriptionNumbers>): MetricFamily[] {
  const numbers = Object.entries(channels);
  const counters = numbers.map(([channel, one]) => [channel, one.counters] as const);
  return [
    ...counterFamilies(COUNTERS, Object.fromEntries(counters)),
    {
      metric: STATE,
      samples: numbers.flatMap(([channel, one]) =>
        Object.keys(STATES).map((state) => {
          return { labels: { channel, state }, value: Number(one.state === state) };
        }),
      ),
    },
    {
      metric: BUFFERED,
      samples: numbers.map(([channel, { bufferedBytes }]) => {
        return { labels: { channel }, value: bufferedBytes };
      }),
    },
  ];
}
