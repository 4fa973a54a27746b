// Floor 5: what an instance embeds: a publisher, a subscription that recovers, and the history.

export type { ArchivedMessage } from './archived-message.ts';
export {
  type CatchUpCounters,
  type ReaderCounters,
  SUBSCRIPTION_COUNTERS,
  type SubscriptionCounters,
} from './catch-up-counters.ts';
export type * from './catch-up-shapes.ts';
export { CatchUp } from './catch-up.ts';
export type { AddressSettings, ChannelRegistry, PlaceSettings } from './channel-place.ts';
export type * as Contract from './contract.ts';
export type { CursorPlace } from './cursor.ts';
export * from './history-ranges.ts';
export * from './history.ts';
export { openReplaySource } from './http-replay-source.ts';
export {
  askForJson,
  askReplayApi,
  RefusedError,
  type ReplayApi,
  type ReplayQuestion,
  type Unchecked,
  unreachableApi,
} from './http-request.ts';
export type { GivenInstant } from './given-instant.ts';
export type { OpenSubscriberOptions } from './live-feed.ts';
export * from './open-publisher.ts';
export * from './publisher.ts';
export * from './replay-source.ts';
export * from './subscribe.ts';
export * from './subscriber.ts';
export * from './subscription-items.ts';
export { SubscriptionReader } from './subscription-reader.ts';
export * from './subscription.ts';
export type { WaitOptions } from './time-limit.ts';
