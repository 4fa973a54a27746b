// Floor 5: what an instance embeds: a publisher and a live subscriber.

export { CatchUp } from './catch-up.ts';
export type * from './catch-up-counters.ts';
export type * from './catch-up-shapes.ts';
export type { CursorPlace } from './cursor.ts';
export type { OpenSubscriberOptions } from './live-feed.ts';
export * from './publisher.ts';
export * from './replay-source.ts';
export * from './subscriber.ts';
export * from './subscription.ts';
export * from './subscription-items.ts';
export { SubscriptionReader } from './subscription-reader.ts';
export type { WaitOptions } from './time-limit.ts';
