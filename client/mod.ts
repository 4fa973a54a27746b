// Floor 5: what an instance embeds: a publisher and a live subscriber.

export * from './publisher.ts';
export * from './replay-source.ts';
export * from './subscriber.ts';
export type { WaitOptions } from './time-limit.ts';
