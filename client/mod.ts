// Floor 5: what an instance embeds: a publisher and a live subscriber.

export type { OpenSubscriberOptions } from './live-feed.ts';
export * from './publisher.ts';
export * from './replay-source.ts';
export * from './subscriber.ts';
export * from './subscription.ts';
export * from './subscription-items.ts';
export type { WaitOptions } from './time-limit.ts';
